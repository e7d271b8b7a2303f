//! `POST /v1/browser/request` and its cancellation.

use super::{
    endpoint::ApiCall,
    error::{self, ApiError},
    fields,
    reply::{ApiReply, ResponseGuard, SuccessEnvelope},
    stream_response::{self, StreamResponse},
};
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    platforms::plan::{Conversation, Organization},
    policy::Admission,
    relay::{CompletedRequest, ResponseMode},
    wire::json,
};
use serde::Serialize;

/// Bytes reserved for a buffered response without its bodies.
const HEAD_BYTES: usize = 768;

/// `POST /v1/browser/request`.
pub(super) async fn request(call: ApiCall) -> Result<ApiReply, ApiError> {
    relay(call, None).await
}

/// Relays a request; `preset` fills in fields of an older route.
pub(super) async fn relay(call: ApiCall, preset: Option<fields::Preset>) -> Result<ApiReply, ApiError> {
    let query_timeout = call.query(&["timeout_ms", "timeoutMs"]);
    let request = fields::request(&call.body, query_timeout.as_deref(), preset, &call.core.registry)?;
    let (id, platform) = (request.id.clone(), request.platform.clone());
    let relay = &call.core.relay;
    match request.mode {
        ResponseMode::Sse => {
            let abort_handle = call.peer().and_then(|peer| peer.connection.abort_handle());
            let streamed =
                relay.streamed(request, abort_handle).map_err(|refused| error::of_refused(refused, id.as_str()))?;
            Ok(call.stream(StreamResponse::new(streamed, platform, &call.grant)))
        }
        ResponseMode::Buffered => {
            let taken = relay.buffered(request).map_err(|refused| error::of_refused(refused, id.as_str()))?;
            let (answer, caller) = stream_response::buffered_response(taken, &call.grant).await;
            match answer {
                Ok(delivered) => Ok(ApiReply::Guarded(envelope(&call.id, &delivered), ResponseGuard::Request(caller))),
                Err(failure) => Err(error::of_failure(&failure, id.as_str(), platform.as_str())),
            }
        }
    }
}

/// Serializes a buffered response; bodies are copied verbatim.
fn envelope(id: &str, delivered: &CompletedRequest) -> SuccessEnvelope {
    #[derive(Serialize)]
    struct Head<'a> {
        client_id: &'a ClientId,
        platform: &'a PlatformName,
        request_mode: &'a str,
        organization: Option<&'a Organization>,
        conversation: Option<&'a Conversation>,
        policy: Option<&'a Admission>,
    }
    #[derive(Serialize)]
    struct Proxy<'a> {
        method: &'a str,
        path: Option<&'a str>,
        request_id: &'a RequestId,
        response_mode: &'static str,
        status: u16,
    }
    let body = delivered.call.body.clone().unwrap_or_default();
    let response = delivered.response.clone();
    let room = HEAD_BYTES + delivered.call.path.len() + body.len() + response.len().min(4 << 10);
    let mut text = SuccessEnvelope::begin(id, room);
    let head = Head {
        client_id: &delivered.client_id,
        platform: &delivered.platform,
        request_mode: &delivered.request_mode,
        organization: delivered.chosen.as_ref().map(|chosen| &chosen.organization),
        conversation: delivered.chosen.as_ref().map(|chosen| &chosen.conversation),
        policy: delivered.admission.as_deref(),
    };
    json::write(&mut text, &head);
    text.pop();
    text.push_str(",\"proxy\":");
    let proxy = Proxy {
        method: &delivered.call.method,
        // The path of a template is the extension's own and stays hidden.
        path: Some(delivered.call.path.as_str()).filter(|path| !path.is_empty()),
        request_id: &delivered.request_id,
        response_mode: ResponseMode::Buffered.name(),
        status: delivered.status,
    };
    json::write(&mut text, &proxy);
    body.splice_into(&mut text, "request_body");
    text.push('}');
    SuccessEnvelope::end_with(text, "response", response)
}

/// `POST /v1/browser/request/cancel`. Cancels a request in any phase.
pub(super) async fn cancel(call: ApiCall) -> Result<ApiReply, ApiError> {
    let asked = fields::cancel(&call.body)?;
    let (id, platform) = (&asked.request_id, &asked.platform);
    let cancelled = call.core.relay.cancel(id, platform, asked.client_id.clone(), asked.reason.clone()).await;
    cancelled.map(|answer| call.success(&answer)).map_err(|refused| error::of_cancel(&refused, id.as_str(), platform))
}
