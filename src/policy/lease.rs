//! What a request holds of the policy: its place in the queue, then its lease. Both give themselves back.

use super::{
    admission::{Admission, WaitReason},
    outcome::LeaseOutcome,
    target::{GetWaitReason, PolicyTarget, SettleLease, WithdrawRequest},
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
pub enum ActivityKind {
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

impl ActivityKind {
    const ALL: [ActivityKind; 13] = [
        ActivityKind::SlotAcquired,
        ActivityKind::BackoffWait,
        ActivityKind::RateLimitWait,
        ActivityKind::JitterWait,
        ActivityKind::Admitted,
        ActivityKind::Dispatched,
        ActivityKind::StreamOpen,
        ActivityKind::StreamEvent,
        ActivityKind::Progress,
        ActivityKind::ResponseReceived,
        ActivityKind::CompleteSuccess,
        ActivityKind::CompleteFailure,
        ActivityKind::CompleteCancelled,
    ];

    /// The reason as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            ActivityKind::SlotAcquired => "slot_acquired",
            ActivityKind::BackoffWait => "backoff_wait",
            ActivityKind::RateLimitWait => "rate_limit_wait",
            ActivityKind::JitterWait => "jitter_wait",
            ActivityKind::Admitted => "admitted",
            ActivityKind::Dispatched => "dispatched",
            ActivityKind::StreamOpen => "stream_open",
            ActivityKind::StreamEvent => "stream_event",
            ActivityKind::Progress => "progress",
            ActivityKind::ResponseReceived => "response_received",
            ActivityKind::CompleteSuccess => "complete_success",
            ActivityKind::CompleteFailure => "complete_failure",
            ActivityKind::CompleteCancelled => "complete_cancelled",
        }
    }
}

/// When a request last showed life, and how. Written at each event of a stream, so it takes no lock and
/// asks no clock: it is given the moment.
#[derive(Debug)]
pub(super) struct ActivityRecord {
    /// What the milliseconds count from.
    since: Instant,
    /// Of the last sign of life, plus one; 0 when there was none.
    at_ms: AtomicU64,
    reason: AtomicU8,
}

impl ActivityRecord {
    pub(super) fn new(now: Instant) -> Self {
        ActivityRecord { since: now, at_ms: AtomicU64::new(0), reason: AtomicU8::new(0) }
    }

    pub(super) fn touch(&self, reason: ActivityKind, now: Instant) {
        let ms = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX - 1);
        self.at_ms.store(ms + 1, Relaxed);
        self.reason.store(reason as u8, Relaxed);
    }

    /// The last sign of life.
    pub(super) fn last(&self) -> Option<(Instant, ActivityKind)> {
        let ms = self.at_ms.load(Relaxed).checked_sub(1)?;
        let reason = ActivityKind::ALL[usize::from(self.reason.load(Relaxed))];
        Some((self.since + Duration::from_millis(ms), reason))
    }
}

/// The right to perform one request; settles itself as cancelled when dropped.
#[derive(Debug)]
pub struct Lease {
    pub(super) target: Addr<PolicyTarget>,
    pub(super) number: u64,
    pub(super) activity: Arc<ActivityRecord>,
    pub(super) admission: Arc<Admission>,
    pub(super) settled: bool,
}

impl Lease {
    /// What was decided when it was granted.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// A sign of life.
    pub fn touch(&self, reason: ActivityKind, now: Instant) {
        self.activity.touch(reason, now);
    }

    /// Gives it back with how the request ended.
    pub fn settle(mut self, outcome: LeaseOutcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: LeaseOutcome) {
        if !std::mem::replace(&mut self.settled, true) {
            // Bounded: a target has no more leases than slots.
            self.target.do_send(SettleLease { number: self.number, outcome });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(LeaseOutcome::Cancelled);
    }
}

/// A place in the queue; leaves it when dropped, also when the lease has come: the target then knows nothing of it.
#[derive(Debug)]
pub struct PendingLease {
    pub(super) target: Addr<PolicyTarget>,
    pub(super) number: u64,
    pub(super) over: bool,
}

impl PendingLease {
    /// Asks what is waited for; nothing once that is over.
    pub fn reason(&self) -> impl Future<Output = Option<WaitReason>> + use<> {
        let asked = self.target.send(GetWaitReason { number: self.number });
        async move { asked.await.ok().flatten() }
    }

    /// The verdict has come: there is no place to leave any more.
    pub fn done(mut self) {
        self.over = true;
    }
}

impl Drop for PendingLease {
    fn drop(&mut self) {
        if !self.over {
            // Bounded: a request waits once.
            self.target.do_send(WithdrawRequest { number: self.number });
        }
    }
}
