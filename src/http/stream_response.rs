//! The frames of a streamed response. The terminal frame is built here, since it contains the HTTP status.

use super::{
    access_grant::AccessGrant,
    error::{self, of_cause},
    sse_body::FrameSource,
};
use crate::{
    clock::WallMs,
    ids::PlatformName,
    policy::PolicyRule,
    relay::{
        BufferedRequest, CallerGuard, CompletedRequest, RequestError, RequestFailure, StreamEnd, StreamItem,
        StreamProgress, StreamReader, StreamedRequest,
    },
    sse,
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use serde::Serialize;
use std::{
    pin::pin,
    task::{Context, Poll},
};
use tokio_util::task::AbortOnDropHandle;

/// The frames of a request, up to the terminal one. Dropping them tells the request that the caller disconnected.
pub(super) struct StreamResponse {
    reader: StreamReader,
    platform: PlatformName,
    ended: bool,
    _caller: CallerGuard,
    /// Revokes the request when the grant ends. A task, since frames are not polled while the caller does not read.
    _revocation: Option<AbortOnDropHandle<()>>,
}

impl StreamResponse {
    /// Creates the response of a request that is revoked when `grant` ends.
    pub(super) fn new(streamed: StreamedRequest, platform: PlatformName, grant: &AccessGrant) -> Self {
        let revokes = grant.is_revocable().then(|| {
            let (grant, revoker) = (grant.clone(), streamed.caller.revoker());
            let revoke = async move {
                grant.ended().await;
                revoker.revoke();
            };
            AbortOnDropHandle::new(actix_web::rt::spawn(revoke))
        });
        StreamResponse {
            reader: streamed.reader,
            platform,
            ended: false,
            _caller: streamed.caller,
            _revocation: revokes,
        }
    }
}

/// Waits for the complete response of a request, which is revoked when `grant` ends. The returned guard is held until
/// the response is sent.
pub(super) async fn buffered_response(
    taken: BufferedRequest,
    grant: &AccessGrant,
) -> (Result<CompletedRequest, RequestFailure>, CallerGuard) {
    let revoker = taken.revoker();
    match select(pin!(taken.answer()), pin!(grant.ended())).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answer)) => {
            revoker.revoke();
            answer.await
        }
    }
}

impl FrameSource for StreamResponse {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.reader.poll_next(cx).map(|next| match next {
            StreamItem::Frames(frames) => Some(frames),
            StreamItem::End(end) => {
                self.ended = true;
                Some(terminal_frame(&end, self.reader.request_id.as_str(), self.platform.as_str()).into())
            }
        })
    }
}

/// Details of a failure: the rule that refused it, the time to retry, and what helps, as far as known.
#[derive(Default, Serialize)]
struct RefusalDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<PolicyRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_action: Option<&'static str>,
}

impl RefusalDetails {
    fn of(cause: &RequestError) -> Self {
        match cause {
            RequestError::Refused(refusal) => {
                let (rule, until) = (Some(refusal.rule()), refusal.until());
                RefusalDetails { rule, until, retry_after_ms: refusal.retry_after_ms(), ..RefusalDetails::default() }
            }
            RequestError::NoCredentials | RequestError::NoTemplate(_) => {
                RefusalDetails { suggested_action: error::suggested_action(cause), ..RefusalDetails::default() }
            }
            RequestError::Upstream(upstream) => {
                RefusalDetails { retry_after_ms: upstream.retry_after_ms, ..RefusalDetails::default() }
            }
            _ => RefusalDetails::default(),
        }
    }
}

/// Builds the last frame: `stream_end` or `stream_error`.
fn terminal_frame(end: &StreamEnd, id: &str, platform: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct StreamEndData<'a> {
        partial: StreamProgress,
        request_id: &'a str,
        status: u16,
        stream_id: &'a str,
    }
    #[derive(Serialize)]
    struct StreamErrorData<'a> {
        error: &'a str,
        http_error: &'a str,
        message: String,
        partial: StreamProgress,
        platform: &'a str,
        request_id: &'a str,
        status: u16,
        stream_id: &'a str,
        /// Details that depend on the cause.
        #[serde(flatten)]
        refusal: RefusalDetails,
    }
    let mut frame = Vec::with_capacity(512);
    match &end.result {
        Ok(status) => {
            let data = StreamEndData { partial: end.partial, request_id: id, status: *status, stream_id: id };
            sse::frame(&mut frame, None, "stream_end", |out| write_json(out, &data));
        }
        Err(failure) => {
            let (code, status) = of_cause(&failure.cause);
            let data = StreamErrorData {
                error: &failure.cause.code(),
                http_error: &code.name_for(platform),
                message: failure.cause.message(),
                partial: end.partial,
                platform,
                request_id: id,
                status,
                stream_id: id,
                refusal: RefusalDetails::of(&failure.cause),
            };
            sse::frame(&mut frame, None, "stream_error", |out| write_json(out, &data));
        }
    }
    frame
}

fn write_json(out: &mut Vec<u8>, data: &impl Serialize) {
    serde_json::to_writer(out, data).expect("our own values have string keys");
}
