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

use super::shares::{Bounds, Entry, Holder, Rein, Shares};
use crate::{host::owner, telemetry::Sparing};
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
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What the acceptor, the connections and the server's handle share.
#[derive(Debug)]
pub(super) struct Gate {
    shares: Mutex<Shares>,
    acceptor: AtomicWaker,
    paused: AtomicBool,
    stopped: AtomicBool,
}

impl Gate {
    pub(super) fn new(bounds: Bounds) -> Self {
        Gate {
            shares: Mutex::new(Shares::new(bounds)),
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

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    holder: Holder,
    rein: Option<Arc<Rein>>,
}

impl Place {
    /// Whether the daemon's own user has it.
    pub(super) fn is_own(&self) -> bool {
        self.holder == Holder::Own
    }

    /// What its holder is held to; nothing for the own user.
    pub(super) fn rein(&self) -> Option<&Arc<Rein>> {
        self.rein.as_ref()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.shares().leave(self.holder);
        self.gate.acceptor.wake();
    }
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) place: Place,
}

/// One of the own user that waits for a place.
#[derive(Debug)]
struct Waiting {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

/// The acceptor of one listener.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: net::TcpListener,
    gate: Arc<Gate>,
    /// What is on its way there has a place, so that there are never more than those.
    workers: Vec<UnboundedSender<Accepted>>,
    next: usize,
    waiting: VecDeque<Waiting>,
    /// Beyond it nothing is accepted: the own user has every place and as many again as this.
    waiting_max: usize,
    refused: Sparing,
    failed: Sparing,
}

/// What happens next.
enum Step {
    Accepted(net::TcpStream, SocketAddr),
    /// The first that waits has a place.
    Enters(Place),
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
        gate: Arc<Gate>,
        workers: Vec<UnboundedSender<Accepted>>,
        waiting_max: usize,
    ) -> io::Result<Self> {
        Ok(Acceptor {
            listener: net::TcpListener::from_std(listener)?,
            gate,
            workers,
            next: 0,
            waiting: VecDeque::new(),
            waiting_max,
            refused: Sparing::new(),
            failed: Sparing::new(),
        })
    }

    /// Accepts until it is stopped.
    pub(super) async fn run(mut self) {
        loop {
            match poll_fn(|cx| self.poll(cx)).await {
                Step::Accepted(stream, peer) => self.receive(stream, peer),
                Step::Enters(place) => {
                    if let Some(Waiting { stream, peer, local }) = self.waiting.pop_front() {
                        self.hand_over(Accepted { stream, peer, local, place });
                    }
                }
                // That one alone had ended already.
                Step::Failed(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Step::Failed(error) => {
                    if let Some(left_out) = self.failed.one_more() {
                        tracing::error!(%error, left_out, "a connection cannot be accepted");
                    }
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
                Step::Stopped => return,
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // First, so that no change after the looks below goes unnoticed.
        self.gate.acceptor.register(cx.waker());
        if self.gate.stopped.load(Relaxed) {
            return Poll::Ready(Step::Stopped);
        }
        if !self.waiting.is_empty()
            && let Entry::Enters { rein } = self.gate.shares().enter(Holder::Own, Instant::now())
        {
            return Poll::Ready(Step::Enters(Place { gate: Arc::clone(&self.gate), holder: Holder::Own, rein }));
        }
        if self.gate.paused.load(Relaxed) || self.waiting.len() >= self.waiting_max {
            return Poll::Pending;
        }
        self.listener.poll_accept(cx).map(|accepted| match accepted {
            Ok((stream, peer)) => Step::Accepted(stream, peer),
            Err(error) => Step::Failed(error),
        })
    }

    fn receive(&mut self, stream: net::TcpStream, peer: SocketAddr) {
        // Another thread's from here on.
        let (Ok(local), Ok(stream)) = (stream.local_addr(), stream.into_std()) else { return };
        let holder = whose(&stream, peer, local);
        let entry = self.gate.shares().enter(holder, Instant::now());
        match entry {
            Entry::Enters { rein } => {
                let place = Place { gate: Arc::clone(&self.gate), holder, rein };
                self.hand_over(Accepted { stream, peer, local, place });
            }
            Entry::Waits => self.waiting.push_back(Waiting { stream, peer, local }),
            Entry::Full => self.refuse(&stream, holder, "it has as many as it may"),
            Entry::TooFast => self.refuse(&stream, holder, "it makes them too fast"),
        }
    }

    fn hand_over(&mut self, accepted: Accepted) {
        self.next = (self.next + 1) % self.workers.len();
        // A worker that is gone ends the process soon; what it was to serve ends here.
        let _ = self.workers[self.next].send(accepted);
    }

    /// Ends it at once, so that nothing of it stays, in the system neither.
    fn refuse(&self, stream: &TcpStream, holder: Holder, why: &str) {
        if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a refused connection is ended slowly");
        }
        if let Some(left_out) = self.refused.one_more() {
            tracing::warn!(?holder, left_out, "a connection is refused: {why}");
        }
    }
}

/// Whose it is. The kernel is asked by addresses and ports, and another program could have taken over those of one that
/// has ended: what it says counts as long as the connection has not ended afterwards.
fn whose(stream: &TcpStream, peer: SocketAddr, local: SocketAddr) -> Holder {
    let owner = || owner::of_peer(peer, local).filter(|_| stream.peer_addr().is_ok());
    Holder::of(peer, rustix::process::geteuid().as_raw(), owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::{UnboundedReceiver, error::TryRecvError, unbounded_channel};

    fn acceptor(connections: usize) -> (Acceptor, SocketAddr, UnboundedReceiver<Accepted>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = Bounds { connections, connects_per_second: 100, requests_per_second: 100 };
        let (worker, accepted) = unbounded_channel();
        (Acceptor::new(listener, Arc::new(Gate::new(bounds)), vec![worker], 1).unwrap(), address, accepted)
    }

    #[actix_rt::test]
    async fn the_own_users_wait_for_a_place_and_it_ends_when_it_is_stopped() {
        let (acceptor, address, mut accepted) = acceptor(2);
        let gate = Arc::clone(&acceptor.gate);
        let running = actix_rt::spawn(acceptor.run());
        let all: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let first = accepted.recv().await.unwrap();
        let second = accepted.recv().await.unwrap();
        assert!(first.place.is_own() && first.place.rein().is_none());
        assert_eq!(first.peer, all[0].local_addr().unwrap());
        tokio::task::yield_now().await;
        assert_eq!(accepted.try_recv().unwrap_err(), TryRecvError::Empty);
        drop(second);
        assert_eq!(accepted.recv().await.unwrap().peer, all[2].local_addr().unwrap());
        gate.stop();
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
            assert!(!first.place.is_own(), "{first:?}");
            assert!(accepted.recv().await.unwrap().place.is_own());
        }
        running.abort();
    }
}
