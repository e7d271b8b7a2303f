//! Queue of the requests of one client to one platform, as a value: no clock, no actor, no I/O.
//!
//! ```text
//! arrive ──slot──► backing off ──over──► pacing ──turn: circuit and back-off checked again──► running ──► settled
//!   │                ▲  ▲ └─ none: at once ─▲  │  └──── another is the probe ────► first in the queue
//!   └─► queue ──slot─┘  └────── a new failure ─┘  └──── circuit open: refused
//! ```
//!
//! Invariants: at most `in_flight_max` requests hold a slot; no slot is given while a probe runs; requests are
//! dispatched in the order of their arrival; each is granted or refused at most once.
//!
//! The pacing queue does not distinguish the target's requests: whichever place gets its turn, the request that arrived
//! first is dispatched.

use super::{
    admission::{PolicyRefusal, PolicyRule, WaitStage},
    circuit::CircuitDecision,
    deadline::{Deadline, signed_ms},
    lease::{ActivityKind, ActivityRecord},
    outcome::LeaseOutcome,
    target_health::{SweepReason, TargetHealth},
};
use crate::{clock::Moment, ids::RequestId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

mod forecast;
mod held_back;

pub(super) use forecast::{AdmissionForecast, WaitLocation};
pub(super) use held_back::GrantedRequest;
use held_back::WaitDurations;

#[derive(Clone, Copy, Debug)]
pub(super) struct TargetLimits {
    /// Most requests that hold a slot at once.
    pub(super) in_flight_max: usize,
    /// Most requests that wait for a slot; further ones are refused.
    pub(super) waiting_max: usize,
    /// Longest total waiting time of a request.
    pub(super) wait: Duration,
    /// Longest time that a lease may be idle.
    pub(super) idle: Duration,
    /// Interval between two sweeps.
    pub(super) sweep_interval: Duration,
}

/// An arriving request; `A` is the handle for its verdict.
#[derive(Clone, Debug)]
pub(super) struct QueueArrival<A> {
    pub(super) number: u64,
    pub(super) request_id: RequestId,
    pub(super) reply_to: A,
}

#[derive(Debug)]
struct QueuedRequest<A> {
    arrival: QueueArrival<A>,
    /// Position in the order of arrival.
    rank: u64,
    requested: Moment,
    until: Instant,
    waited: WaitDurations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderState {
    /// Waiting for the back-off to end.
    BackingOff,
    /// Waiting in the pacing queue, for the given rule.
    Pacing(PolicyRule),
    /// Dispatched.
    Running,
}

#[derive(Debug)]
struct SlotHolder<A> {
    request: QueuedRequest<A>,
    standing: HolderState,
    since: Instant,
    activity: Arc<ActivityRecord>,
}

/// An effect that the target actor has to perform.
#[derive(Debug)]
pub(super) enum TargetEffect<A> {
    Grant(GrantedRequest<A>),
    Refuse(A, PolicyRefusal),
    /// Adds a place to the pacing queue.
    Join(u64),
    /// Removes a place from the pacing queue.
    Leave(u64),
    /// Reports the lease as revoked.
    Sweep(A),
}

#[derive(Debug)]
pub(super) struct TargetQueue<A> {
    slots: TargetLimits,
    pub(super) health: TargetHealth,
    queue: VecDeque<QueuedRequest<A>>,
    holders: foldhash::HashMap<u64, SlotHolder<A>>,
    /// Slot holders that are not dispatched yet, by rank.
    held_back: BTreeMap<u64, u64>,
    /// Number of held-back requests that back off.
    backing_off: usize,
    /// Places in the pacing queue, by the number of the request that joined; there are as many as pacing requests.
    pacing_places: VecDeque<u64>,
    last_rank: u64,
    /// Time of the next sweep.
    sweep_at: Option<Instant>,
    /// Earliest time at which any lease can have been idle for too long.
    idle_from: Option<Instant>,
    last: Option<(Instant, ActivityKind)>,
}

impl<A: Clone> TargetQueue<A> {
    pub(super) fn new(slots: TargetLimits, health: TargetHealth) -> Self {
        assert!(slots.in_flight_max > 0, "a target without a slot never admits anything");
        TargetQueue {
            slots,
            health,
            queue: VecDeque::new(),
            holders: foldhash::HashMap::default(),
            held_back: BTreeMap::new(),
            backing_off: 0,
            pacing_places: VecDeque::new(),
            last_rank: 0,
            sweep_at: None,
            idle_from: None,
            last: None,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.holders.len()
    }

    /// Returns the number of slot holders that are not dispatched yet.
    pub(super) fn held_back(&self) -> usize {
        self.held_back.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Returns the last activity of any request.
    pub(super) fn last_activity(&self) -> Option<(Instant, ActivityKind)> {
        let living = self.holders.values().filter_map(|holder| holder.activity.last());
        self.last.into_iter().chain(living).max_by_key(|(at, _)| *at)
    }

    fn has_slot(&self) -> bool {
        self.holders.len() < self.slots.in_flight_max && !self.health.is_probing()
    }

    pub(super) fn arrive(&mut self, arrival: QueueArrival<A>, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        self.sweep(SweepReason::RequestBegin, now, effects);
        self.advance(now, effects);
        self.last_rank += 1;
        let until = now.instant + self.slots.wait;
        let request =
            QueuedRequest { arrival, rank: self.last_rank, requested: now, until, waited: WaitDurations::default() };
        if self.queue.is_empty() && self.has_slot() {
            self.take_slot(request, now, effects);
        } else if self.queue.len() < self.slots.waiting_max {
            self.queue.push_back(request);
        } else {
            effects.push(TargetEffect::Refuse(
                request.arrival.reply_to,
                PolicyRefusal::QueueFull { waiting: self.queue.len() },
            ));
        }
    }

    /// Advances all requests that can go on: slot holders first, then waiting ones.
    fn advance(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        self.advance_held_back(now, effects);
        // When the circuit admits a probe, the request that arrived first becomes it.
        if let Some(number) = self.held_back.values().next()
            && self.health.decide(*number, now) == CircuitDecision::Probe
        {
            self.health.start_probe(*number);
        }
        while self.queue.front().is_some_and(|first| first.until <= now.instant) {
            let Some(late) = self.queue.pop_front() else { break };
            let rule = self.queue_rule();
            effects.push(TargetEffect::Refuse(late.arrival.reply_to, self.wait_timeout(WaitStage::TargetSlot, rule)));
        }
        while self.has_slot() {
            let Some(next) = self.queue.pop_front() else { return };
            self.take_slot(next, now, effects);
        }
    }

    fn take_slot(&mut self, request: QueuedRequest<A>, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        let number = request.arrival.number;
        let ruling = self.health.decide(number, now);
        if let CircuitDecision::Refuse(until) = ruling {
            let refusal = self.health.circuit_refusal(&until, now);
            return effects.push(TargetEffect::Refuse(request.arrival.reply_to, refusal));
        }
        if let Some(until) = self.health.backoff(now.instant)
            && until.at() > request.until
        {
            let refusal = self.health.backoff_refusal(until, now);
            return effects.push(TargetEffect::Refuse(request.arrival.reply_to, refusal));
        }
        if ruling == CircuitDecision::Probe {
            self.health.start_probe(number);
        }
        let activity = Arc::new(ActivityRecord::new(now.instant));
        activity.touch(ActivityKind::SlotAcquired, now.instant);
        self.sweep_at.get_or_insert(now.instant + self.slots.sweep_interval);
        self.held_back.insert(request.rank, number);
        self.backing_off += 1;
        let holder = SlotHolder { request, standing: HolderState::BackingOff, since: now.instant, activity };
        self.holders.insert(number, holder);
        if self.health.backoff(now.instant).is_none() {
            self.start_pacing(number, now, effects);
        } else {
            self.touch(number, ActivityKind::BackoffWait, now.instant);
        }
    }

    /// Releases the slot of a request. Its place in the pacing queue, if any, is given up by [`Self::leave_pacing`].
    fn release_slot(&mut self, number: u64) -> Option<SlotHolder<A>> {
        let holder = self.holders.remove(&number)?;
        self.last = holder.activity.last().max(self.last);
        self.held_back.remove(&holder.request.rank);
        if holder.standing == HolderState::BackingOff {
            self.backing_off -= 1;
        }
        Some(holder)
    }

    /// Settles a lease. Returns false if no running request has this number.
    pub(super) fn settle(
        &mut self,
        number: u64,
        outcome: LeaseOutcome,
        now: Moment,
        effects: &mut Vec<TargetEffect<A>>,
    ) -> bool {
        if self.holders.get(&number).is_none_or(|holder| holder.standing != HolderState::Running) {
            return false;
        }
        let touch = match outcome {
            LeaseOutcome::Success => ActivityKind::CompleteSuccess,
            LeaseOutcome::Cancelled => ActivityKind::CompleteCancelled,
            LeaseOutcome::Failure(_) => ActivityKind::CompleteFailure,
        };
        self.release_slot(number);
        self.last = Some((now.instant, touch));
        self.health.record_end(number, outcome, now);
        self.advance(now, effects);
        true
    }

    /// Withdraws a waiting request. Returns false if none has this number.
    pub(super) fn withdraw(&mut self, number: u64, now: Moment, effects: &mut Vec<TargetEffect<A>>) -> bool {
        if let Some(place) = self.queue.iter().position(|request| request.arrival.number == number) {
            self.queue.remove(place);
            return true;
        }
        let standing = self.holders.get(&number).map(|holder| holder.standing);
        let Some(standing) = standing.filter(|standing| *standing != HolderState::Running) else { return false };
        self.release_slot(number);
        self.leave_pacing(standing, effects);
        self.health.record_end(number, LeaseOutcome::Cancelled, now);
        self.advance(now, effects);
        true
    }

    /// Resets the health; requests that waited for it go on.
    pub(super) fn reset(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        self.health.reset();
        self.advance(now, effects);
    }

    /// Advances the queue to the current time; safe to call at any time.
    pub(super) fn on_timer(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        if self.sweep_at.is_some_and(|at| at <= now.instant) {
            self.sweep(SweepReason::Interval, now, effects);
            self.sweep_at = (!self.holders.is_empty()).then(|| now.instant + self.slots.sweep_interval);
        }
        self.advance(now, effects);
    }

    fn wait_timeout(&self, stage: WaitStage, rule: PolicyRule) -> PolicyRefusal {
        let wait_timeout_ms = u64::try_from(self.slots.wait.as_millis()).unwrap_or(u64::MAX);
        PolicyRefusal::WaiterTimeout { stage, rule, wait_timeout_ms }
    }

    /// Returns the time of the next change that only time causes.
    pub(super) fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let first = self.queue.front().map(|first| first.until);
        let held_back = self.held_back.first_key_value().map(|(_, number)| self.holders[number].request.until);
        let backoff_end = (self.backing_off > 0).then(|| self.health.backoff(now).map_or(now, Deadline::at));
        [first, held_back, backoff_end, self.sweep_at].into_iter().flatten().min()
    }
}

impl<A: Clone> TargetQueue<A> {
    /// Revokes leases that have been idle for too long. Requests that still wait inside the policy show no activity and
    /// are left alone.
    fn sweep(&mut self, why: SweepReason, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        // Activity only moves this time later, so nothing can be found before it.
        if self.idle_from.is_none_or(|from| now.instant < from) {
            return;
        }
        let last_life = |holder: &SlotHolder<A>| holder.activity.last().map_or(holder.since, |(at, _)| at);
        let running = || self.holders.iter().filter(|(_, holder)| holder.standing == HolderState::Running);
        let idle = |at| now.instant.saturating_duration_since(at) >= self.slots.idle;
        let stale = running().map(|(number, holder)| (*number, last_life(holder))).filter(|(_, at)| idle(*at));
        let mut stale: Vec<_> = stale.collect();
        stale.sort_unstable();
        for (number, at) in stale {
            let Some(holder) = self.release_slot(number) else { continue };
            let request = holder.request.arrival;
            self.health.record_sweep(number, request.request_id, signed_ms(at, now.instant), why, now);
            effects.push(TargetEffect::Sweep(request.reply_to));
        }
        let running = self.holders.values().filter(|holder| holder.standing == HolderState::Running);
        self.idle_from = running.map(|holder| last_life(holder) + self.slots.idle).min();
        self.advance(now, effects);
    }
}
