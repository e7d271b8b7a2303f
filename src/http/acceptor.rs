//! Accepts connections, on a thread of its own: finds out whose each is, refuses those over their holder's share before
//! they cost a worker anything, has the own user's wait for a place, and hands the others to the workers in turn.
//!
//! ```text
//! kernel's backlog ──accept──► whose is it? ──► Shares ──┬── enters ──► a worker
//!                                                        ├── waits ───► the queue of the own user, until one ends
//!                                                        └── refused ─► reset
//! ```
//!
//! The HTTP library's own server does not do: at its limit it accepts nobody, whoever stands next.

use super::connection_quota::{ConnectionLimits, ConnectionQuota, PeerIdentity, QuotaDecision, UnauthenticatedLimiter};
use crate::{host::socket_owner, telemetry::LogRateLimiter};
use futures_util::task::AtomicWaker;
use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net, sync::mpsc::UnboundedSender, time::Instant};

/// How long nothing is accepted after the system could not give a connection out: it lacks files or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// What the acceptor, the connections and the server's handle share.
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

    /// Accepts no more, for good. Those that are there stay.
    pub(super) fn pause(&self) {
        self.paused.store(true, Relaxed);
        self.acceptor.wake();
    }

    /// Ends the acceptor.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.acceptor.wake();
    }

    fn quota(&self) -> MutexGuard<'_, ConnectionQuota> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    control: Arc<AcceptorControl>,
    peer_identity: PeerIdentity,
    limiter: Option<Arc<UnauthenticatedLimiter>>,
}

impl ConnectionPermit {
    /// Whether the daemon's own user has it.
    pub(super) fn is_own_user(&self) -> bool {
        self.peer_identity == PeerIdentity::OwnUser
    }

    /// What its holder is held to; nothing for the own user.
    pub(super) fn limiter(&self) -> Option<&Arc<UnauthenticatedLimiter>> {
        self.limiter.as_ref()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.control.quota().release(self.peer_identity);
        self.control.acceptor.wake();
    }
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub(super) struct AcceptedConnection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) permit: ConnectionPermit,
}

/// One of the own user that waits for a place.
#[derive(Debug)]
struct WaitingConnection {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

/// The acceptor of one listener.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: net::TcpListener,
    control: Arc<AcceptorControl>,
    /// What is on its way there has a place, so that there are never more than those.
    workers: Vec<UnboundedSender<AcceptedConnection>>,
    next: usize,
    queue: VecDeque<WaitingConnection>,
    /// Beyond it nothing is accepted: the own user has every place and as many again as this.
    queue_max: usize,
    refusal_log: LogRateLimiter,
    failure_log: LogRateLimiter,
}

/// What happens next.
enum AcceptorStep {
    Accepted(net::TcpStream, SocketAddr),
    /// The first that waits has a place.
    Admitted(ConnectionPermit),
    Failed(io::Error),
    Stopped,
}

impl Acceptor {
    /// To be called on the thread that it is to run on.
    ///
    /// # Errors
    ///
    /// The listener cannot be waited on.
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

    /// Accepts until it is stopped.
    pub(super) async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll(cx)).await {
                AcceptorStep::Accepted(stream, peer) => self.admit(stream, peer),
                AcceptorStep::Admitted(permit) => {
                    if let Some(WaitingConnection { stream, peer, local }) = self.queue.pop_front() {
                        self.hand_over(AcceptedConnection { stream, peer, local, permit });
                    }
                }
                // That one alone had ended already.
                AcceptorStep::Failed(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                AcceptorStep::Failed(error) => {
                    if let Some(left_out) = self.failure_log.admit() {
                        tracing::error!(%error, left_out, "a connection cannot be accepted");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
                AcceptorStep::Stopped => return,
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<AcceptorStep> {
        // First, so that no change after the looks below goes unnoticed.
        self.control.acceptor.register(cx.waker());
        if self.control.stopped.load(Relaxed) {
            return Poll::Ready(AcceptorStep::Stopped);
        }
        if !self.queue.is_empty()
            && let QuotaDecision::Admitted { limiter } =
                self.control.quota().admit(PeerIdentity::OwnUser, Instant::now())
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
        // Another thread's from here on.
        let (Ok(local), Ok(stream)) = (stream.local_addr(), stream.into_std()) else { return };
        let peer_identity = identify_peer(&stream, peer, local);
        let decision = self.control.quota().admit(peer_identity, Instant::now());
        match decision {
            QuotaDecision::Admitted { limiter } => {
                let permit = ConnectionPermit { control: Arc::clone(&self.control), peer_identity, limiter };
                self.hand_over(AcceptedConnection { stream, peer, local, permit });
            }
            QuotaDecision::Queued => self.queue.push_back(WaitingConnection { stream, peer, local }),
            QuotaDecision::QuotaExceeded => self.refuse(&stream, peer_identity, "it has as many as it may"),
            QuotaDecision::RateExceeded => self.refuse(&stream, peer_identity, "it makes them too fast"),
        }
    }

    fn hand_over(&mut self, accepted: AcceptedConnection) {
        self.next = (self.next + 1) % self.workers.len();
        // A worker that is gone ends the process soon; what it was to serve ends here.
        let _ = self.workers[self.next].send(accepted);
    }

    /// Ends it at once, so that nothing of it stays, in the system neither.
    fn refuse(&self, stream: &TcpStream, peer_identity: PeerIdentity, why: &str) {
        if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a refused connection is ended slowly");
        }
        if let Some(left_out) = self.refusal_log.admit() {
            tracing::warn!(?peer_identity, left_out, "a connection is refused: {why}");
        }
    }
}

/// Whose it is. The kernel is asked by addresses and ports, and another program could have taken over those of one that
/// has ended: what it says counts as long as the connection has not ended afterwards.
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
    async fn the_own_users_wait_for_a_place_and_it_ends_when_it_is_stopped() {
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
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }

    #[actix_rt::test]
    async fn one_that_has_ended_is_not_the_own_users() {
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
