//! The target actor: the requests of one client to one platform.
//!
//! ```text
//! Acquire --slot free, nobody waits--> granted (Lease) --Settle--> slot to the next waiter
//!    |                                     ^
//!    '--else--> waiting, first in first out'--Withdraw--> gone, --waiter timeout--> refused
//! ```
//!
//! Invariant: leases that are out and not settled never exceed [`Slots::in_flight_max`]; each is settled once.

use super::{
    admission::{Admission, CircuitState, Refusal, Stage},
    events::{Shown, TargetChanged},
    hub::Applicant,
    lease::{Activity, Lease, Touch},
    outcome::Outcome,
};
use crate::{
    clock::{Clock, WallMs},
    events::Bus,
    ids::{ClientId, PlatformName},
    roster::Load,
};
use actix::prelude::*;
use serde::Serialize;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The bounds of one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// Requests that may be out at once.
    pub(super) in_flight_max: usize,
    /// Requests that may wait; one more is refused.
    pub(super) waiting_max: usize,
    /// How long one may wait.
    pub(super) wait: Duration,
}

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

struct Waiter {
    number: u64,
    applicant: Applicant,
    requested_at: WallMs,
    until: Instant,
}

/// What a target is made of.
pub(super) struct Setup {
    pub(super) client: ClientId,
    pub(super) platform: PlatformName,
    pub(super) limits: Slots,
    pub(super) clock: Clock,
    pub(super) events: Bus,
    /// Requests that are not over, and one more while failures are remembered.
    pub(super) load: Load,
}

/// The actor; one per (client, platform), started by the hub.
pub(super) struct Target {
    client: ClientId,
    platform: PlatformName,
    limits: Slots,
    clock: Clock,
    events: Bus,
    /// What was last told.
    shown: Shown,
    out: foldhash::HashSet<u64>,
    waiting: VecDeque<Waiter>,
    activity: Arc<Activity>,
    consecutive_failures: u32,
    last_error: Option<String>,
    last_failure_at: Option<WallMs>,
    last_success_at: Option<WallMs>,
    alarm: Option<SpawnHandle>,
    load: Load,
}

impl Target {
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { client, platform, limits, clock, events, load } = setup;
        assert!(limits.in_flight_max > 0, "a target without a slot never admits anything");
        Target {
            client,
            platform,
            limits,
            clock,
            events,
            shown: Shown::default(),
            out: foldhash::HashSet::default(),
            waiting: VecDeque::new(),
            activity: Arc::new(Activity::new(Instant::now())),
            consecutive_failures: 0,
            last_error: None,
            last_failure_at: None,
            last_success_at: None,
            alarm: None,
            load,
        }
    }

    fn grant(
        &mut self,
        number: u64,
        applicant: Applicant,
        requested_at: WallMs,
        admitted_at: WallMs,
        ctx: &mut Context<Self>,
    ) {
        self.activity.touch(Touch::Admitted, Instant::now());
        self.out.insert(number);
        let lease = Lease {
            target: ctx.address(),
            number,
            activity: Arc::clone(&self.activity),
            settled: false,
            admission: Arc::new(Admission {
                request_id: applicant.request_id,
                platform: self.platform.clone(),
                target_client_id: self.client.clone(),
                requested_at,
                admitted_at,
                circuit_state: CircuitState::Closed,
                queue_delay_ms: admitted_at - requested_at,
                backoff_delay_ms: 0,
                rate_limit_delay_ms: 0,
                jitter_delay_ms: 0,
            }),
        };
        // Bounded: one verdict a request. An applicant that is gone drops the lease, which then settles itself.
        applicant.answer_to.do_send(Verdict::Granted(lease));
    }

    /// Tells how things stand if that is news.
    fn tell(&mut self) {
        let shown = Shown {
            circuit_state: CircuitState::Closed,
            waiting: self.waiting.len(),
            consecutive_failures: self.consecutive_failures,
        };
        if std::mem::replace(&mut self.shown, shown) == shown {
            return;
        }
        let changed = TargetChanged {
            client_id: self.client.clone(),
            platform: self.platform.clone(),
            circuit_state: shown.circuit_state,
            in_flight: self.out.len(),
            waiting: shown.waiting,
            consecutive_failures: shown.consecutive_failures,
            last_error: self.last_error.clone(),
        };
        changed.tell(&self.events);
    }

    /// Grants what is free; safe to call at any time.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        while self.out.len() < self.limits.in_flight_max {
            let Some(next) = self.waiting.pop_front() else { break };
            let now = self.clock.now_ms();
            self.grant(next.number, next.applicant, next.requested_at, now, ctx);
        }
    }

    /// Refuses who waited too long, then sleeps until the next one will have. All wait equally long, so the first in
    /// line is the first to give up.
    fn expire(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        while self.waiting.front().is_some_and(|first| first.until <= now) {
            let Some(late) = self.waiting.pop_front() else { break };
            let wait_timeout_ms = u64::try_from(self.limits.wait.as_millis()).unwrap_or(u64::MAX);
            let refusal = Refusal::WaiterTimeout { stage: Stage::TargetSlot, wait_timeout_ms };
            late.applicant.answer_to.do_send(Verdict::Refused(refusal)); // bounded: one verdict a request
            self.load.remove();
        }
        self.alarm = self.waiting.front().map(|first| ctx.run_later(first.until - now, Self::expire));
        self.tell();
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
        let requested_at = self.clock.now_ms();
        if self.waiting.is_empty() && self.out.len() < self.limits.in_flight_max {
            return self.grant(number, applicant, requested_at, requested_at, ctx);
        }
        if self.waiting.len() >= self.limits.waiting_max {
            self.load.remove();
            let refusal = Refusal::QueueFull { waiting: self.waiting.len() };
            return applicant.answer_to.do_send(Verdict::Refused(refusal)); // bounded: one verdict a request
        }
        let until = Instant::now() + self.limits.wait;
        self.waiting.push_back(Waiter { number, applicant, requested_at, until });
        if self.alarm.is_none() {
            self.alarm = Some(ctx.run_later(self.limits.wait, Self::expire));
        }
        self.tell();
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

    fn handle(&mut self, Withdraw { number }: Withdraw, _: &mut Self::Context) {
        let waiting = self.waiting.len();
        self.waiting.retain(|waiter| waiter.number != number);
        if self.waiting.len() < waiting {
            self.load.remove();
            self.tell();
        }
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
        if !self.out.remove(&number) {
            return;
        }
        let now = self.clock.now_ms();
        let touch = match outcome {
            Outcome::Success => {
                if std::mem::take(&mut self.consecutive_failures) > 0 {
                    self.load.remove();
                }
                self.last_error = None;
                self.last_success_at = Some(now);
                Touch::CompleteSuccess
            }
            Outcome::Failure(failed) => {
                if self.consecutive_failures == 0 {
                    self.load.add();
                }
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                self.last_error = Some(failed.error);
                self.last_failure_at = Some(now);
                Touch::CompleteFailure
            }
            Outcome::Cancelled => Touch::CompleteCancelled,
        };
        self.activity.touch(touch, Instant::now());
        self.load.remove();
        self.pump(ctx);
        self.tell();
    }
}

/// Asks how things stand.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(super) struct View;

/// One target, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetView {
    /// Whose requests.
    pub client_id: ClientId,
    /// To which platform.
    pub platform: PlatformName,
    /// Whether requests pass.
    pub circuit_state: CircuitState,
    /// Requests that are out.
    pub in_flight: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// What failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<WallMs>,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<WallMs>,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<WallMs>,
    /// What that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_reason: Option<&'static str>,
    /// Leases that were taken back.
    pub stale_sweep_count: u64,
}

impl Handler<View> for Target {
    type Result = MessageResult<View>;

    fn handle(&mut self, _: View, _: &mut Self::Context) -> Self::Result {
        let last = self.activity.last();
        MessageResult(TargetView {
            client_id: self.client.clone(),
            platform: self.platform.clone(),
            circuit_state: CircuitState::Closed,
            in_flight: self.out.len(),
            waiting: self.waiting.len(),
            consecutive_failures: self.consecutive_failures,
            last_error: self.last_error.clone(),
            last_failure_at: self.last_failure_at,
            last_success_at: self.last_success_at,
            last_activity_at: last.map(|(at, _)| self.clock.at(at)),
            last_activity_reason: last.map(|(_, reason)| reason.name()),
            stale_sweep_count: 0,
        })
    }
}

#[cfg(test)]
mod tests;
