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
    admission::{Refusal, Rule, Stage},
    circuit::Ruling,
    deadline::Deadline,
    health::{Health, SweepReason},
    lease::{Activity, Touch},
    outcome::Outcome,
};
use crate::{clock::Moment, ids::RequestId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

mod held_back;
mod outlook;
mod sweep;

pub(super) use held_back::Granted;
use held_back::Waited;
pub(super) use outlook::{Prospect, WaitsFor};

/// The bounds of one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
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
pub(super) struct Arrival<A> {
    pub(super) number: u64,
    pub(super) request_id: RequestId,
    pub(super) who: A,
}

#[derive(Debug)]
struct Request<A> {
    arrival: Arrival<A>,
    /// Ascending in order of arrival.
    rank: u64,
    requested: Moment,
    until: Instant,
    waited: Waited,
}

/// Where a request that holds a slot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It waits for the end of the back-off.
    Resting,
    /// It waits in the platform's line.
    Pacing(Rule),
    /// It is out.
    Running,
}

#[derive(Debug)]
struct Holder<A> {
    request: Request<A>,
    standing: Standing,
    since: Instant,
    activity: Arc<Activity>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect<A> {
    /// It may go out.
    Grant(Granted<A>),
    /// It may not.
    Refuse(A, Refusal),
    /// It joins the platform's line.
    Enter(u64),
    /// It leaves the platform's line.
    Leave(u64),
    /// Its lease was taken back.
    Sweep(A),
}

/// The line.
#[derive(Debug)]
pub(super) struct Line<A> {
    slots: Slots,
    pub(super) health: Health,
    queue: VecDeque<Request<A>>,
    holders: foldhash::HashMap<u64, Holder<A>>,
    /// Holders that are not out yet, by rank.
    held_back: BTreeMap<u64, u64>,
    /// Those of them that rest.
    resting: usize,
    /// The places in the platform's line, by the requests that took them: as many as there are that pace.
    places: VecDeque<u64>,
    ranks: u64,
    /// The next look for leases without life.
    sweep_at: Option<Instant>,
    /// No lease can have shown no life for long enough before this.
    idle_from: Option<Instant>,
    last: Option<(Instant, Touch)>,
}

impl<A: Clone> Line<A> {
    /// Nobody is there.
    pub(super) fn new(slots: Slots, health: Health) -> Self {
        assert!(slots.in_flight_max > 0, "a target without a slot never admits anything");
        Line {
            slots,
            health,
            queue: VecDeque::new(),
            holders: foldhash::HashMap::default(),
            held_back: BTreeMap::new(),
            resting: 0,
            places: VecDeque::new(),
            ranks: 0,
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
    pub(super) fn last_activity(&self) -> Option<(Instant, Touch)> {
        let living = self.holders.values().filter_map(|holder| holder.activity.last());
        self.last.into_iter().chain(living).max_by_key(|(at, _)| *at)
    }

    fn has_slot(&self) -> bool {
        self.holders.len() < self.slots.in_flight_max && !self.health.probe_is_out()
    }

    /// A request arrives.
    pub(super) fn arrive(&mut self, arrival: Arrival<A>, now: Moment, effects: &mut Vec<Effect<A>>) {
        self.sweep(SweepReason::RequestBegin, now, effects);
        self.go_on(now, effects);
        self.ranks += 1;
        let until = now.instant + self.slots.wait;
        let request = Request { arrival, rank: self.ranks, requested: now, until, waited: Waited::default() };
        if self.queue.is_empty() && self.has_slot() {
            self.take_slot(request, now, effects);
        } else if self.queue.len() < self.slots.waiting_max {
            self.queue.push_back(request);
        } else {
            effects.push(Effect::Refuse(request.arrival.who, Refusal::QueueFull { waiting: self.queue.len() }));
        }
    }

    /// Lets everybody go on who can: those who hold slots first, then those who wait for one.
    fn go_on(&mut self, now: Moment, effects: &mut Vec<Effect<A>>) {
        self.look_at_held_back(now, effects);
        // Where the circuit lets one find out, that is who came first.
        if let Some(number) = self.held_back.values().next()
            && self.health.rule(*number, now) == Ruling::Probe
        {
            self.health.probes(*number);
        }
        while self.queue.front().is_some_and(|first| first.until <= now.instant) {
            let Some(late) = self.queue.pop_front() else { break };
            let rule = self.queue_rule();
            effects.push(Effect::Refuse(late.arrival.who, self.too_late(Stage::TargetSlot, rule)));
        }
        while self.has_slot() {
            let Some(next) = self.queue.pop_front() else { return };
            self.take_slot(next, now, effects);
        }
    }

    fn take_slot(&mut self, request: Request<A>, now: Moment, effects: &mut Vec<Effect<A>>) {
        let number = request.arrival.number;
        let ruling = self.health.rule(number, now);
        if let Ruling::Refuse(until) = ruling {
            let refusal = self.health.circuit_open(&until, now);
            return effects.push(Effect::Refuse(request.arrival.who, refusal));
        }
        if let Some(until) = self.health.backoff(now.instant)
            && until.at() > request.until
        {
            let refusal = self.health.rests_too_long(until, now);
            return effects.push(Effect::Refuse(request.arrival.who, refusal));
        }
        if ruling == Ruling::Probe {
            self.health.probes(number);
        }
        let activity = Arc::new(Activity::new(now.instant));
        activity.touch(Touch::SlotAcquired, now.instant);
        self.sweep_at.get_or_insert(now.instant + self.slots.sweep_interval);
        self.held_back.insert(request.rank, number);
        self.resting += 1;
        let holder = Holder { request, standing: Standing::Resting, since: now.instant, activity };
        self.holders.insert(number, holder);
        if self.health.backoff(now.instant).is_none() {
            self.pace(number, now, effects);
        } else {
            self.touch(number, Touch::BackoffWait, now.instant);
        }
    }

    /// A request gives up its slot, and a place in the platform's line that it had: the last one of its target, since
    /// the others move up.
    fn let_go(&mut self, number: u64) -> Option<Holder<A>> {
        let holder = self.holders.remove(&number)?;
        self.last = holder.activity.last().max(self.last);
        self.held_back.remove(&holder.request.rank);
        if holder.standing == Standing::Resting {
            self.resting -= 1;
        }
        Some(holder)
    }

    /// A lease came back. False when there is none of that number, or not any more.
    pub(super) fn settle(&mut self, number: u64, outcome: Outcome, now: Moment, effects: &mut Vec<Effect<A>>) -> bool {
        if self.holders.get(&number).is_none_or(|holder| holder.standing != Standing::Running) {
            return false;
        }
        let touch = match outcome {
            Outcome::Success => Touch::CompleteSuccess,
            Outcome::Cancelled => Touch::CompleteCancelled,
            Outcome::Failure(_) => Touch::CompleteFailure,
        };
        self.let_go(number);
        self.last = Some((now.instant, touch));
        self.health.ended(number, outcome, now);
        self.go_on(now, effects);
        true
    }

    /// A waiting request leaves. False when none of that number waits.
    pub(super) fn withdraw(&mut self, number: u64, now: Moment, effects: &mut Vec<Effect<A>>) -> bool {
        if let Some(place) = self.queue.iter().position(|request| request.arrival.number == number) {
            self.queue.remove(place);
            return true;
        }
        let standing = self.holders.get(&number).map(|holder| holder.standing);
        let Some(standing) = standing.filter(|standing| *standing != Standing::Running) else { return false };
        self.let_go(number);
        self.leave_platform(standing, effects);
        self.health.ended(number, Outcome::Cancelled, now);
        self.go_on(now, effects);
        true
    }

    /// Failures, rest and circuit are forgotten; who waited for them goes on.
    pub(super) fn reset(&mut self, now: Moment, effects: &mut Vec<Effect<A>>) {
        self.health.reset();
        self.go_on(now, effects);
    }

    /// Time has passed; safe to call at any time.
    pub(super) fn look(&mut self, now: Moment, effects: &mut Vec<Effect<A>>) {
        if self.sweep_at.is_some_and(|at| at <= now.instant) {
            self.sweep(SweepReason::Interval, now, effects);
            self.sweep_at = (!self.holders.is_empty()).then(|| now.instant + self.slots.sweep_interval);
        }
        self.go_on(now, effects);
    }

    fn too_late(&self, stage: Stage, rule: Rule) -> Refusal {
        let wait_timeout_ms = u64::try_from(self.slots.wait.as_millis()).unwrap_or(u64::MAX);
        Refusal::WaiterTimeout { stage, rule, wait_timeout_ms }
    }

    /// When time alone changes something.
    pub(super) fn alarm(&self, now: Instant) -> Option<Instant> {
        let first = self.queue.front().map(|first| first.until);
        let held_back = self.held_back.first_key_value().map(|(_, number)| self.holders[number].request.until);
        let rest_ends = (self.resting > 0).then(|| self.health.backoff(now).map_or(now, Deadline::at));
        [first, held_back, rest_ends, self.sweep_at].into_iter().flatten().min()
    }
}
