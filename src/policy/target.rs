//! The target actor: the requests of one client to one platform. What happens is decided in [`Line`]; here it is done.
//!
//! ```text
//! Acquire ──► line ──Enter──► gate ──Called──► line ──► granted (Lease) ──Settle──► slot to the next
//!    │          └── Withdraw, waiter timeout, open circuit, back-off too long: gone or refused
//! ```

use super::{
    admission::{Admission, Reason, Refusal, Rule},
    deadline::Deadline,
    events::{Shown, TargetChanged},
    gate::{self, Gate, KEEP_AFTER, Ticket},
    health::Change,
    hub::{Applicant, Gates},
    lease::Lease,
    line::{Arrival, Effect, Granted, Line, Prospect, WaitsFor},
    memory::Memory,
    observer::{Observation, Observer},
    outcome::Outcome,
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

mod view;

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
    /// Requests that are not over, and one more while something is remembered that decides about the next.
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
    remembers: bool,
    alarm: Option<(Instant, SpawnHandle)>,
    keeping: Option<SpawnHandle>,
    load: Load,
}

impl Target {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { client, platform, line, gates, clock, events, memory, observer, load } = setup;
        let remembers = line.health.remembers();
        if remembers {
            load.add();
        }
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
            remembers,
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
                    self.observer.tell(Observation::Refused(refusal.rule()));
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
            Change::Minor => self.keeping = Some(ctx.run_later(KEEP_AFTER, |target, _| target.keep_now())),
            Change::Major => {
                if let Some(handle) = self.keeping.take() {
                    ctx.cancel_future(handle);
                }
                self.keep_now();
                let remembers = self.line.health.remembers();
                match (std::mem::replace(&mut self.remembers, remembers), remembers) {
                    (false, true) => self.load.add(),
                    (true, false) => self.load.remove(),
                    _ => {}
                }
            }
        }
    }

    fn keep_now(&mut self) {
        self.keeping = None;
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

/// Asks for a lease; the verdict goes to the applicant.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Acquire {
    pub(super) number: u64,
    pub(super) applicant: Applicant,
}

impl Handler<Acquire> for Target {
    type Result = ();

    fn handle(&mut self, Acquire { number, applicant }: Acquire, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        let arrival = Arrival { number, request_id: applicant.request_id, who: applicant.answer_to };
        self.line.arrive(arrival, now, &mut self.effects);
        self.perform(now, ctx);
    }
}

/// A waiter has left.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Withdraw {
    pub(super) number: u64,
}

impl Handler<Withdraw> for Target {
    type Result = ();

    fn handle(&mut self, Withdraw { number }: Withdraw, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        if self.line.withdraw(number, now, &mut self.effects) {
            self.load.remove();
        }
        self.perform(now, ctx);
    }
}

/// The gate says what a request waits for.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Paced {
    pub(super) number: u64,
    pub(super) why: Rule,
}

impl Handler<Paced> for Target {
    type Result = ();

    fn handle(&mut self, Paced { number, why }: Paced, _: &mut Self::Context) {
        self.line.waits(number, why, Instant::now());
    }
}

/// The gate calls a request up.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Called(pub(super) Ticket);

impl Handler<Called> for Target {
    type Result = ();

    fn handle(&mut self, Called(ticket): Called, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        if self.line.called(&ticket.turn, now, &mut self.effects) {
            ticket.used();
        }
        self.perform(now, ctx);
    }
}

/// A lease has come back; only a [`Lease`] sends it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Settle {
    pub(super) number: u64,
    pub(super) outcome: Outcome,
}

impl Handler<Settle> for Target {
    type Result = ();

    fn handle(&mut self, Settle { number, outcome }: Settle, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        if self.line.settle(number, outcome, now, &mut self.effects) {
            self.load.remove();
        }
        self.perform(now, ctx);
    }
}

/// Forgets failures, back-off and circuit; answers what they were.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(super) struct Reset;

impl Handler<Reset> for Target {
    type Result = MessageResult<Reset>;

    fn handle(&mut self, _: Reset, ctx: &mut Self::Context) -> Self::Result {
        let now = self.clock.moment();
        let before = self.view(now);
        self.line.reset(now, &mut self.effects);
        self.perform(now, ctx);
        self.load.remove(); // this was the one thing to do
        MessageResult(before)
    }
}

/// Asks what a request waits for.
#[derive(Message)]
#[rtype(result = "Option<Reason>")]
pub(super) struct Asks {
    pub(super) number: u64,
}

impl Handler<Asks> for Target {
    type Result = ResponseFuture<Option<Reason>>;

    fn handle(&mut self, Asks { number }: Asks, _: &mut Self::Context) -> Self::Result {
        let now = self.clock.moment();
        match self.line.waits_for(number, now) {
            None => Box::pin(async { None }),
            Some(WaitsFor::Target(reason)) => Box::pin(async { Some(reason) }),
            Some(WaitsFor::Platform(place)) => {
                let asked = self.gate().map(|gate| gate.send(gate::Foretell { number: Some(place) }));
                Box::pin(async move {
                    let outlook = asked?.await.ok().flatten()?;
                    super::explain::of_platform(&outlook, now).into_iter().next()
                })
            }
        }
    }
}

/// Asks what a request made now would meet.
#[derive(Message)]
#[rtype(result = "Prospect")]
pub(super) struct Foresee;

impl Handler<Foresee> for Target {
    type Result = MessageResult<Foresee>;

    fn handle(&mut self, _: Foresee, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.line.prospect(self.clock.moment()))
    }
}

/// Keeps at once what is not kept yet.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Keep;

impl Handler<Keep> for Target {
    type Result = ();

    fn handle(&mut self, _: Keep, ctx: &mut Self::Context) {
        if let Some(handle) = self.keeping.take() {
            ctx.cancel_future(handle);
            self.keep_now();
        }
    }
}

/// Asks how things stand.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(super) struct View;

impl Handler<View> for Target {
    type Result = MessageResult<View>;

    fn handle(&mut self, _: View, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view(self.clock.moment()))
    }
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
