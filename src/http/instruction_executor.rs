//! Executes instructions with the functions that the routes use, and returns results as the routes do.

mod model_view;

use super::{
    ServerCore, browser_status, describe,
    error::{ApiError, Code},
    route::{Feature, Surface},
    status,
};
use crate::{
    api::browser::BrowserState,
    host::{OperationOutcome, OperationRefusal},
    instructions::{self, InstructionAuthority, InstructionOutcome, InstructionPlan, Mandate},
    records::RecordFilter,
};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::Value;
use std::sync::Weak;
use tokio_util::sync::CancellationToken;

/// Executes instructions in a daemon. It holds a weak reference, since the daemon owns the instruction center that
/// calls it.
#[derive(Clone, Debug)]
pub struct LocalExecutor(Weak<ServerCore>);

impl LocalExecutor {
    /// Creates an executor for the daemon behind `core`.
    pub fn new(core: Weak<ServerCore>) -> Self {
        LocalExecutor(core)
    }
}

impl instructions::InstructionExecutor for LocalExecutor {
    fn execute<'a>(
        &'a self,
        plan: InstructionPlan,
        mandate: Mandate<'a>,
        stop: &'a CancellationToken,
    ) -> LocalBoxFuture<'a, InstructionOutcome> {
        Box::pin(async move {
            match self.0.upgrade() {
                Some(core) => execute_plan(&core, plan, mandate, stop).await,
                None => failed(&ApiError::new(Code::NotReady, "The service is stopping.")),
            }
        })
    }
}

async fn execute_plan(
    core: &ServerCore,
    plan: InstructionPlan,
    mandate: Mandate<'_>,
    stop: &CancellationToken,
) -> InstructionOutcome {
    let origin = mandate.origin;
    let described = |surface| succeeded(true, &describe::described(core, surface));
    match plan {
        InstructionPlan::Describe(instructions::DescribeSurface::Whole) => described(Surface::Both),
        InstructionPlan::Describe(instructions::DescribeSurface::Business) => described(Surface::Business),
        InstructionPlan::Describe(instructions::DescribeSurface::Control) => described(Surface::Control),
        InstructionPlan::Status => succeeded(true, &status::read(core).await),
        InstructionPlan::BrowserStatus(filter) => browser_status(core, filter, mandate).await,
        _ if !core.features.has(Feature::HostOps) => {
            failed(&ApiError::not_found("route", "Host operations are disabled (host_ops.enabled)."))
        }
        InstructionPlan::Exec(exec) => host_outcome(core.host.exec(exec, origin, stop).await),
        InstructionPlan::FilesRead(file) => host_outcome(core.host.read(file, origin).await),
        InstructionPlan::FilesWrite(file) => host_outcome(core.host.write(file, origin).await),
    }
}

/// Returns the browser status without the texts of messages, as for a caller without the token; to a model only what
/// concerns its own message.
async fn browser_status(core: &ServerCore, filter: RecordFilter, mandate: Mandate<'_>) -> InstructionOutcome {
    if mandate.authority == InstructionAuthority::Operator {
        return browser_status::read(core, filter, false, |state| succeeded(true, state)).await;
    }
    let filter = model_view::narrow_filter(filter, mandate.message);
    let whole = |state: &BrowserState<'_>| serde_json::to_value(state).unwrap_or_default();
    let whole = browser_status::read(core, filter, false, whole).await;
    succeeded(true, &model_view::redact(&whole, mandate.message))
}

fn host_outcome<R: Serialize>(outcome: Result<OperationOutcome<R>, OperationRefusal>) -> InstructionOutcome {
    match outcome {
        Ok(outcome) => succeeded(outcome.ok, &outcome),
        Err(refusal) => failed(&refusal.into()),
    }
}

fn succeeded(ok: bool, data: &impl Serialize) -> InstructionOutcome {
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
