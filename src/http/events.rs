//! `GET /v1/events`: the event stream.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    reply::ApiReply,
    sse_body::{FrameSource, RevocableFrames},
};
use crate::{
    events::{EventReader, ResumePoint},
    sse,
};
use actix_web::http::{
    Method,
    header::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use std::task::{Context, Poll};

/// The id of the last event that a reconnecting reader received.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Events, after a first comment: browsers report a stream as open only after its first bytes.
struct EventFrames {
    comment: Option<Bytes>,
    reader: EventReader,
}

impl FrameSource for EventFrames {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.comment.take() {
            Some(comment) => Poll::Ready(Some(comment)),
            None => self.reader.poll_next(cx),
        }
    }
}

struct NoFrames;

impl FrameSource for NoFrames {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(None)
    }
}

/// `GET /v1/events`.
pub(super) async fn follow(call: ApiCall) -> Result<ApiReply, ApiError> {
    if call.request.method() == Method::HEAD {
        return Ok(call.stream(NoFrames)); // the response must end, or the connection could not be reused
    }
    let after = resume_point(call.request.headers().get(LAST_EVENT_ID));
    let reader = call.core.events.subscribe(after);
    let frames = EventFrames { comment: Some(Bytes::from_static(sse::KEEP_ALIVE)), reader };
    Ok(call.stream(RevocableFrames::new(frames, &call.grant)))
}

/// Returns where a reader resumes. An empty id counts as none, as in browsers.
fn resume_point(last: Option<&HeaderValue>) -> ResumePoint {
    match last.map(HeaderValue::as_bytes) {
        None | Some([]) => ResumePoint::Live,
        Some(id) if id.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(id).ok().and_then(|id| id.parse().ok()).map_or(ResumePoint::Unknown, ResumePoint::After)
        }
        Some(_) => ResumePoint::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_event_id_is_a_number_and_anything_else_is_unknown() {
        let of = |text: &[u8]| resume_point(Some(&HeaderValue::from_bytes(text).unwrap()));
        assert_eq!((resume_point(None), of(b"")), (ResumePoint::Live, ResumePoint::Live));
        assert_eq!((of(b"0"), of(b"17634")), (ResumePoint::After(0), ResumePoint::After(17_634)));
        for unreadable in [&b"+1"[..], b"-1", b"1.0", b"x", b"0x10", b"99999999999999999999", b"\xff", b"1 2"] {
            assert_eq!(of(unreadable), ResumePoint::Unknown, "{unreadable:?}");
        }
    }
}
