//! Instructions, carried out by what their routes call, and answered as their routes answer.

mod models_view;

use super::{
    Core, describe,
    error::{ApiError, Code},
    route::{Feature, Surface},
    state, status,
};
use crate::{
    api::browser::BrowserState,
    host::{Outcome, Refusal},
    instructions::{self, InstructionAuthority, InstructionOutcome, InstructionPlan, Mandate},
    records::RecordFilter,
};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::Value;
use std::sync::Weak;
use tokio_util::sync::CancellationToken;

/// Carries instructions out in a daemon. It holds the daemon loosely: the daemon holds the center that calls this.
#[derive(Clone, Debug)]
pub struct Local(Weak<Core>);

impl Local {
    /// In this daemon.
    pub fn new(core: Weak<Core>) -> Self {
        Local(core)
    }
}

impl instructions::InstructionExecutor for Local {
    fn execute<'a>(
        &'a self,
        plan: InstructionPlan,
        mandate: Mandate<'a>,
        stop: &'a CancellationToken,
    ) -> LocalBoxFuture<'a, InstructionOutcome> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(core) => carry_out(&core, plan, mandate, stop).await,
                None => failed(&ApiError::new(Code::NotReady, "The service is stopping.")),
            }
        })
    }
}

async fn carry_out(
    core: &Core,
    plan: InstructionPlan,
    mandate: Mandate<'_>,
    stop: &CancellationToken,
) -> InstructionOutcome {
    let origin = mandate.origin;
    let described = |surface| done(true, &describe::described(core, surface));
    match plan {
        InstructionPlan::Describe(instructions::DescribeSurface::Whole) => described(Surface::Both),
        InstructionPlan::Describe(instructions::DescribeSurface::Business) => described(Surface::Business),
        InstructionPlan::Describe(instructions::DescribeSurface::Control) => described(Surface::Control),
        InstructionPlan::Status => done(true, &status::read(core).await),
        InstructionPlan::BrowserStatus(filter) => browser_status(core, filter, mandate).await,
        _ if !core.features.has(Feature::HostOps) => {
            failed(&ApiError::not_found("route", "Host operations are switched off."))
        }
        InstructionPlan::Exec(exec) => of_host(core.host.exec(exec, origin, stop).await),
        InstructionPlan::FilesRead(file) => of_host(core.host.read(file, origin).await),
        InstructionPlan::FilesWrite(file) => of_host(core.host.write(file, origin).await),
    }
}

/// Without the texts of messages, as a caller without the token sees it; to a model as much of that as is its business.
async fn browser_status(core: &Core, filter: RecordFilter, mandate: Mandate<'_>) -> InstructionOutcome {
    if mandate.authority == InstructionAuthority::Operator {
        return state::read(core, filter, false, |state| done(true, state)).await;
    }
    let filter = models_view::narrowed(filter, mandate.message);
    let whole = |state: &BrowserState<'_>| serde_json::to_value(state).unwrap_or_default();
    let whole = state::read(core, filter, false, whole).await;
    done(true, &models_view::told(&whole, mandate.message))
}

fn of_host<R: Serialize>(outcome: Result<Outcome<R>, Refusal>) -> InstructionOutcome {
    match outcome {
        Ok(outcome) => done(outcome.ok, &outcome),
        Err(refusal) => failed(&refusal.into()),
    }
}

fn done(ok: bool, data: &impl Serialize) -> InstructionOutcome {
    let data = serde_json::to_value(data).ok();
    InstructionOutcome { ok, http_status: 200, error: None, message: None, data, details: None }
}

fn failed(error: &ApiError) -> InstructionOutcome {
    let details = error.details();
    InstructionOutcome {
        ok: false,
        http_status: error.status_code(),
        error: Some(error.name().to_owned()),
        message: Some(error.message().to_owned()),
        data: None,
        details: (!details.is_empty()).then(|| Value::Object(details.clone())),
    }
}
