//! The connections that are open, and the end of those on which nothing happens.
//!
//! The HTTP library waits with a deadline for a connection's first head and for another request after a whole one. It has
//! none once a second head has begun, nor while the rest of a body in chunks is to come that nobody reads any more. Such
//! connections would stay until nobody else is accepted; here they are found and cut.

use crate::line::Line;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// How often it is looked within the time that a connection may be idle.
const LOOKS: u32 = 8;

/// All connections of the daemon.
#[derive(Debug)]
pub(super) struct Connections {
    began: Instant,
    number: AtomicU64,
    open: Mutex<foldhash::HashMap<u64, Arc<State>>>,
}

/// What is known of one.
#[derive(Debug)]
struct State {
    line: Option<Line>,
    /// Requests under way: until they are answered, and streams until they end.
    requests: AtomicUsize,
    /// Since when there are none, in milliseconds.
    idle_since: AtomicU64,
}

impl Default for Connections {
    fn default() -> Self {
        Connections { began: Instant::now(), number: AtomicU64::new(0), open: Mutex::default() }
    }
}

impl Connections {
    /// One more is open, until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, line: Option<Line>) -> Open {
        let state = State { line, requests: AtomicUsize::new(0), idle_since: AtomicU64::new(self.now()) };
        let (number, state) = (self.number.fetch_add(1, Relaxed), Arc::new(state));
        self.all().insert(number, Arc::clone(&state));
        Open { connections: Arc::clone(self), number, state }
    }

    /// Cuts those that are idle for so long, for as long as the system of this thread runs.
    pub(super) fn watch(self: Arc<Self>, idle: Duration) {
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep((idle / LOOKS).max(Duration::from_millis(1))).await;
                self.cut_idle(idle);
            }
        });
    }

    fn cut_idle(&self, idle: Duration) {
        let before = self.now().saturating_sub(millis(idle));
        for state in self.all().values() {
            // In this order: a request that ends in between has set the time anew.
            if state.requests.load(Relaxed) == 0 && state.idle_since.load(Relaxed) < before {
                tracing::debug!("a connection on which nothing happens is cut");
                if let Some(line) = &state.line {
                    line.cut();
                }
            }
        }
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn all(&self) -> MutexGuard<'_, foldhash::HashMap<u64, Arc<State>>> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    connections: Arc<Connections>,
    number: u64,
    state: Arc<State>,
}

impl Open {
    /// A request is under way on it, until what is returned is dropped.
    pub(super) fn request(&self) -> UnderWay {
        self.state.requests.fetch_add(1, Relaxed);
        UnderWay { connections: Arc::clone(&self.connections), state: Arc::clone(&self.state) }
    }

    /// The way to cut it.
    pub(super) fn line(&self) -> Option<Line> {
        self.state.line.clone()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.all().remove(&self.number);
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    connections: Arc<Connections>,
    state: Arc<State>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.state.idle_since.store(self.connections.now(), Relaxed);
        self.state.requests.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer that takes a while to be read: its request is under way for as long as it.
pub(super) struct Lasting {
    source: Source,
    size: BodySize,
    _request: UnderWay,
}

enum Source {
    Stream(BoxBody),
    /// The rest of one that is there as a whole. Handed over in pieces, since the library would take all of it at once.
    Whole(Bytes),
}

/// A whole body up to this size is as good as sent.
const WHOLE_MAX: u64 = 1 << 20;
/// How much of a larger one is handed over at a time.
const PIECE_BYTES: usize = 64 << 10;

impl Lasting {
    /// The body, with its request if it lasts.
    pub(super) fn keep(body: BoxBody, request: UnderWay) -> BoxBody {
        let size = body.size();
        let source = match size {
            BodySize::Stream => Source::Stream(body),
            BodySize::Sized(bytes) if bytes > WHOLE_MAX => match body.try_into_bytes() {
                Ok(bytes) => Source::Whole(bytes),
                Err(body) => Source::Stream(body),
            },
            BodySize::None | BodySize::Sized(_) => return body,
        };
        BoxBody::new(Lasting { source, size, _request: request })
    }
}

impl MessageBody for Lasting {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.get_mut().source {
            Source::Stream(body) => Pin::new(body).poll_next(cx),
            Source::Whole(rest) if rest.is_empty() => Poll::Ready(None),
            Source::Whole(rest) => Poll::Ready(Some(Ok(rest.split_to(rest.len().min(PIECE_BYTES))))),
        }
    }
}

#[cfg(test)]
mod tests;
