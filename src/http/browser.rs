//! `POST /v1/browser/request` and its cancel.

use super::{
    endpoint::Call,
    error::{self, ApiError},
    fields,
    reply::Reply,
    sse_body::SseBody,
};
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    policy::Admission,
    relay::{API_REQUEST, Delivered, ResponseMode},
    wire::Raw,
};
use serde::Serialize;
use std::time::Duration;

/// Sends a request through a Firefox.
pub(super) async fn request(call: Call) -> Result<Reply, ApiError> {
    let query_timeout = call.query(&["timeout_ms", "timeoutMs"]);
    let request = fields::request(&call.body, query_timeout.as_deref(), &call.core.registry)?;
    let (id, platform) = (request.id.clone(), request.platform.clone());
    let relay = &call.core.relay;
    match request.mode {
        ResponseMode::Sse => {
            let line = call.peer().and_then(|peer| peer.line.clone());
            let streamed = relay.streamed(request, line).map_err(|refused| error::of_refused(refused, id.as_str()))?;
            let keep_alive = Duration::from_millis(call.core.server.sse_keep_alive_ms);
            Ok(Reply::Stream(SseBody::new(streamed, platform.to_string(), keep_alive)))
        }
        ResponseMode::Buffered => {
            let taken = relay.buffered(request).map_err(|refused| error::of_refused(refused, id.as_str()))?;
            let (answer, caller) = taken.answer().await;
            match answer {
                Ok(delivered) => Ok(Reply::Held(data(&delivered), caller)),
                Err(failure) => Err(error::of_failure(&failure, id.as_str(), platform.as_str())),
            }
        }
    }
}

/// The `data` of a buffered answer; bodies are copied as they came.
fn data(delivered: &Delivered) -> String {
    #[derive(Serialize)]
    struct Proxy<'a> {
        method: &'a str,
        path: &'a str,
        request_id: &'a RequestId,
        response_mode: &'static str,
        status: u16,
    }
    #[derive(Serialize)]
    struct Head<'a> {
        client_id: &'a ClientId,
        platform: &'a PlatformName,
        request_mode: &'static str,
        organization: Option<()>,
        conversation: Option<()>,
        policy: &'a Option<Admission>,
    }
    let write = |part: &dyn Fn() -> serde_json::Result<String>| part().expect("our own values have string keys");
    let proxy = Proxy {
        method: &delivered.call.method,
        path: &delivered.call.path,
        request_id: &delivered.request_id,
        response_mode: ResponseMode::Buffered.name(),
        status: delivered.status,
    };
    let mut proxy = write(&|| serde_json::to_string(&proxy));
    delivered.call.body.clone().unwrap_or_default().splice_into(&mut proxy, "request_body");
    let head = Head {
        client_id: &delivered.client_id,
        platform: &delivered.platform,
        request_mode: API_REQUEST,
        organization: None,
        conversation: None,
        policy: &delivered.admission,
    };
    let mut data = write(&|| serde_json::to_string(&head));
    data.reserve(proxy.len() + delivered.response.len() + 32);
    Raw::trusted(proxy).splice_into(&mut data, "proxy");
    delivered.response.splice_into(&mut data, "response");
    data
}

/// Cancels a request, wherever it stands.
pub(super) async fn cancel(call: Call) -> Result<Reply, ApiError> {
    let asked = fields::cancel(&call.body)?;
    let (id, platform) = (&asked.request_id, &asked.platform);
    let cancelled = call.core.relay.cancel(id, platform, asked.client_id.clone(), asked.reason.clone()).await;
    cancelled.map(|answer| Reply::data(&answer)).map_err(|refused| error::of_cancel(&refused, id.as_str(), platform))
}
