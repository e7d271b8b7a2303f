//! Notices a thread of the daemon that is dead, so that the process can end and be started anew.
//!
//! A dead thread takes its actors with it, and nothing in the process can bring them back: callers would wait for ever at
//! a daemon that looks alive. So every thread that runs actors beats, and one thread that does nothing else counts.
//!
//! ```text
//! watched thread:  beat ── beat ── beat ──      │ ended, or ten rounds without a beat
//! watchdog:        round ─ round ─ round ─ … ─► died(Death)
//! ```
//!
//! It counts rounds and not time: a process that was stopped, or a machine that slept, has missed one round and no more.

use std::{
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Rounds without a beat after which a thread is dead.
const ROUNDS: u32 = 10;
/// The shortest round.
const SHORTEST_ROUND: Duration = Duration::from_millis(10);

/// What the watchdog found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// What the thread is called.
    pub thread: &'static str,
    /// How it died.
    pub how: How,
}

/// How a thread died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is there and does nothing.
    StandsStill,
    /// It is gone.
    Ended,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::StandsStill => "stands still",
            How::Ended => "has ended",
        })
    }
}

/// The handle of the watchdog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watchdog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    watched: Mutex<Watched>,
    disarmed: Condvar,
    round: Duration,
}

#[derive(Debug, Default)]
struct Watched {
    threads: Vec<Watch>,
    over: bool,
}

#[derive(Debug)]
struct Watch {
    name: &'static str,
    /// Dropped by the thread when it ends.
    beats: Weak<AtomicU64>,
    /// Whether doing nothing is death too.
    must_beat: bool,
    seen: u64,
    missed: u32,
}

impl Watch {
    /// One more round has gone by.
    fn look(&mut self) -> Option<How> {
        let Some(beats) = self.beats.upgrade() else { return Some(How::Ended) };
        let beats = beats.load(Relaxed);
        self.missed = if beats == self.seen { self.missed.saturating_add(1) } else { 0 };
        self.seen = beats;
        (self.must_beat && self.missed >= ROUNDS).then_some(How::StandsStill)
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts until somebody is dead; nothing when it was disarmed before.
    fn wait_for_death(&self) -> Option<Death> {
        let mut watched = self.watched();
        loop {
            let waited = self.disarmed.wait_timeout(watched, self.round);
            watched = waited.unwrap_or_else(PoisonError::into_inner).0;
            if watched.over {
                return None;
            }
            let found = watched.threads.iter_mut().find_map(|watch| {
                let how = watch.look()?;
                Some(Death { thread: watch.name, how })
            });
            if found.is_some() {
                return found;
            }
        }
    }
}

impl Watchdog {
    /// Starts the thread. `patience`: how long a watched thread may do nothing; `died` is called there, once, with the
    /// first one found dead.
    ///
    /// # Errors
    ///
    /// The system gives no further thread.
    pub fn start(patience: Duration, died: impl FnOnce(Death) + Send + 'static) -> io::Result<Self> {
        let round = (patience / ROUNDS).max(SHORTEST_ROUND);
        let shared = Arc::new(Shared { watched: Mutex::default(), disarmed: Condvar::new(), round });
        let watching = Arc::clone(&shared);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            if let Some(death) = watching.wait_for_death() {
                died(death);
            }
        })?;
        Ok(Watchdog(shared))
    }

    /// Watches the current arbiter's thread from now on.
    pub fn watch(&self, name: &'static str) {
        let (beats, round) = (self.enter(name, true), self.0.round);
        actix_rt::spawn(async move {
            loop {
                beats.fetch_add(1, Relaxed);
                crate::faults::point(name);
                tokio::time::sleep(round).await;
            }
        });
    }

    /// Watches something that is asked from the current arbiter whether it is there. One that does not answer is busy,
    /// not dead; one that answers `false` is.
    pub fn watch_by_asking<F>(&self, name: &'static str, mut is_there: impl FnMut() -> F + 'static)
    where
        F: Future<Output = bool> + 'static,
    {
        let (beats, round) = (self.enter(name, false), self.0.round);
        actix_rt::spawn(async move {
            while is_there().await {
                tokio::time::sleep(round).await;
            }
            drop(beats);
        });
    }

    fn enter(&self, name: &'static str, must_beat: bool) -> Arc<AtomicU64> {
        let beats = Arc::new(AtomicU64::new(0));
        let watch = Watch { name, beats: Arc::downgrade(&beats), must_beat, seen: 0, missed: 0 };
        self.0.watched().threads.push(watch);
        beats
    }

    /// Ends it: threads may end from now on.
    pub fn disarm(&self) {
        self.0.watched().over = true;
        self.0.disarmed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    /// Far more than a death takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn started(patience_ms: u64) -> (Watchdog, Receiver<Death>) {
        let (tell, told) = channel();
        let died = move |death| tell.send(death).unwrap();
        (Watchdog::start(Duration::from_millis(patience_ms), died).unwrap(), told)
    }

    fn on_a_thread(watch: impl FnOnce() + Send + 'static) -> actix_rt::Arbiter {
        let arbiter = actix_rt::Arbiter::new();
        arbiter.spawn_fn(watch);
        arbiter
    }

    #[test]
    fn a_thread_that_ends_is_dead() {
        let system = actix_rt::System::new();
        let (watchdog, told) = started(100);
        let watching = watchdog.clone();
        let (entered, is_watched) = channel();
        let arbiter = on_a_thread(move || {
            watching.watch("worker");
            entered.send(()).unwrap();
        });
        is_watched.recv_timeout(PATIENCE).unwrap();
        arbiter.stop();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Death { thread: "worker", how: How::Ended }));
        drop(system);
    }

    #[test]
    fn a_thread_that_does_nothing_is_dead_and_one_that_beats_is_not() {
        let system = actix_rt::System::new();
        let (watchdog, told) = started(300);
        let (lively, stuck) = (watchdog.clone(), watchdog);
        let _lively = on_a_thread(move || lively.watch("lively"));
        let (release, held) = channel::<()>();
        let _stuck = on_a_thread(move || {
            stuck.watch("stuck");
            held.recv().unwrap_or_default();
        });
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Death { thread: "stuck", how: How::StandsStill }));
        drop((release, system));
    }

    #[test]
    fn what_is_asked_is_dead_when_it_says_so_and_not_when_it_says_nothing() {
        let system = actix_rt::System::new();
        let (watchdog, told) = started(100);
        let (asking, dead) = (watchdog.clone(), watchdog.clone());
        let _silent = on_a_thread(move || asking.watch_by_asking("silent", std::future::pending));
        let mut answers = vec![false, true, true];
        let _other = on_a_thread(move || {
            dead.watch_by_asking("other", move || std::future::ready(answers.pop().unwrap()));
        });
        assert_eq!(told.recv_timeout(PATIENCE), Ok(Death { thread: "other", how: How::Ended }));
        drop(system);
    }

    #[test]
    fn rounds_are_counted_and_not_time() {
        let beats = Arc::new(AtomicU64::new(0));
        let mut watch = Watch { name: "x", beats: Arc::downgrade(&beats), must_beat: true, seen: 0, missed: 0 };
        for _ in 1..ROUNDS {
            assert_eq!(watch.look(), None);
        }
        beats.fetch_add(1, Relaxed);
        assert_eq!(watch.look(), None, "a beat begins anew");
        for _ in 1..ROUNDS {
            assert_eq!(watch.look(), None);
        }
        assert_eq!(watch.look(), Some(How::StandsStill));
    }

    #[test]
    fn once_disarmed_it_says_nothing() {
        let (watchdog, told) = started(100);
        drop(watchdog.enter("gone", true));
        watchdog.disarm();
        // The thread ends, and with it what it would tell through.
        let told = told.recv_timeout(PATIENCE);
        assert_eq!(told, Err(RecvTimeoutError::Disconnected));
    }
}
