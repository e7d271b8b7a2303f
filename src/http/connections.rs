//! The connections that are open, and the end of those on which nothing happens.
//!
//! The HTTP library waits with a deadline for a connection's first head and for another request after a whole one. It has
//! none once a second head has begun, nor while the rest of a body in chunks is to come that nobody reads any more. Such
//! connections would stay until nobody else is accepted; here they are found and cut.

use super::{accept::Place, authority::Authority};
use crate::line::Line;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

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
pub(super) struct State {
    line: Option<Line>,
    /// What let its last caller in; nothing while it has shown nothing.
    admitted: Mutex<Option<Authority>>,
    /// Who waits to read until none is under way.
    reader: AtomicWaker,
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
        let idle_since = AtomicU64::new(self.now());
        let (admitted, reader, requests) = (Mutex::default(), AtomicWaker::new(), AtomicUsize::new(0));
        let state = State { line, admitted, reader, requests, idle_since };
        let (number, state) = (self.number.fetch_add(1, Relaxed), Arc::new(state));
        self.all().insert(number, Arc::clone(&state));
        Open { connections: Arc::clone(self), number, state, place: None }
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
    place: Option<Place>,
}

impl State {
    /// Waits until no request is under way.
    pub(super) fn poll_unused(&self, cx: &Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.requests.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether its last caller showed something that lets it in, and still does.
    pub(super) fn is_known(&self) -> bool {
        self.admitted().as_ref().is_some_and(Authority::holds)
    }

    fn admitted(&self) -> MutexGuard<'_, Option<Authority>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The same in a place of its own among all there may be.
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether the kernel says that the daemon's own user has its other end; nothing where it was not asked.
    pub(super) fn is_own(&self) -> Option<bool> {
        self.place.as_ref().map(Place::is_own)
    }

    /// What is known of it, for who reads from it.
    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Its place, where it has one.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Its caller was let in by this.
    pub(super) fn admit(&self, authority: Authority) {
        *self.state.admitted() = Some(authority);
    }

    /// Waits for the turn of a request that shows nothing which lets its caller in: such requests of one holder are
    /// answered no faster than they may come.
    pub(super) async fn rein_in(&self) {
        let Some(rein) = self.place.as_ref().and_then(Place::rein) else { return };
        let wait = rein.before_answer();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

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
        if self.state.requests.fetch_sub(1, SeqCst) == 1 {
            self.state.reader.wake();
        }
    }
}

/// The body of an answer that takes a while to be read: its request is under way for as long as it.
pub(super) struct Lasting {
    source: Source,
    size: BodySize,
    _request: UnderWay,
    _ends: Option<AbortOnDropHandle<()>>,
}

enum Source {
    Stream(BoxBody),
    /// The rest of one that is there as a whole. Handed over in pieces, since the library would take all of it at once.
    Whole(Bytes),
}

/// How long the last frame of an answer may take to be read, once what let its caller in holds no more.
pub(super) const LAST_WORD: Duration = Duration::from_millis(400);
/// A whole body up to this size is as good as sent.
const WHOLE_MAX: u64 = 1 << 20;
/// How much of a larger one is handed over at a time.
const PIECE_BYTES: usize = 64 << 10;

impl Lasting {
    /// The body, with its request if it lasts. It ends with `authority`, at the latest by having its connection cut: one
    /// whose peer does not read is not asked for more.
    pub(super) fn keep(body: BoxBody, request: UnderWay, authority: &Authority) -> BoxBody {
        let size = body.size();
        let source = match size {
            BodySize::Stream => Source::Stream(body),
            BodySize::Sized(bytes) if bytes > WHOLE_MAX => match body.try_into_bytes() {
                Ok(bytes) => Source::Whole(bytes),
                Err(body) => Source::Stream(body),
            },
            BodySize::None | BodySize::Sized(_) => return body,
        };
        let ends = authority.can_end().then(|| {
            let (authority, line) = (authority.clone(), request.state.line.clone());
            let cut = async move {
                authority.ended().await;
                tokio::time::sleep(LAST_WORD).await;
                tracing::debug!("a connection is cut: what let its caller in holds no more");
                if let Some(line) = line {
                    line.cut();
                }
            };
            AbortOnDropHandle::new(actix_web::rt::spawn(cut))
        });
        BoxBody::new(Lasting { source, size, _request: request, _ends: ends })
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
