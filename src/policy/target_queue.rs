//! The requests of one client to one platform, as a value: who holds a slot, who waits, and for what. No clock, no actor,
//! no I/O.
//!
//! ```text
//! arrive ──slot──► resting ──back-off over──► pacing ──called: circuit, back-off again──► running ──► settled
//!   │                ▲  ▲ └── none: at once ──▲   │  └──── another is the probe ────► first in the queue
//!   └─► queue ──slot─┘  └────── a new failure ────┘  └──── circuit open: refused
//! ```
//!
//! Invariants: no more requests hold a slot than there are slots; while a probe is out nobody else takes one; requests
//! go out in the order of their arrival; each is granted or refused at most once.
//!
//! Places in the platform's line are all the same to it: whichever is called, the request that came first goes.

use super::{
    admission::{PolicyRefusal, PolicyRule, WaitStage},
    circuit::CircuitDecision,
    deadline::Deadline,
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
mod sweep;

pub(super) use forecast::{AdmissionForecast, WaitLocation};
pub(super) use held_back::GrantedRequest;
use held_back::WaitDurations;

/// The bounds of one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct TargetLimits {
    /// Requests that may hold a slot at once.
    pub(super) in_flight_max: usize,
    /// Requests that may wait for one; one more is refused.
    pub(super) waiting_max: usize,
    /// How long a request may wait, everything together.
    pub(super) wait: Duration,
    /// How long a lease may show no sign of life.
    pub(super) idle: Duration,
    /// How often leases are looked at for that.
    pub(super) sweep_interval: Duration,
}

/// A request that wants a lease; `A` is how to tell it.
#[derive(Clone, Debug)]
pub(super) struct QueueArrival<A> {
    pub(super) number: u64,
    pub(super) request_id: RequestId,
    pub(super) reply_to: A,
}

#[derive(Debug)]
struct QueuedRequest<A> {
    arrival: QueueArrival<A>,
    /// Ascending in order of arrival.
    rank: u64,
    requested: Moment,
    until: Instant,
    waited: WaitDurations,
}

/// Where a request that holds a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderState {
    /// It waits for the end of the back-off.
    BackingOff,
    /// It waits in the platform's line.
    Pacing(PolicyRule),
    /// It is out.
    Running,
}

#[derive(Debug)]
struct SlotHolder<A> {
    request: QueuedRequest<A>,
    standing: HolderState,
    since: Instant,
    activity: Arc<ActivityRecord>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum TargetEffect<A> {
    /// It may go out.
    Grant(GrantedRequest<A>),
    /// It may not.
    Refuse(A, PolicyRefusal),
    /// It joins the platform's line.
    Join(u64),
    /// It leaves the platform's line.
    Leave(u64),
    /// Its lease was taken back.
    Sweep(A),
}

/// The line.
#[derive(Debug)]
pub(super) struct TargetQueue<A> {
    slots: TargetLimits,
    pub(super) health: TargetHealth,
    queue: VecDeque<QueuedRequest<A>>,
    holders: foldhash::HashMap<u64, SlotHolder<A>>,
    /// Holders that are not out yet, by rank.
    held_back: BTreeMap<u64, u64>,
    /// Those of them that rest.
    backing_off: usize,
    /// The places in the platform's line, by the requests that took them: as many as there are that pace.
    pacing_places: VecDeque<u64>,
    last_rank: u64,
    /// The next look for leases without life.
    sweep_at: Option<Instant>,
    /// No lease can have shown no life for long enough before this.
    idle_from: Option<Instant>,
    last: Option<(Instant, ActivityKind)>,
}

impl<A: Clone> TargetQueue<A> {
    /// Nobody is there.
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

    /// Requests that hold a slot.
    pub(super) fn in_flight(&self) -> usize {
        self.holders.len()
    }

    /// Those of them that are not out yet.
    pub(super) fn held_back(&self) -> usize {
        self.held_back.len()
    }

    /// Requests that wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The last sign of life of any of them.
    pub(super) fn last_activity(&self) -> Option<(Instant, ActivityKind)> {
        let living = self.holders.values().filter_map(|holder| holder.activity.last());
        self.last.into_iter().chain(living).max_by_key(|(at, _)| *at)
    }

    fn has_slot(&self) -> bool {
        self.holders.len() < self.slots.in_flight_max && !self.health.is_probing()
    }

    /// A request arrives.
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

    /// Lets everybody go on who can: those who hold slots first, then those who wait for one.
    fn advance(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        self.advance_held_back(now, effects);
        // Where the circuit lets one find out, that is who came first.
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

    /// A request gives up its slot, and a place in the platform's line that it had: the last one of its target, since
    /// the others move up.
    fn release_slot(&mut self, number: u64) -> Option<SlotHolder<A>> {
        let holder = self.holders.remove(&number)?;
        self.last = holder.activity.last().max(self.last);
        self.held_back.remove(&holder.request.rank);
        if holder.standing == HolderState::BackingOff {
            self.backing_off -= 1;
        }
        Some(holder)
    }

    /// A lease came back. False when there is none of that number, or not any more.
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

    /// A waiting request leaves. False when none of that number waits.
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

    /// Failures, rest and circuit are forgotten; who waited for them goes on.
    pub(super) fn reset(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        self.health.reset();
        self.advance(now, effects);
    }

    /// Time has passed; safe to call at any time.
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

    /// When time alone changes something.
    pub(super) fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        let first = self.queue.front().map(|first| first.until);
        let held_back = self.held_back.first_key_value().map(|(_, number)| self.holders[number].request.until);
        let backoff_end = (self.backing_off > 0).then(|| self.health.backoff(now).map_or(now, Deadline::at));
        [first, held_back, backoff_end, self.sweep_at].into_iter().flatten().min()
    }
}
