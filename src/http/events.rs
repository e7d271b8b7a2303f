//! `GET /v1/events`: what happens, as it happens.

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

/// The id of the last event that a reader has seen, when it comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The events, after a comment: a browser tells its page of a stream only once there is some of it.
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

/// No frames at all.
struct NoFrames;

impl FrameSource for NoFrames {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(None)
    }
}

/// `GET /v1/events`.
pub(super) async fn follow(call: ApiCall) -> Result<ApiReply, ApiError> {
    if call.request.method() == Method::HEAD {
        return Ok(call.stream(NoFrames)); // its answer must end, or the connection would be of no more use
    }
    let after = resume_point(call.request.headers().get(LAST_EVENT_ID));
    let reader = call.core.events.subscribe(after);
    let frames = EventFrames { comment: Some(Bytes::from_static(sse::KEEP_ALIVE)), reader };
    Ok(call.stream(RevocableFrames::new(frames, &call.grant)))
}

/// Where a reader goes on. As with browsers, an empty id is none.
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
