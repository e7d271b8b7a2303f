//! Leases: a request first holds a pending lease, then a lease. Both release themselves when dropped.

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
use strum::VariantArray;
use tokio::time::Instant;

/// Kinds of activity of a request, roughly in the order in which they occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantArray)]
#[repr(u8)]
#[strum(serialize_all = "snake_case")]
pub enum ActivityKind {
    /// It took a slot.
    SlotAcquired,
    /// It waits for the end of the back-off.
    BackoffWait,
    /// It waits for room in the platform's window.
    RateLimitWait,
    /// It waits for its random pause.
    JitterWait,
    /// It was admitted.
    Admitted,
    /// It was sent to the client.
    Dispatched,
    /// Its stream was opened.
    StreamOpen,
    /// An event of its stream arrived.
    StreamEvent,
    /// The extension reported progress.
    Progress,
    /// The answer arrived.
    ResponseReceived,
    /// It succeeded.
    CompleteSuccess,
    /// It failed.
    CompleteFailure,
    /// It was cancelled.
    CompleteCancelled,
}

impl ActivityKind {
    /// Returns the name of the activity in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Time and kind of a request's last activity. Written at each event of a stream, so it takes no lock and reads no
/// clock.
#[derive(Debug)]
pub(super) struct ActivityRecord {
    /// Origin of `at_ms`.
    since: Instant,
    /// Milliseconds of the last activity, plus one; 0 before the first.
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

    pub(super) fn last(&self) -> Option<(Instant, ActivityKind)> {
        let ms = self.at_ms.load(Relaxed).checked_sub(1)?;
        let reason = ActivityKind::VARIANTS[usize::from(self.reason.load(Relaxed))];
        Some((self.since + Duration::from_millis(ms), reason))
    }
}

/// Permission to perform one request. Settles itself as cancelled when dropped.
#[derive(Debug)]
pub struct Lease {
    pub(super) target: Addr<PolicyTarget>,
    pub(super) number: u64,
    pub(super) activity: Arc<ActivityRecord>,
    pub(super) admission: Arc<Admission>,
    pub(super) settled: bool,
}

impl Lease {
    /// Returns the admission that the lease was granted with.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Records an activity of the request.
    pub fn touch(&self, reason: ActivityKind, now: Instant) {
        self.activity.touch(reason, now);
    }

    /// Returns the lease with the outcome of the request.
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

/// A request that waits for its lease. Dropping it withdraws the request, even if the lease is already on its way.
#[derive(Debug)]
pub struct PendingLease {
    pub(super) target: Addr<PolicyTarget>,
    pub(super) number: u64,
    pub(super) over: bool,
}

impl PendingLease {
    /// Returns what the request waits for; `None` once it waits no more.
    pub fn reason(&self) -> impl Future<Output = Option<WaitReason>> + use<> {
        let asked = self.target.send(GetWaitReason { number: self.number });
        async move { asked.await.ok().flatten() }
    }

    /// Marks the verdict as received, so that dropping withdraws nothing.
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
