//! The acceptor: an actor on a thread of its own that accepts connections, identifies the peer of each, applies the
//! connection quota and hands admitted connections to the workers in turn. A refused connection is reset before it
//! costs a worker anything.
//!
//! ```text
//! kernel backlog ──accept──► peer identity ──► quota ──┬── admitted ──► a worker
//!                                                      ├── queued ────► the own user's queue, until a slot is free
//!                                                      └── refused ───► reset
//! ```
//!
//! The HTTP library's own server is not used: at its limit it accepts no connection at all, not even of the daemon's own user.

use super::connection_quota::{ConnectionLimits, ConnectionQuota, PeerIdentity, QuotaDecision, UnauthenticatedLimiter};
use crate::{host::socket_owner, telemetry::LogRateLimiter};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net, sync::mpsc::UnboundedSender, time::Instant};

/// Pause after an `accept` that failed for lack of file descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// State shared by the acceptor, the connections and the [`ServerHandle`](super::ServerHandle).
#[derive(Debug)]
pub(super) struct AcceptorControl {
    quota: Mutex<ConnectionQuota>,
    acceptor: AtomicWaker,
    paused: AtomicBool,
    stopped: AtomicBool,
}

impl AcceptorControl {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        AcceptorControl {
            quota: Mutex::new(ConnectionQuota::new(limits)),
            acceptor: AtomicWaker::new(),
            paused: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// Stops accepting for good. Open connections stay.
    pub(super) fn pause(&self) {
        self.paused.store(true, Relaxed);
        self.acceptor.wake();
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.acceptor.wake();
    }
}

/// A permit to hold one connection. Dropping it releases the slot in the quota and wakes the acceptor.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    control: Arc<AcceptorControl>,
    peer_identity: PeerIdentity,
    limiter: Option<Arc<UnauthenticatedLimiter>>,
}

impl ConnectionPermit {
    pub(super) fn is_own_user(&self) -> bool {
        self.peer_identity == PeerIdentity::OwnUser
    }

    /// Returns the rate limits of the peer's unauthenticated traffic; `None` for the own user.
    pub(super) fn limiter(&self) -> Option<&Arc<UnauthenticatedLimiter>> {
        self.limiter.as_ref()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.control.quota.lock().release(self.peer_identity);
        self.control.acceptor.wake();
    }
}

/// An admitted connection on its way to a worker.
#[derive(Debug)]
pub(super) struct AcceptedConnection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) permit: ConnectionPermit,
}

/// A connection of the own user that waits for a free slot.
#[derive(Debug)]
struct WaitingConnection {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

#[derive(Debug)]
pub(super) struct Acceptor {
    listener: net::TcpListener,
    control: Arc<AcceptorControl>,
    /// Unbounded channels: each item holds a permit, so the quota bounds their number.
    workers: Vec<UnboundedSender<AcceptedConnection>>,
    next: usize,
    queue: VecDeque<WaitingConnection>,
    /// Longest queue. While it is full, nothing is accepted: then the own user holds every slot and fills the queue
    /// too.
    queue_max: usize,
    refusal_log: LogRateLimiter,
    failure_log: LogRateLimiter,
}

/// What `poll` yields.
enum AcceptorStep {
    Accepted(net::TcpStream, SocketAddr),
    /// The first queued connection has a permit.
    Admitted(ConnectionPermit),
    Failed(io::Error),
    Stopped,
}

impl Acceptor {
    /// Creates an acceptor; call it on the thread that will run it.
    pub(super) fn new(
        listener: TcpListener,
        control: Arc<AcceptorControl>,
        workers: Vec<UnboundedSender<AcceptedConnection>>,
        queue_max: usize,
    ) -> io::Result<Self> {
        Ok(Acceptor {
            listener: net::TcpListener::from_std(listener)?,
            control,
            workers,
            next: 0,
            queue: VecDeque::new(),
            queue_max,
            refusal_log: LogRateLimiter::new(),
            failure_log: LogRateLimiter::new(),
        })
    }

    /// Runs until [`AcceptorControl::stop`] is called.
    pub(super) async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll(cx)).await {
                AcceptorStep::Accepted(stream, peer) => self.admit(stream, peer),
                AcceptorStep::Admitted(permit) => {
                    if let Some(WaitingConnection { stream, peer, local }) = self.queue.pop_front() {
                        self.hand_over(AcceptedConnection { stream, peer, local, permit });
                    }
                }
                // The peer ended this one connection before it was accepted.
                AcceptorStep::Failed(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                AcceptorStep::Failed(error) => {
                    if let Some(suppressed) = self.failure_log.admit() {
                        tracing::error!(%error, suppressed, "a connection cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
                AcceptorStep::Stopped => return,
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<AcceptorStep> {
        // Registered before the checks, so that a change after them wakes this task.
        self.control.acceptor.register(cx.waker());
        if self.control.stopped.load(Relaxed) {
            return Poll::Ready(AcceptorStep::Stopped);
        }
        if !self.queue.is_empty()
            && let QuotaDecision::Admitted { limiter } =
                self.control.quota.lock().admit(PeerIdentity::OwnUser, Instant::now())
        {
            return Poll::Ready(AcceptorStep::Admitted(ConnectionPermit {
                control: Arc::clone(&self.control),
                peer_identity: PeerIdentity::OwnUser,
                limiter,
            }));
        }
        if self.control.paused.load(Relaxed) || self.queue.len() >= self.queue_max {
            return Poll::Pending;
        }
        self.listener.poll_accept(cx).map(|accepted| match accepted {
            Ok((stream, peer)) => AcceptorStep::Accepted(stream, peer),
            Err(error) => AcceptorStep::Failed(error),
        })
    }

    fn admit(&mut self, stream: net::TcpStream, peer: SocketAddr) {
        // From here on the stream belongs to no event loop: a worker on another thread will register it.
        let (Ok(local), Ok(stream)) = (stream.local_addr(), stream.into_std()) else { return };
        let peer_identity = identify_peer(&stream, peer, local);
        let decision = self.control.quota.lock().admit(peer_identity, Instant::now());
        match decision {
            QuotaDecision::Admitted { limiter } => {
                let permit = ConnectionPermit { control: Arc::clone(&self.control), peer_identity, limiter };
                self.hand_over(AcceptedConnection { stream, peer, local, permit });
            }
            QuotaDecision::Queued => self.queue.push_back(WaitingConnection { stream, peer, local }),
            QuotaDecision::QuotaExceeded => self.refuse(&stream, peer_identity, "its peer has too many"),
            QuotaDecision::RateExceeded => self.refuse(&stream, peer_identity, "its peer connects too fast"),
        }
    }

    fn hand_over(&mut self, accepted: AcceptedConnection) {
        self.next = (self.next + 1) % self.workers.len();
        // A closed channel means that the worker died; the watchdog then ends the process.
        let _ = self.workers[self.next].send(accepted);
    }

    /// Resets the connection, so that the kernel keeps no state of it either.
    fn refuse(&self, stream: &TcpStream, peer_identity: PeerIdentity, why: &str) {
        if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a refused connection cannot be reset");
        }
        if let Some(suppressed) = self.refusal_log.admit() {
            tracing::warn!(?peer_identity, suppressed, "a connection is refused: {why}");
        }
    }
}

/// Identifies the peer. The kernel finds the owner by addresses and ports, which another program could have reused
/// after this connection ended; so the answer counts only if the connection is still open afterwards.
fn identify_peer(stream: &TcpStream, peer: SocketAddr, local: SocketAddr) -> PeerIdentity {
    let owner = || socket_owner::user_of_peer(peer, local).filter(|_| stream.peer_addr().is_ok());
    PeerIdentity::identify(peer, rustix::process::geteuid().as_raw(), owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::{UnboundedReceiver, error::TryRecvError, unbounded_channel};

    fn acceptor(connections: usize) -> (Acceptor, SocketAddr, UnboundedReceiver<AcceptedConnection>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ConnectionLimits { connections, connects_per_second: 100, requests_per_second: 100 };
        let (worker, accepted) = unbounded_channel();
        (Acceptor::new(listener, Arc::new(AcceptorControl::new(limits)), vec![worker], 1).unwrap(), address, accepted)
    }

    #[actix_rt::test]
    async fn the_own_users_connections_wait_for_a_slot_and_stop_ends_the_acceptor() {
        let (acceptor, address, mut accepted) = acceptor(2);
        let control = Arc::clone(&acceptor.control);
        let running = actix_rt::spawn(acceptor.run());
        let all: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let first = accepted.recv().await.unwrap();
        let second = accepted.recv().await.unwrap();
        assert!(first.permit.is_own_user() && first.permit.limiter().is_none());
        assert_eq!(first.peer, all[0].local_addr().unwrap());
        tokio::task::yield_now().await;
        assert_eq!(accepted.try_recv().unwrap_err(), TryRecvError::Empty);
        drop(second);
        assert_eq!(accepted.recv().await.unwrap().peer, all[2].local_addr().unwrap());
        control.stop();
        running.await.unwrap();
        assert!(TcpStream::connect(address).is_err(), "the port is closed");
    }

    #[actix_rt::test]
    async fn a_connection_that_has_ended_is_not_the_own_users() {
        let (acceptor, address, mut accepted) = acceptor(8);
        let ended = TcpStream::connect(address).unwrap();
        socket2::SockRef::from(&ended).set_linger(Some(Duration::ZERO)).unwrap();
        drop(ended);
        let there = TcpStream::connect(address).unwrap();
        let running = actix_rt::spawn(acceptor.run());
        let first = accepted.recv().await.unwrap();
        if first.peer != there.local_addr().unwrap() {
            assert!(!first.permit.is_own_user(), "{first:?}");
            assert!(accepted.recv().await.unwrap().permit.is_own_user());
        }
        running.abort();
    }
}
