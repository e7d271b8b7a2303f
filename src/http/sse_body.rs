//! The body of a streamed answer: the frames of its request, comments while nothing is sent, and the terminal frame,
//! which is worded here because only the edge knows what a caller's status is.

use super::error::of_cause;
use crate::{
    relay::{Caller, Next, Partial, Reader, StreamEnd, Streamed},
    sse,
};
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use serde::Serialize;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// The body; ends after the terminal frame. Dropping it tells the request that its caller is gone.
pub struct SseBody {
    reader: Reader,
    platform: String,
    keep_alive: Duration,
    sent: Instant,
    silence: Pin<Box<Sleep>>,
    ended: bool,
    _caller: Caller,
}

impl SseBody {
    pub(super) fn new(streamed: Streamed, platform: String, keep_alive: Duration) -> Self {
        let now = Instant::now();
        SseBody {
            reader: streamed.reader,
            platform,
            keep_alive,
            sent: now,
            silence: Box::pin(tokio::time::sleep_until(now + keep_alive)),
            ended: false,
            _caller: streamed.caller,
        }
    }

    /// Whether silence has lasted long enough for a comment. The timer is moved only when it rings.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.silence.as_mut().poll(cx).is_ready() {
            let due = self.sent + self.keep_alive;
            if due <= Instant::now() {
                self.sent = Instant::now();
                self.silence.as_mut().reset(self.sent + self.keep_alive);
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl MessageBody for SseBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        match this.reader.poll_next(cx) {
            Poll::Ready(Next::Frames(frames)) => {
                this.sent = Instant::now();
                Poll::Ready(Some(Ok(frames)))
            }
            Poll::Ready(Next::End(end)) => {
                this.ended = true;
                let frame = terminal(&end, this.reader.request_id.as_str(), &this.platform);
                Poll::Ready(Some(Ok(frame.into())))
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Some(Ok(Bytes::from_static(sse::KEEP_ALIVE)))),
        }
    }
}

/// The last frame: `stream_end` or `stream_error`.
fn terminal(end: &StreamEnd, id: &str, platform: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Ended<'a> {
        partial: Partial,
        request_id: &'a str,
        status: u16,
        stream_id: &'a str,
    }
    #[derive(Serialize)]
    struct Failed<'a> {
        error: &'a str,
        http_error: &'static str,
        message: String,
        partial: Partial,
        platform: &'a str,
        request_id: &'a str,
        status: u16,
        stream_id: &'a str,
    }
    let mut frame = Vec::with_capacity(512);
    match &end.result {
        Ok(status) => {
            let data = Ended { partial: end.partial, request_id: id, status: *status, stream_id: id };
            sse::frame(&mut frame, None, "stream_end", |out| write(out, &data));
        }
        Err(failure) => {
            let (code, status) = of_cause(&failure.cause);
            let data = Failed {
                error: &failure.cause.code(),
                http_error: code.name(),
                message: failure.cause.message(),
                partial: end.partial,
                platform,
                request_id: id,
                status,
                stream_id: id,
            };
            sse::frame(&mut frame, None, "stream_error", |out| write(out, &data));
        }
    }
    frame
}

fn write(out: &mut Vec<u8>, data: &impl Serialize) {
    serde_json::to_writer(out, data).expect("our own values have string keys");
}
