//! Messages of the target actor.

use super::{PolicyTarget, TargetView};
use crate::{
    failpoints,
    policy::{
        admission::{PolicyRule, WaitReason},
        explain,
        hub::LeaseRequest,
        outcome::LeaseOutcome,
        platform_pacer::{self, PacingPermit},
        target_queue::{AdmissionForecast, QueueArrival, WaitLocation},
    },
};
use actix::prelude::*;
use tokio::time::Instant;

/// Applies for a lease; the verdict is sent to `reply_to`.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct AcquireLease {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) applicant: LeaseRequest,
}

impl Handler<AcquireLease> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, AcquireLease { number, applicant }: AcquireLease, ctx: &mut Self::Context) {
        failpoints::point("target");
        let now = self.now();
        let arrival = QueueArrival { number, request_id: applicant.request_id, reply_to: applicant.reply_to };
        self.queue.arrive(arrival, now, &mut self.effects);
        self.perform(now, ctx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct WithdrawRequest {
    pub(in crate::policy) number: u64,
}

impl Handler<WithdrawRequest> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, WithdrawRequest { number }: WithdrawRequest, ctx: &mut Self::Context) {
        let now = self.now();
        let known = self.queue.withdraw(number, now, &mut self.effects);
        self.perform(now, ctx);
        if known {
            self.load.remove();
        }
    }
}

/// Reports what a request waits for in the pacing queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct PacingWait {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) why: PolicyRule,
}

impl Handler<PacingWait> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, PacingWait { number, why }: PacingWait, _: &mut Self::Context) {
        self.queue.set_pacing_wait(number, why, Instant::now());
    }
}

/// Gives a request its turn in the pacing queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct PacingGranted(pub(in crate::policy) PacingPermit);

impl Handler<PacingGranted> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, PacingGranted(permit): PacingGranted, ctx: &mut Self::Context) {
        let now = self.now();
        if self.queue.on_pacing_turn(&permit.turn, now, &mut self.effects) {
            permit.used(now);
        }
        self.perform(now, ctx);
    }
}

/// Returns a lease; sent by [`Lease`](crate::policy::Lease) only.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct SettleLease {
    pub(in crate::policy) number: u64,
    pub(in crate::policy) outcome: LeaseOutcome,
}

impl Handler<SettleLease> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, SettleLease { number, outcome }: SettleLease, ctx: &mut Self::Context) {
        let now = self.now();
        let known = self.queue.settle(number, outcome, now, &mut self.effects);
        // The health is persisted before the target can be replaced by another.
        self.perform(now, ctx);
        if known {
            self.load.remove();
        }
    }
}

/// Resets failures, back-off and circuit; answers with the state from before.
#[derive(Message)]
#[rtype(result = "TargetView")]
pub(in crate::policy) struct ResetTarget;

impl Handler<ResetTarget> for PolicyTarget {
    type Result = MessageResult<ResetTarget>;

    fn handle(&mut self, _: ResetTarget, ctx: &mut Self::Context) -> Self::Result {
        let now = self.now();
        let before = self.view(now);
        self.queue.reset(now, &mut self.effects);
        self.perform(now, ctx);
        MessageResult(before)
    }
}

#[derive(Message)]
#[rtype(result = "Option<WaitReason>")]
pub(in crate::policy) struct GetWaitReason {
    pub(in crate::policy) number: u64,
}

impl Handler<GetWaitReason> for PolicyTarget {
    type Result = ResponseFuture<Option<WaitReason>>;

    fn handle(&mut self, GetWaitReason { number }: GetWaitReason, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        match self.queue.wait_location(number, now) {
            None => Box::pin(async { None }),
            Some(WaitLocation::Target(reason)) => Box::pin(async { Some(reason) }),
            Some(WaitLocation::Platform(place)) => {
                let asked =
                    self.pacer().map(|pacer| pacer.send(platform_pacer::ForecastPacing { number: Some(place) }));
                Box::pin(async move {
                    let pacing_forecast = asked?.await.ok().flatten()?;
                    explain::of_platform(&pacing_forecast, now).into_iter().next()
                })
            }
        }
    }
}

/// Asks what a request made now would have to wait for.
#[derive(Message)]
#[rtype(result = "AdmissionForecast")]
pub(in crate::policy) struct ForecastAdmission;

impl Handler<ForecastAdmission> for PolicyTarget {
    type Result = MessageResult<ForecastAdmission>;

    fn handle(&mut self, _: ForecastAdmission, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.queue.forecast(self.now()))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::policy) struct PersistTarget;

impl Handler<PersistTarget> for PolicyTarget {
    type Result = ();

    fn handle(&mut self, _: PersistTarget, ctx: &mut Self::Context) {
        if let Some(handle) = self.persist_timer {
            ctx.cancel_future(handle);
            self.persist_now();
        }
    }
}

#[derive(Message)]
#[rtype(result = "TargetView")]
pub(in crate::policy) struct GetTargetView;

impl Handler<GetTargetView> for PolicyTarget {
    type Result = MessageResult<GetTargetView>;

    fn handle(&mut self, _: GetTargetView, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view(self.now()))
    }
}
