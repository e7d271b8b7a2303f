//! The connections that are open, and the end of those on which nothing happens.
//!
//! The HTTP library waits with a deadline for a connection's first head and for another request after a whole one. It has
//! none once a second head has begun, nor while the rest of a body in chunks is to come that nobody reads any more. Such
//! connections would stay until nobody else is accepted; here they are found and cut.

use super::{acceptor::ConnectionPermit, access_grant::AccessGrant};
use crate::tcp_abort::TcpAbortHandle;
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
const IDLE_CHECKS: u32 = 8;

/// All connections of the daemon.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    started: Instant,
    next_id: AtomicU64,
    open: Mutex<foldhash::HashMap<u64, Arc<ConnectionState>>>,
}

/// What is known of one.
#[derive(Debug)]
pub(super) struct ConnectionState {
    abort_handle: Option<TcpAbortHandle>,
    /// What let its last caller in; nothing while it has shown nothing.
    grant: Mutex<Option<AccessGrant>>,
    /// Who waits to read until none is under way.
    read_waker: AtomicWaker,
    /// Requests under way: until they are answered, and streams until they end.
    in_flight: AtomicUsize,
    /// Since when there are none, in milliseconds.
    idle_since: AtomicU64,
}

impl Default for ConnectionTable {
    fn default() -> Self {
        ConnectionTable { started: Instant::now(), next_id: AtomicU64::new(0), open: Mutex::default() }
    }
}

impl ConnectionTable {
    /// One more is open, until what is returned is dropped.
    pub(super) fn register(self: &Arc<Self>, abort_handle: Option<TcpAbortHandle>) -> OpenConnection {
        let idle_since = AtomicU64::new(self.now());
        let (grant, read_waker, in_flight) = (Mutex::default(), AtomicWaker::new(), AtomicUsize::new(0));
        let state = ConnectionState { abort_handle, grant, read_waker, in_flight, idle_since };
        let (id, state) = (self.next_id.fetch_add(1, Relaxed), Arc::new(state));
        self.lock().insert(id, Arc::clone(&state));
        OpenConnection { connections: Arc::clone(self), id, state, permit: None }
    }

    /// Cuts those that are idle for so long, for as long as the system of this thread runs.
    pub(super) fn spawn_idle_checks(self: Arc<Self>, idle: Duration) {
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep((idle / IDLE_CHECKS).max(Duration::from_millis(1))).await;
                self.close_idle(idle);
            }
        });
    }

    fn close_idle(&self, idle: Duration) {
        let before = self.now().saturating_sub(millis(idle));
        for state in self.lock().values() {
            // In this order: a request that ends in between has set the time anew.
            if state.in_flight.load(Relaxed) == 0 && state.idle_since.load(Relaxed) < before {
                tracing::debug!("a connection on which nothing happens is cut");
                if let Some(abort_handle) = &state.abort_handle {
                    abort_handle.abort();
                }
            }
        }
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, foldhash::HashMap<u64, Arc<ConnectionState>>> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An open connection.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Arc<ConnectionTable>,
    id: u64,
    state: Arc<ConnectionState>,
    permit: Option<ConnectionPermit>,
}

impl ConnectionState {
    /// Waits until no request is under way.
    pub(super) fn poll_no_requests(&self, cx: &Context<'_>) -> Poll<()> {
        self.read_waker.register(cx.waker());
        if self.in_flight.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether its last caller showed something that lets it in, and still does.
    pub(super) fn is_authenticated(&self) -> bool {
        self.grant().as_ref().is_some_and(AccessGrant::is_valid)
    }

    fn grant(&self) -> MutexGuard<'_, Option<AccessGrant>> {
        self.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    /// The same in a place of its own among all there may be.
    pub(super) fn with_permit(mut self, permit: ConnectionPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Whether the kernel says that the daemon's own user has its other end; nothing where it was not asked.
    pub(super) fn is_own_user(&self) -> Option<bool> {
        self.permit.as_ref().map(ConnectionPermit::is_own_user)
    }

    /// What is known of it, for who reads from it.
    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// Its place, where it has one.
    pub(super) fn permit(&self) -> Option<&ConnectionPermit> {
        self.permit.as_ref()
    }

    /// Its caller was let in by this.
    pub(super) fn set_grant(&self, grant: AccessGrant) {
        *self.state.grant() = Some(grant);
    }

    /// Waits for the turn of a request that shows nothing which lets its caller in: such requests of one holder are
    /// answered no faster than they may come.
    pub(super) async fn delay_unauthenticated(&self) {
        let Some(limiter) = self.permit.as_ref().and_then(ConnectionPermit::limiter) else { return };
        let wait = limiter.response_delay();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// A request is under way on it, until what is returned is dropped.
    pub(super) fn begin_request(&self) -> InFlightRequest {
        self.state.in_flight.fetch_add(1, Relaxed);
        InFlightRequest { connections: Arc::clone(&self.connections), state: Arc::clone(&self.state) }
    }

    /// The way to cut it.
    pub(super) fn abort_handle(&self) -> Option<TcpAbortHandle> {
        self.state.abort_handle.clone()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    connections: Arc<ConnectionTable>,
    state: Arc<ConnectionState>,
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.state.idle_since.store(self.connections.now(), Relaxed);
        if self.state.in_flight.fetch_sub(1, SeqCst) == 1 {
            self.state.read_waker.wake();
        }
    }
}

/// The body of an answer that takes a while to be read: its request is under way for as long as it.
pub(super) struct TrackedBody {
    source: BodySource,
    size: BodySize,
    _request: InFlightRequest,
    _ends: Option<AbortOnDropHandle<()>>,
}

enum BodySource {
    Stream(BoxBody),
    /// The rest of one that is there as a whole. Handed over in pieces, since the library would take all of it at once.
    Whole(Bytes),
}

/// How long the last frame of an answer may take to be read, once what let its caller in holds no more.
pub(super) const LAST_FRAME_GRACE: Duration = Duration::from_millis(400);
/// A whole body up to this size is as good as sent.
const UNTRACKED_BYTES_MAX: u64 = 1 << 20;
/// How much of a larger one is handed over at a time.
const PIECE_BYTES: usize = 64 << 10;

impl TrackedBody {
    /// The body, with its request if it lasts. It ends with `grant`, at the latest by having its connection cut: one
    /// whose peer does not read is not asked for more.
    pub(super) fn wrap(body: BoxBody, request: InFlightRequest, grant: &AccessGrant) -> BoxBody {
        let size = body.size();
        let source = match size {
            BodySize::Stream => BodySource::Stream(body),
            BodySize::Sized(bytes) if bytes > UNTRACKED_BYTES_MAX => match body.try_into_bytes() {
                Ok(bytes) => BodySource::Whole(bytes),
                Err(body) => BodySource::Stream(body),
            },
            BodySize::None | BodySize::Sized(_) => return body,
        };
        let ends = grant.is_revocable().then(|| {
            let (grant, abort_handle) = (grant.clone(), request.state.abort_handle.clone());
            let cut = async move {
                grant.ended().await;
                tokio::time::sleep(LAST_FRAME_GRACE).await;
                tracing::debug!("a connection is cut: what let its caller in holds no more");
                if let Some(abort_handle) = abort_handle {
                    abort_handle.abort();
                }
            };
            AbortOnDropHandle::new(actix_web::rt::spawn(cut))
        });
        BoxBody::new(TrackedBody { source, size, _request: request, _ends: ends })
    }
}

impl MessageBody for TrackedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.get_mut().source {
            BodySource::Stream(body) => Pin::new(body).poll_next(cx),
            BodySource::Whole(rest) if rest.is_empty() => Poll::Ready(None),
            BodySource::Whole(rest) => Poll::Ready(Some(Ok(rest.split_to(rest.len().min(PIECE_BYTES))))),
        }
    }
}

#[cfg(test)]
mod tests;
