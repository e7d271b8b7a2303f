//! Checks the frame headers of a WebSocket before the codec reads them.
//!
//! The codec buffers a whole declared frame before it checks any limit, reads on no matter how far its actor lags, and
//! has no rate limit. So the byte stream passes through here first: a header that violates the protocol ends the stream
//! before the payload is read, a client that sends too fast is read more slowly, and reading pauses, at frame boundaries,
//! while the connection has more than a window of unhandled bytes. The bytes pass unchanged.

use super::meter::SocketMeter;
use bytes::Bytes;
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

const CLOSE_TOO_BIG: u16 = 1009;
const CLOSE_PROTOCOL_ERROR: u16 = 1002;

/// Opcode of a close frame, the last frame of a peer.
const OPCODE_CLOSE: u8 = 8;

/// Rate limit of messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageRate {
    /// Messages per second in the long run.
    pub per_second: u64,
    /// Messages that may arrive at once.
    pub burst: u64,
}

/// A stream that passes a client's bytes frame by frame.
pub struct FrameGuard<S, E> {
    inner: S,
    meter: Arc<SocketMeter>,
    /// Creates the stream error for a violation; the meter has the close code.
    violation_error: fn() -> E,
    head: [u8; 10],
    head_len: usize,
    /// Mask and payload bytes of the current frame that have not passed yet.
    remaining: u64,
    /// Payload bytes of the current message so far, over all fragments.
    message_bytes: u64,
    rate: MessageRate,
    tokens: f64,
    refilled: Instant,
    unscanned: Bytes,
    pause: Pin<Box<Sleep>>,
    is_done: bool,
    is_full: bool,
    /// Whether a close frame has begun; the bytes after it are ignored.
    is_closing: bool,
}

impl<S, E> FrameGuard<S, E> {
    /// Wraps `inner`.
    pub fn new(inner: S, meter: Arc<SocketMeter>, rate: MessageRate, violation_error: fn() -> E) -> Self {
        let now = Instant::now();
        FrameGuard {
            inner,
            meter,
            violation_error,
            head: [0; 10],
            head_len: 0,
            remaining: 0,
            message_bytes: 0,
            rate,
            tokens: rate.burst as f64,
            refilled: now,
            unscanned: Bytes::new(),
            pause: Box::pin(tokio::time::sleep_until(now)),
            is_done: false,
            is_full: false,
            is_closing: false,
        }
    }

    /// Checks the headers in `chunk`. Returns the number of bytes that may pass, or the close code.
    fn scan(&mut self, chunk: &[u8]) -> Result<usize, u16> {
        let mut at = 0;
        while at < chunk.len() {
            if self.remaining > 0 {
                let skip = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(chunk.len() - at);
                self.remaining -= skip as u64;
                at += skip;
                if self.is_closing && self.remaining == 0 {
                    return Ok(at);
                }
                continue;
            }
            if self.head_len == 0 {
                if self.tokens < 1.0 && !self.refill() {
                    return Ok(at);
                }
                // Only between frames: a frame that is larger than the window must pass as a whole.
                if self.meter.is_full(at) {
                    self.is_full = true;
                    return Ok(at);
                }
            }
            self.head[self.head_len] = chunk[at];
            self.head_len += 1;
            at += 1;
            if let Some(declared) = self.declared() {
                self.check(declared)?;
                self.tokens -= 1.0;
                self.head_len = 0;
                self.remaining = declared.saturating_add(4); // the mask
                self.is_closing = self.head[0] & 0x0f == OPCODE_CLOSE;
            }
        }
        Ok(at)
    }

    /// Returns the payload length once the header is complete up to it.
    fn declared(&self) -> Option<u64> {
        let head = &self.head[..self.head_len];
        match head.get(1)? & 127 {
            126 => head.get(2..4).map(|b| u64::from(u16::from_be_bytes([b[0], b[1]]))),
            127 => head.get(2..10).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes),
            small => Some(u64::from(small)),
        }
    }

    fn check(&mut self, declared: u64) -> Result<(), u16> {
        let (last, reserved, kind) = (self.head[0] & 0x80 != 0, self.head[0] & 0x70, self.head[0] & 0x0f);
        let (masked, control) = (self.head[1] & 0x80 != 0, kind & 8 != 0);
        // A length in a longer encoding than necessary violates the protocol too.
        let least = match self.head[1] & 127 {
            126 => 126,
            127 => 65_536,
            _ => 0,
        };
        if declared < least || reserved != 0 || !masked || (control && (declared > 125 || !last)) {
            return Err(CLOSE_PROTOCOL_ERROR);
        }
        if !control {
            self.message_bytes = if kind == 0 { self.message_bytes.saturating_add(declared) } else { declared };
            if self.message_bytes > self.meter.message_max() {
                return Err(CLOSE_TOO_BIG);
            }
        }
        Ok(())
    }

    fn refill(&mut self) -> bool {
        let now = Instant::now();
        let gained = (now - self.refilled).as_secs_f64() * self.rate.per_second as f64;
        self.tokens = (self.tokens + gained).min(self.rate.burst as f64);
        self.refilled = now;
        self.tokens >= 1.0
    }
}

impl<S, E> Stream for FrameGuard<S, E>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_done {
            return Poll::Ready(None);
        }
        if this.unscanned.is_empty() {
            match Pin::new(&mut this.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => this.unscanned = chunk,
                other => return other,
            }
        }
        if this.is_full {
            this.meter.read_waker().register(cx.waker());
            if !this.meter.is_low() {
                return Poll::Pending;
            }
            this.is_full = false;
        }
        let chunk = this.unscanned.clone();
        match this.scan(&chunk) {
            Ok(0) => {
                if this.is_full {
                    cx.waker().wake_by_ref(); // the window may have opened meanwhile: check again
                } else {
                    this.wait_for_token(cx);
                }
                Poll::Pending
            }
            Ok(passed) => {
                this.is_done = this.is_closing && this.remaining == 0;
                this.meter.read(passed);
                Poll::Ready(Some(Ok(this.unscanned.split_to(passed))))
            }
            Err(code) => {
                this.is_done = true;
                this.meter.set_violation(code);
                Poll::Ready(Some(Err((this.violation_error)())))
            }
        }
    }
}

impl<S, E> FrameGuard<S, E> {
    fn wait_for_token(&mut self, cx: &mut Context<'_>) {
        let wait = Duration::from_secs_f64((1.0 / self.rate.per_second.max(1) as f64).max(0.001));
        self.pause.as_mut().reset(Instant::now() + wait);
        if self.pause.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests;
