//! The target actor: the requests of one client to one platform. What happens is decided in [`Line`]; here it is done.
//!
//! ```text
//! Acquire ──► line ──Enter──► gate ──Called──► line ──► granted (Lease) ──Settle──► slot to the next
//!    │          └── Withdraw, waiter timeout, open circuit, back-off too long: gone or refused
//! ```

use super::{
    admission::{Admission, Refusal},
    deadline::Deadline,
    events::{Shown, TargetChanged},
    gate::{self, Gate, KEEP_AFTER},
    health::Change,
    hub::Gates,
    lease::Lease,
    line::{Arrival, Effect, Granted, Line},
    memory::Memory,
    observer::{Observation, Observer},
};
use crate::{
    clock::{Clock, Moment},
    events::Bus,
    ids::{ClientId, PlatformName},
    roster::Load,
};
use actix::prelude::*;
use std::sync::Arc;
use tokio::time::Instant;

mod messages;
mod view;

pub(super) use messages::{Acquire, Asks, Called, Foresee, Keep, Paced, Reset, Settle, View, Withdraw};
pub(super) use view::Counts;
pub use view::TargetView;

/// What the policy says to a request, once or twice: an admitted one may be swept later.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Verdict {
    /// It may go out.
    Granted(Lease),
    /// It may not.
    Refused(Refusal),
    /// It showed no sign of life for too long; its lease was taken back.
    Swept,
}

type Who = Recipient<Verdict>;

/// What a target is made of.
pub(super) struct Setup {
    pub(super) client: ClientId,
    pub(super) platform: PlatformName,
    pub(super) line: Line<Who>,
    pub(super) gates: Gates,
    pub(super) clock: Clock,
    pub(super) events: Bus,
    pub(super) memory: Memory,
    pub(super) observer: Observer,
    /// Requests that are not over, and one more while something is to be kept.
    pub(super) load: Load,
}

/// The actor; one per (client, platform), started by the hub.
pub(super) struct Target {
    client: ClientId,
    platform: PlatformName,
    line: Line<Who>,
    effects: Vec<Effect<Who>>,
    gates: Gates,
    gate: Option<Addr<Gate>>,
    clock: Clock,
    events: Bus,
    memory: Memory,
    observer: Observer,
    /// What was last told.
    shown: Shown,
    alarm: Option<(Instant, SpawnHandle)>,
    keeping: Option<SpawnHandle>,
    load: Load,
}

impl Target {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { client, platform, line, gates, clock, events, memory, observer, load } = setup;
        Target {
            shown: Shown {
                circuit_state: line.health.circuit_state(),
                waiting: 0,
                consecutive_failures: line.health.failures,
            },
            client,
            platform,
            line,
            effects: Vec::new(),
            gates,
            gate: None,
            clock,
            events,
            memory,
            observer,
            alarm: None,
            keeping: None,
            load,
        }
    }

    /// The platform's gate; another one when that has died.
    fn gate(&mut self) -> Option<Addr<Gate>> {
        if self.gate.as_ref().is_none_or(|gate| !gate.connected()) {
            self.gate = self.gates.of(&self.platform);
        }
        self.gate.clone()
    }

    /// Does what the line decided, keeps and tells what changed, and arms the timer for what time alone decides.
    fn perform(&mut self, now: Moment, ctx: &mut Context<Self>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Grant(granted) => self.grant(granted, ctx),
                Effect::Refuse(who, refusal) => {
                    self.observer.tell(Observation::Refused(&refusal));
                    who.do_send(Verdict::Refused(refusal)); // bounded: one verdict a request
                    self.load.remove();
                }
                Effect::Enter(number) => {
                    if let Some(gate) = self.gate() {
                        gate.do_send(gate::Enter { number, target: ctx.address() }); // bounded by the slots
                    }
                }
                Effect::Leave(number) => {
                    if let Some(gate) = self.gate() {
                        gate.do_send(gate::Leave { number }); // bounded by the slots
                    }
                }
                Effect::Sweep(who) => {
                    self.observer.tell(Observation::Swept);
                    who.do_send(Verdict::Swept); // bounded: once a request
                    self.load.remove();
                }
            }
        }
        self.effects = effects;
        self.keep(ctx);
        self.tell(now);
        self.arm(now, ctx);
    }

    fn grant(&mut self, granted: Granted<Who>, ctx: &mut Context<Self>) {
        let [queue_delay_ms, backoff_delay_ms, rate_limit_delay_ms, jitter_delay_ms] = granted.delays_ms();
        let total = queue_delay_ms + backoff_delay_ms + rate_limit_delay_ms + jitter_delay_ms;
        let Granted { arrival: Arrival { number, request_id, who }, requested, circuit_state, activity, .. } = granted;
        let admission = Arc::new(Admission {
            request_id,
            platform: self.platform.clone(),
            target_client_id: self.client.clone(),
            requested_at: requested.wall,
            admitted_at: requested.wall + total,
            circuit_state,
            queue_delay_ms,
            backoff_delay_ms,
            rate_limit_delay_ms,
            jitter_delay_ms,
        });
        self.observer.tell(Observation::Admitted(&admission));
        let lease = Lease { target: ctx.address(), number, activity, settled: false, admission };
        // Bounded: one verdict a request. An applicant that is gone drops the lease, which then settles itself.
        who.do_send(Verdict::Granted(lease));
    }

    /// Has what changed kept: at once what decides about requests, else soon.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        match self.line.health.take_change() {
            Change::Nothing => {}
            Change::Minor if self.keeping.is_some() => {}
            Change::Minor => {
                self.load.add();
                self.keeping = Some(ctx.run_later(KEEP_AFTER, |target, _| target.keep_now()));
            }
            Change::Major => {
                if let Some(handle) = self.keeping {
                    ctx.cancel_future(handle);
                }
                self.keep_now();
            }
        }
    }

    fn keep_now(&mut self) {
        if self.keeping.take().is_some() {
            self.load.remove();
        }
        self.memory.keep_target(&self.client, &self.platform, &self.line.health);
    }

    /// Tells how things stand if that is news.
    fn tell(&mut self, now: Moment) {
        let health = &self.line.health;
        let (circuit_state, consecutive_failures) = (health.circuit_state(), health.failures);
        let shown = Shown { circuit_state, waiting: self.line.waiting(), consecutive_failures };
        if std::mem::replace(&mut self.shown, shown) == shown {
            return;
        }
        let wall = |until: &Deadline| until.wall(now);
        let changed = TargetChanged {
            client_id: self.client.clone(),
            platform: self.platform.clone(),
            circuit_state,
            in_flight: self.line.in_flight(),
            waiting: shown.waiting,
            consecutive_failures,
            backoff_until: health.backoff(now.instant).map(wall),
            circuit_retry_at: health.retry_at().map(wall),
            last_error: health.last_error.clone(),
        };
        changed.tell(&self.events);
    }

    /// Arms the one timer. One that is armed for an earlier time asks again by itself.
    fn arm(&mut self, now: Moment, ctx: &mut Context<Self>) {
        let Some(wanted) = self.line.alarm(now.instant) else { return };
        if let Some((armed, handle)) = self.alarm {
            if armed <= wanted {
                return;
            }
            ctx.cancel_future(handle);
        }
        let ring = |target: &mut Self, ctx: &mut Context<Self>| {
            target.alarm = None;
            let now = target.clock.moment();
            target.line.look(now, &mut target.effects);
            target.perform(now, ctx);
        };
        self.alarm = Some((wanted, ctx.run_later(wanted.saturating_duration_since(now.instant), ring)));
    }
}

impl Actor for Target {
    type Context = Context<Self>;
}

impl Target {
    fn view(&self, now: Moment) -> TargetView {
        let activity = self.line.last_activity();
        let counts = view::Counts {
            in_flight: self.line.in_flight(),
            held_back: self.line.held_back(),
            waiting: self.line.waiting(),
            activity: activity.map(|(at, reason)| (self.clock.at(at), reason)),
        };
        TargetView::of(&self.client, &self.platform, &self.line.health, counts, now)
    }
}
