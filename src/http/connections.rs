//! The open connections, and the closing of idle ones.
//!
//! The HTTP library sets deadlines for the first request head of a connection and for the wait for another one. It sets
//! none for the rest of a second head, nor for the rest of a chunked body that is no longer read. Such connections
//! would take slots forever; here they are found and aborted.

use super::{acceptor::ConnectionPermit, access_grant::AccessGrant};
use crate::tcp_abort::TcpAbortHandle;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    pin::Pin,
    sync::{
        Arc,
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

/// Idle checks within the time that a connection may be idle.
const IDLE_CHECKS: u32 = 8;

#[derive(Debug)]
pub(super) struct ConnectionTable {
    started: Instant,
    next_id: AtomicU64,
    open: Mutex<foldhash::HashMap<u64, Arc<ConnectionState>>>,
}

#[derive(Debug)]
pub(super) struct ConnectionState {
    abort_handle: Option<TcpAbortHandle>,
    /// The grant of its last authenticated caller.
    grant: Mutex<Option<AccessGrant>>,
    /// Wakes the reader when no request is in flight.
    read_waker: AtomicWaker,
    /// Requests in flight: until their response is sent, and for streams until these end.
    in_flight: AtomicUsize,
    /// Milliseconds since `started` at which the last request ended.
    idle_since: AtomicU64,
}

impl Default for ConnectionTable {
    fn default() -> Self {
        ConnectionTable { started: Instant::now(), next_id: AtomicU64::new(0), open: Mutex::default() }
    }
}

impl ConnectionTable {
    /// Registers a connection, until the returned value is dropped.
    pub(super) fn register(self: &Arc<Self>, abort_handle: Option<TcpAbortHandle>) -> OpenConnection {
        let idle_since = AtomicU64::new(self.now());
        let (grant, read_waker, in_flight) = (Mutex::default(), AtomicWaker::new(), AtomicUsize::new(0));
        let state = ConnectionState { abort_handle, grant, read_waker, in_flight, idle_since };
        let (id, state) = (self.next_id.fetch_add(1, Relaxed), Arc::new(state));
        self.open.lock().insert(id, Arc::clone(&state));
        OpenConnection { connections: Arc::clone(self), id, state, permit: None }
    }

    /// Spawns a task on the current thread that aborts connections which are idle for `idle` or longer.
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
        for state in self.open.lock().values() {
            // In this order: a request that ends in between has renewed the time already.
            if state.in_flight.load(Relaxed) == 0 && state.idle_since.load(Relaxed) < before {
                tracing::debug!("an idle connection is aborted");
                if let Some(abort_handle) = &state.abort_handle {
                    abort_handle.abort();
                }
            }
        }
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Arc<ConnectionTable>,
    id: u64,
    state: Arc<ConnectionState>,
    permit: Option<ConnectionPermit>,
}

impl ConnectionState {
    /// Becomes ready when no request is in flight.
    pub(super) fn poll_no_requests(&self, cx: &Context<'_>) -> Poll<()> {
        self.read_waker.register(cx.waker());
        if self.in_flight.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns whether the last caller showed a credential that is still valid.
    pub(super) fn is_authenticated(&self) -> bool {
        self.grant.lock().as_ref().is_some_and(AccessGrant::is_valid)
    }
}

impl OpenConnection {
    pub(super) fn with_permit(mut self, permit: ConnectionPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Returns whether the kernel names the daemon's own user as the peer's owner; `None` without a permit.
    pub(super) fn is_own_user(&self) -> Option<bool> {
        self.permit.as_ref().map(ConnectionPermit::is_own_user)
    }

    /// Returns the state shared with the stream that reads from it.
    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    pub(super) fn permit(&self) -> Option<&ConnectionPermit> {
        self.permit.as_ref()
    }

    /// Records the grant of the connection's caller.
    pub(super) fn set_grant(&self, grant: AccessGrant) {
        *self.state.grant.lock() = Some(grant);
    }

    /// Delays the response to an unauthenticated request, as the rate limits of its peer demand.
    pub(super) async fn delay_unauthenticated(&self) {
        let Some(limiter) = self.permit.as_ref().and_then(ConnectionPermit::limiter) else { return };
        let wait = limiter.response_delay();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts a request as in flight, until the returned value is dropped.
    pub(super) fn begin_request(&self) -> InFlightRequest {
        self.state.in_flight.fetch_add(1, Relaxed);
        InFlightRequest { connections: Arc::clone(&self.connections), state: Arc::clone(&self.state) }
    }

    pub(super) fn abort_handle(&self) -> Option<TcpAbortHandle> {
        self.state.abort_handle.clone()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.id);
    }
}

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

/// A response body that keeps its request in flight until it has been read.
pub(super) struct TrackedBody {
    source: BodySource,
    size: BodySize,
    _request: InFlightRequest,
    _ends: Option<AbortOnDropHandle<()>>,
}

enum BodySource {
    Stream(BoxBody),
    /// The unsent rest of a complete body, handed over in pieces, since the HTTP library would take all of it at once.
    Whole(Bytes),
}

/// How long the last frame of a response may take to be sent after its grant has ended.
pub(super) const LAST_FRAME_GRACE: Duration = Duration::from_millis(400);
/// Largest complete body that counts as sent right away.
const UNTRACKED_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a larger body that are handed over at a time.
const PIECE_BYTES: usize = 64 << 10;

impl TrackedBody {
    /// Wraps a body that takes a while to be sent, so that its request stays in flight. When `grant` ends, the
    /// connection is aborted after [`LAST_FRAME_GRACE`], since a body whose reader does not read is not polled.
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
                tracing::debug!("a connection is aborted because its grant has ended");
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
