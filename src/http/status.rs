//! `GET /v1/status`: the state of the daemon in numbers; cheap enough for frequent polling.

use super::{ServerCore, endpoint::ApiCall, error::ApiError, reply::ApiReply};
use crate::{
    api::status::{BridgeSummary, InstructionsSummary, ServiceStatus, StoreSummary},
    bridge::BridgeStatus,
    store::tasks,
};
use serde::Serialize;

/// `GET /v1/status`. Responds even if the store fails.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&read(&call.core).await))
}

/// The status, with the older spellings of the read-only listener.
#[derive(Serialize)]
struct LegacyStatus {
    #[serde(flatten)]
    status: ServiceStatus,
    #[serde(rename = "activeRuns")]
    active_runs: Option<i64>,
    #[serde(rename = "queuedTasks")]
    queued_tasks: Option<i64>,
}

/// `GET /v1/status` of the read-only listener.
pub(super) async fn show_legacy(call: ApiCall) -> Result<ApiReply, ApiError> {
    let status = read(&call.core).await;
    let (active_runs, queued_tasks) = (status.active_runs, status.queued_tasks);
    Ok(call.success(&LegacyStatus { status, active_runs, queued_tasks }))
}

/// Reads the current status.
pub(super) async fn read(core: &ServerCore) -> ServiceStatus {
    let faults = core.store_faults().await;
    let work = core.store.read_now(tasks::work).await.ok();
    let (client_count, active_client_id) = core.bridge.count();
    ServiceStatus {
        mode: core.system.mode(),
        version: crate::VERSION.into(),
        uptime_ms: u64::try_from(core.started_at.elapsed().as_millis()).unwrap_or(u64::MAX),
        active_runs: work.map(|work| work.active_runs),
        queued_tasks: work.map(|work| work.queued_tasks),
        in_flight_requests: core.relay.live_count(),
        bridge: BridgeSummary { status: BridgeStatus::of(client_count), client_count, active_client_id },
        store: StoreSummary { status: if faults.is_empty() { "ok" } else { "unavailable" }.into(), faults },
        instructions: InstructionsSummary { status: if core.instructions.is_enabled() { "on" } else { "off" }.into() },
        policy: core.policy.summary().await,
    }
}
