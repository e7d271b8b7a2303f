//! What a request holds of the policy: its place in the queue, then its lease. Both give themselves back.

use super::{
    admission::{Admission, Reason},
    outcome::Outcome,
    target::{Asks, Settle, Target, Withdraw},
};
use actix::Addr;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A sign of life of a request, newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Touch {
    /// It got its slot.
    SlotAcquired,
    /// It waits for the end of the back-off.
    BackoffWait,
    /// It waits for room in the platform's window.
    RateLimitWait,
    /// It waits at random.
    JitterWait,
    /// It may go out.
    Admitted,
    /// It went out.
    Dispatched,
    /// Its stream was opened.
    StreamOpen,
    /// An event came.
    StreamEvent,
    /// The extension still works on it.
    Progress,
    /// The answer came.
    ResponseReceived,
    /// It ended well.
    CompleteSuccess,
    /// It ended otherwise.
    CompleteFailure,
    /// It was cancelled.
    CompleteCancelled,
}

impl Touch {
    const ALL: [Touch; 13] = [
        Touch::SlotAcquired,
        Touch::BackoffWait,
        Touch::RateLimitWait,
        Touch::JitterWait,
        Touch::Admitted,
        Touch::Dispatched,
        Touch::StreamOpen,
        Touch::StreamEvent,
        Touch::Progress,
        Touch::ResponseReceived,
        Touch::CompleteSuccess,
        Touch::CompleteFailure,
        Touch::CompleteCancelled,
    ];

    /// The reason as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Touch::SlotAcquired => "slot_acquired",
            Touch::BackoffWait => "backoff_wait",
            Touch::RateLimitWait => "rate_limit_wait",
            Touch::JitterWait => "jitter_wait",
            Touch::Admitted => "admitted",
            Touch::Dispatched => "dispatched",
            Touch::StreamOpen => "stream_open",
            Touch::StreamEvent => "stream_event",
            Touch::Progress => "progress",
            Touch::ResponseReceived => "response_received",
            Touch::CompleteSuccess => "complete_success",
            Touch::CompleteFailure => "complete_failure",
            Touch::CompleteCancelled => "complete_cancelled",
        }
    }
}

/// When a request last showed life, and how. Written at each event of a stream, so it takes no lock and
/// asks no clock: it is given the moment.
#[derive(Debug)]
pub(super) struct Activity {
    /// What the milliseconds count from.
    since: Instant,
    /// Of the last sign of life, plus one; 0 when there was none.
    at_ms: AtomicU64,
    reason: AtomicU8,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Activity { since: now, at_ms: AtomicU64::new(0), reason: AtomicU8::new(0) }
    }

    pub(super) fn touch(&self, reason: Touch, now: Instant) {
        let ms = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX - 1);
        self.at_ms.store(ms + 1, Relaxed);
        self.reason.store(reason as u8, Relaxed);
    }

    /// The last sign of life.
    pub(super) fn last(&self) -> Option<(Instant, Touch)> {
        let ms = self.at_ms.load(Relaxed).checked_sub(1)?;
        let reason = Touch::ALL[usize::from(self.reason.load(Relaxed))];
        Some((self.since + Duration::from_millis(ms), reason))
    }
}

/// The right to perform one request; settles itself as cancelled when dropped.
#[derive(Debug)]
pub struct Lease {
    pub(super) target: Addr<Target>,
    pub(super) number: u64,
    pub(super) activity: Arc<Activity>,
    pub(super) admission: Arc<Admission>,
    pub(super) settled: bool,
}

impl Lease {
    /// What was decided when it was granted.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// A sign of life.
    pub fn touch(&self, reason: Touch, now: Instant) {
        self.activity.touch(reason, now);
    }

    /// Gives it back with how the request ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.settled, true) {
            // Bounded: a target has no more leases than slots.
            self.target.do_send(Settle { number: self.number, outcome });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(Outcome::Cancelled);
    }
}

/// A place in the queue; leaves it when dropped, also when the lease has come: the target then knows nothing of it.
#[derive(Debug)]
pub struct Waiting {
    pub(super) target: Addr<Target>,
    pub(super) number: u64,
    pub(super) over: bool,
}

impl Waiting {
    /// Asks what is waited for; nothing once that is over.
    pub fn reason(&self) -> impl Future<Output = Option<Reason>> + use<> {
        let asked = self.target.send(Asks { number: self.number });
        async move { asked.await.ok().flatten() }
    }

    /// The verdict has come: there is no place to leave any more.
    pub fn done(mut self) {
        self.over = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            // Bounded: a request waits once.
            self.target.do_send(Withdraw { number: self.number });
        }
    }
}
