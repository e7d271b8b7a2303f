//! A response body of server-sent events: frames from a source, and comments as keep-alive.

use super::access_grant::AccessGrant;
use crate::sse;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// A source of complete server-sent event frames.
pub(super) trait FrameSource {
    /// Polls for the next frames; after `None` always `None`.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// Frames until the reader's grant ends.
pub(super) struct RevocableFrames<F> {
    frames: F,
    ended: Option<LocalBoxFuture<'static, ()>>,
    is_over: bool,
}

impl<F> RevocableFrames<F> {
    pub(super) fn new(frames: F, grant: &AccessGrant) -> Self {
        let grant = grant.clone();
        let ended = grant
            .is_revocable()
            .then(|| -> LocalBoxFuture<'static, ()> { Box::pin(async move { grant.ended().await }) });
        RevocableFrames { frames, ended, is_over: false }
    }
}

impl<F: FrameSource> FrameSource for RevocableFrames<F> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(cx).is_ready()
        {
            (self.ended, self.is_over) = (None, true);
        }
        if self.is_over { Poll::Ready(None) } else { self.frames.poll_next(cx) }
    }
}

/// The body. It ends with its frames, and drops them when the caller disconnects.
pub(super) struct SseBody<F> {
    frames: F,
    keep_alive: KeepAliveTimer,
}

impl<F: FrameSource> SseBody<F> {
    pub(super) fn new(frames: F, interval: Duration) -> Self {
        SseBody { frames, keep_alive: KeepAliveTimer::new(interval) }
    }
}

impl<F: FrameSource + Unpin> MessageBody for SseBody<F> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        match this.frames.poll_next(cx) {
            Poll::Ready(frames) => {
                this.keep_alive.restart();
                Poll::Ready(frames.map(Ok))
            }
            Poll::Pending => this.keep_alive.poll(cx).map(|()| Some(Ok(Bytes::from_static(sse::KEEP_ALIVE)))),
        }
    }
}

/// Measures the time since the last frame.
struct KeepAliveTimer {
    keep_alive: Duration,
    sent: Instant,
    timer: Pin<Box<Sleep>>,
}

impl KeepAliveTimer {
    fn new(keep_alive: Duration) -> Self {
        let sent = Instant::now();
        KeepAliveTimer { keep_alive, sent, timer: Box::pin(tokio::time::sleep_until(sent + keep_alive)) }
    }

    /// Records that a frame is sent.
    fn restart(&mut self) {
        self.sent = Instant::now();
    }

    /// Becomes ready when a keep-alive comment is due. The timer is reset only when it fires.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.sent + self.keep_alive;
            if due <= Instant::now() {
                self.sent = Instant::now();
                self.timer.as_mut().reset(self.sent + self.keep_alive);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
