//! The body of an answer that is a stream of server-sent events: frames from wherever they come, and comments while there
//! are none.

use super::authority::Authority;
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

/// Where the frames of a stream come from.
pub(super) trait Frames {
    /// The next ones, whole; `None` at the end, and then for ever.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

/// Frames up to the end of what let their reader in.
pub(super) struct Until<F> {
    frames: F,
    ended: Option<LocalBoxFuture<'static, ()>>,
    over: bool,
}

impl<F> Until<F> {
    pub(super) fn ended(frames: F, authority: &Authority) -> Self {
        let authority = authority.clone();
        let ended = authority
            .can_end()
            .then(|| -> LocalBoxFuture<'static, ()> { Box::pin(async move { authority.ended().await }) });
        Until { frames, ended, over: false }
    }
}

impl<F: Frames> Frames for Until<F> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(cx).is_ready()
        {
            (self.ended, self.over) = (None, true);
        }
        if self.over { Poll::Ready(None) } else { self.frames.poll_next(cx) }
    }
}

/// The body; ends when its frames do, and drops them when its caller is gone.
pub(super) struct SseBody<F> {
    frames: F,
    silence: Silence,
}

impl<F: Frames> SseBody<F> {
    pub(super) fn new(frames: F, keep_alive: Duration) -> Self {
        SseBody { frames, silence: Silence::new(keep_alive) }
    }
}

impl<F: Frames + Unpin> MessageBody for SseBody<F> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        match this.frames.poll_next(cx) {
            Poll::Ready(frames) => {
                this.silence.broken();
                Poll::Ready(frames.map(Ok))
            }
            Poll::Pending => this.silence.poll(cx).map(|()| Some(Ok(Bytes::from_static(sse::KEEP_ALIVE)))),
        }
    }
}

/// How long nothing was sent.
struct Silence {
    keep_alive: Duration,
    sent: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(keep_alive: Duration) -> Self {
        let sent = Instant::now();
        Silence { keep_alive, sent, timer: Box::pin(tokio::time::sleep_until(sent + keep_alive)) }
    }

    /// Something is sent.
    fn broken(&mut self) {
        self.sent = Instant::now();
    }

    /// Whether silence has lasted long enough for a comment. The timer is moved only when it rings.
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
