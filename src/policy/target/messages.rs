//! The messages that a target answers.

use super::{Target, TargetView};
use crate::{
    faults,
    policy::{
        admission::{Reason, Rule},
        explain,
        gate::{self, Ticket},
        hub::Applicant,
        line::{Arrival, Prospect, WaitsFor},
        outcome::Outcome,
    },
};
use actix::prelude::*;
use tokio::time::Instant;

/// Asks for a lease; the verdict goes to the applicant.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct Acquire {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) applicant: Applicant,
}

impl Handler<Acquire> for Target {
    type Result = ();

    fn handle(&mut self, Acquire { number, applicant }: Acquire, ctx: &mut Self::Context) {
        faults::point("target");
        let now = self.clock.moment();
        let arrival = Arrival { number, request_id: applicant.request_id, who: applicant.answer_to };
        self.line.arrive(arrival, now, &mut self.effects);
        self.perform(now, ctx);
    }
}

/// A waiter has left.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct Withdraw {
    pub(in crate::policy) number: u64,
}

impl Handler<Withdraw> for Target {
    type Result = ();

    fn handle(&mut self, Withdraw { number }: Withdraw, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        let known = self.line.withdraw(number, now, &mut self.effects);
        self.perform(now, ctx);
        if known {
            self.load.remove();
        }
    }
}

/// The gate says what a request waits for.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct Paced {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) why: Rule,
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
pub(in crate::policy) struct Called(pub(in crate::policy) Ticket);

impl Handler<Called> for Target {
    type Result = ();

    fn handle(&mut self, Called(ticket): Called, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        if self.line.called(&ticket.turn, now, &mut self.effects) {
            ticket.used(now);
        }
        self.perform(now, ctx);
    }
}

/// A lease has come back; only a [`Lease`](crate::policy::Lease) sends it.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct Settle {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) outcome: Outcome,
}

impl Handler<Settle> for Target {
    type Result = ();

    fn handle(&mut self, Settle { number, outcome }: Settle, ctx: &mut Self::Context) {
        let now = self.clock.moment();
        let known = self.line.settle(number, outcome, now, &mut self.effects);
        // What it taught is kept before the target may give its place to another.
        self.perform(now, ctx);
        if known {
            self.load.remove();
        }
    }
}

/// Forgets failures, back-off and circuit; answers what they were.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(in crate::policy) struct Reset;

impl Handler<Reset> for Target {
    type Result = MessageResult<Reset>;

    fn handle(&mut self, _: Reset, ctx: &mut Self::Context) -> Self::Result {
        let now = self.clock.moment();
        let before = self.view(now);
        self.line.reset(now, &mut self.effects);
        self.perform(now, ctx);
        MessageResult(before)
    }
}

/// Asks what a request waits for.
#[derive(Message)]
#[rtype(result = "Option<Reason>")]
pub(in crate::policy) struct Asks {
    pub(in crate::policy) number: u64,
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
                    explain::of_platform(&outlook, now).into_iter().next()
                })
            }
        }
    }
}

/// Asks what a request made now would meet.
#[derive(Message)]
#[rtype(result = "Prospect")]
pub(in crate::policy) struct Foresee;

impl Handler<Foresee> for Target {
    type Result = MessageResult<Foresee>;

    fn handle(&mut self, _: Foresee, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.line.prospect(self.clock.moment()))
    }
}

/// Keeps at once what is not kept yet.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct Keep;

impl Handler<Keep> for Target {
    type Result = ();

    fn handle(&mut self, _: Keep, ctx: &mut Self::Context) {
        if let Some(handle) = self.keeping {
            ctx.cancel_future(handle);
            self.keep_now();
        }
    }
}

/// Asks how things stand.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(in crate::policy) struct View;

impl Handler<View> for Target {
    type Result = MessageResult<View>;

    fn handle(&mut self, _: View, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view(self.clock.moment()))
    }
}
