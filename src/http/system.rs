//! `/v1/system`: the mode and its changes; `/v1/controllers`: this node.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    fields,
    paging::{PageInfo, PageLimit},
    reply::ApiReply,
};
use crate::{
    api::system::{Controller, ControllerList, ModeChangeRequest, SystemNode, SystemState},
    mode::{Mode, SystemView},
    store::tasks::{self, WorkCounts},
    system::settings::NodeSettings,
};

const CONTROLLERS_LIMIT: PageLimit = PageLimit { default: 20, max: 100 };

/// `GET /v1/system/state`.
pub(super) async fn state(call: ApiCall) -> Result<ApiReply, ApiError> {
    let work = call.core.store.read_now(tasks::work).await?;
    Ok(state_reply(&call, call.core.system.state(), work))
}

/// `POST /v1/system/pause`.
pub(super) async fn pause(call: ApiCall) -> Result<ApiReply, ApiError> {
    change(call, Mode::Paused).await
}

/// `POST /v1/system/resume`.
pub(super) async fn resume(call: ApiCall) -> Result<ApiReply, ApiError> {
    change(call, Mode::Running).await
}

/// `POST /v1/system/drain`.
pub(super) async fn drain(call: ApiCall) -> Result<ApiReply, ApiError> {
    change(call, Mode::Draining).await
}

async fn change(call: ApiCall, mode: Mode) -> Result<ApiReply, ApiError> {
    let reason = fields::short_reason(&call.fields()?, ModeChangeRequest::reason())?;
    // Read before the change: an error then means that the mode is unchanged.
    let work = call.core.store.read_now(tasks::work).await?;
    let system = call.core.system.change(mode, reason).await?;
    Ok(state_reply(&call, system, work))
}

fn state_reply(call: &ApiCall, system: SystemView, work: WorkCounts) -> ApiReply {
    let core = &call.core;
    // One daemon owns a state folder, so it is always the leader.
    let (leader, in_flight_requests) = (true, core.relay.live_count());
    let NodeSettings { id, host, role } = core.system.node();
    let node = SystemNode { id: id.into(), host: host.into(), role: role.into() };
    call.success(&SystemState { system, work, in_flight_requests, leader, node })
}

/// `GET /v1/controllers`: this node only.
pub(super) async fn controllers(call: ApiCall) -> Result<ApiReply, ApiError> {
    CONTROLLERS_LIMIT.requested(&call)?;
    let (system, identity) = (&call.core.system, call.core.bridge.identity());
    let NodeSettings { id, host, role } = system.node();
    let this = Controller {
        controller_id: id.into(),
        host: host.into(),
        role: role.into(),
        version: crate::VERSION.into(),
        status: "active".into(),
        started_at: identity.started_at,
        last_heartbeat_at: system.now_ms(),
        is_leader: true,
    };
    Ok(call.success(&ControllerList { controllers: [this], page_info: PageInfo { count: 1, next_before: None } }))
}
