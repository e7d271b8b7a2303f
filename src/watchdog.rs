//! Detects dead threads of the daemon, so that the process can exit and be restarted.
//!
//! The actors of a dead thread cannot be recovered: callers would wait forever for a daemon that looks alive. So every thread
//! that runs actors sends heartbeats, which a separate thread counts.
//!
//! ```text
//! watched thread:  beat ── beat ── beat ──      │ exited, or ten rounds without a beat
//! watchdog:        round ─ round ─ round ─ … ─► on_death(ThreadDeath)
//! ```
//!
//! It counts rounds and not time: a suspended process or machine misses only one round.

use parking_lot::{Condvar, Mutex};
use std::{
    fmt, io,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Rounds without a beat after which a thread counts as dead.
const MISSED_ROUNDS_MAX: u32 = 10;
/// Minimum length of a round.
const ROUND_MIN: Duration = Duration::from_millis(10);

/// A dead thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadDeath {
    /// Name of the thread.
    pub thread: &'static str,
    /// Cause.
    pub cause: DeathCause,
}

/// Why a thread counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// The thread exists but makes no progress.
    Hung,
    /// The thread has exited.
    Exited,
}

impl fmt::Display for DeathCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeathCause::Hung => "is hung",
            DeathCause::Exited => "has exited",
        })
    }
}

/// A handle of the watchdog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watchdog(Arc<WatchdogShared>);

#[derive(Debug)]
struct WatchdogShared {
    state: Mutex<WatchState>,
    disarmed: Condvar,
    round: Duration,
}

#[derive(Debug, Default)]
struct WatchState {
    threads: Vec<WatchedThread>,
    is_disarmed: bool,
}

#[derive(Debug)]
struct WatchedThread {
    name: &'static str,
    /// The thread drops its counter when it exits.
    beats: Weak<AtomicU64>,
    /// Whether a thread without beats counts as dead.
    must_beat: bool,
    seen: u64,
    missed: u32,
}

impl WatchedThread {
    /// Updates the thread's state at the end of a round. Returns the cause if it is dead.
    fn check_round(&mut self) -> Option<DeathCause> {
        let Some(beats) = self.beats.upgrade() else { return Some(DeathCause::Exited) };
        let beats = beats.load(Relaxed);
        self.missed = if beats == self.seen { self.missed.saturating_add(1) } else { 0 };
        self.seen = beats;
        (self.must_beat && self.missed >= MISSED_ROUNDS_MAX).then_some(DeathCause::Hung)
    }
}

impl WatchdogShared {
    /// Counts rounds until a thread is dead; returns `None` if the watchdog was disarmed.
    fn wait_for_death(&self) -> Option<ThreadDeath> {
        let mut state = self.state.lock();
        loop {
            self.disarmed.wait_for(&mut state, self.round);
            if state.is_disarmed {
                return None;
            }
            let found = state.threads.iter_mut().find_map(|watch| {
                let cause = watch.check_round()?;
                Some(ThreadDeath { thread: watch.name, cause })
            });
            if found.is_some() {
                return found;
            }
        }
    }
}

impl Watchdog {
    /// Starts the watchdog's thread. `timeout`: time after which a thread without beats is dead. `on_death` is called on the
    /// watchdog's thread, once, with the first dead thread.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub fn start(timeout: Duration, on_death: impl FnOnce(ThreadDeath) + Send + 'static) -> io::Result<Self> {
        let round = (timeout / MISSED_ROUNDS_MAX).max(ROUND_MIN);
        let shared = Arc::new(WatchdogShared { state: Mutex::default(), disarmed: Condvar::new(), round });
        let watching = Arc::clone(&shared);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            if let Some(death) = watching.wait_for_death() {
                on_death(death);
            }
        })?;
        Ok(Watchdog(shared))
    }

    /// Watches the thread of the current arbiter.
    pub fn watch(&self, name: &'static str) {
        let (beats, round) = (self.register(name, true), self.0.round);
        actix_rt::spawn(async move {
            loop {
                beats.fetch_add(1, Relaxed);
                crate::failpoints::point(name);
                tokio::time::sleep(round).await;
            }
        });
    }

    /// Watches something by a probe that runs on the current arbiter. It is dead when the probe returns `false`; a probe that
    /// does not return means that it is busy.
    pub fn watch_with_probe<F>(&self, name: &'static str, mut is_there: impl FnMut() -> F + 'static)
    where
        F: Future<Output = bool> + 'static,
    {
        let (beats, round) = (self.register(name, false), self.0.round);
        actix_rt::spawn(async move {
            while is_there().await {
                tokio::time::sleep(round).await;
            }
            drop(beats);
        });
    }

    fn register(&self, name: &'static str, must_beat: bool) -> Arc<AtomicU64> {
        let beats = Arc::new(AtomicU64::new(0));
        let watch = WatchedThread { name, beats: Arc::downgrade(&beats), must_beat, seen: 0, missed: 0 };
        self.0.state.lock().threads.push(watch);
        beats
    }

    /// Stops the watchdog: threads may exit from now on.
    pub fn disarm(&self) {
        self.0.state.lock().is_disarmed = true;
        self.0.disarmed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    /// Far longer than any of these deaths takes.
    const TEST_TIMEOUT: Duration = Duration::from_secs(20);

    fn started(timeout_ms: u64) -> (Watchdog, Receiver<ThreadDeath>) {
        let (sender, deaths) = channel();
        let on_death = move |death| sender.send(death).unwrap();
        (Watchdog::start(Duration::from_millis(timeout_ms), on_death).unwrap(), deaths)
    }

    fn on_a_thread(watch: impl FnOnce() + Send + 'static) -> actix_rt::Arbiter {
        let arbiter = actix_rt::Arbiter::new();
        arbiter.spawn_fn(watch);
        arbiter
    }

    #[test]
    fn a_thread_that_exits_is_dead() {
        let system = actix_rt::System::new();
        let (watchdog, deaths) = started(100);
        let watching = watchdog.clone();
        let (registered, registration) = channel();
        let arbiter = on_a_thread(move || {
            watching.watch("worker");
            registered.send(()).unwrap();
        });
        registration.recv_timeout(TEST_TIMEOUT).unwrap();
        arbiter.stop();
        assert_eq!(deaths.recv_timeout(TEST_TIMEOUT), Ok(ThreadDeath { thread: "worker", cause: DeathCause::Exited }));
        drop(system);
    }

    #[test]
    fn a_thread_without_beats_is_dead() {
        let system = actix_rt::System::new();
        let (watchdog, deaths) = started(300);
        let (lively, stuck) = (watchdog.clone(), watchdog);
        let _lively = on_a_thread(move || lively.watch("lively"));
        let (release, held) = channel::<()>();
        let _stuck = on_a_thread(move || {
            stuck.watch("stuck");
            held.recv().unwrap_or_default();
        });
        assert_eq!(deaths.recv_timeout(TEST_TIMEOUT), Ok(ThreadDeath { thread: "stuck", cause: DeathCause::Hung }));
        drop((release, system));
    }

    #[test]
    fn a_probe_that_returns_false_means_death_and_one_that_does_not_return_does_not() {
        let system = actix_rt::System::new();
        let (watchdog, deaths) = started(100);
        let (asking, dead) = (watchdog.clone(), watchdog.clone());
        let _silent = on_a_thread(move || asking.watch_with_probe("silent", std::future::pending));
        let mut answers = vec![false, true, true];
        let _other = on_a_thread(move || {
            dead.watch_with_probe("other", move || std::future::ready(answers.pop().unwrap()));
        });
        assert_eq!(deaths.recv_timeout(TEST_TIMEOUT), Ok(ThreadDeath { thread: "other", cause: DeathCause::Exited }));
        drop(system);
    }

    #[test]
    fn rounds_are_counted_and_not_time() {
        let beats = Arc::new(AtomicU64::new(0));
        let mut watch = WatchedThread { name: "x", beats: Arc::downgrade(&beats), must_beat: true, seen: 0, missed: 0 };
        for _ in 1..MISSED_ROUNDS_MAX {
            assert_eq!(watch.check_round(), None);
        }
        beats.fetch_add(1, Relaxed);
        assert_eq!(watch.check_round(), None, "a beat resets the count");
        for _ in 1..MISSED_ROUNDS_MAX {
            assert_eq!(watch.check_round(), None);
        }
        assert_eq!(watch.check_round(), Some(DeathCause::Hung));
    }

    #[test]
    fn a_disarmed_watchdog_reports_nothing() {
        let (watchdog, deaths) = started(100);
        drop(watchdog.register("gone", true));
        watchdog.disarm();
        // The thread exits and drops the sender.
        let deaths = deaths.recv_timeout(TEST_TIMEOUT);
        assert_eq!(deaths, Err(RecvTimeoutError::Disconnected));
    }
}
