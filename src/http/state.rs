//! `GET /v1/browser`: the operator's view of clients, platforms and policy.

use super::{callers::Caller, endpoint::Call, error::ApiError, reply::Reply};
use crate::{
    bridge::{BridgeView, ClientView},
    ids::{ClientId, PlatformName},
    policy::{Limits, PlatformView, TargetView},
};
use serde::Serialize;

#[derive(Serialize)]
struct State<'a> {
    bridge: &'a BridgeView,
    current_client: Option<&'a ClientView>,
    platforms: Vec<PlatformState<'a>>,
    policy: PolicyState,
}

#[derive(Serialize)]
struct PlatformState<'a> {
    platform: &'a PlatformName,
    title: &'a str,
    shell_url: &'a str,
    supported_modes: Vec<&'static str>,
    ready: bool,
    client_ids: Vec<ClientId>,
    extractor_drift: u64,
}

#[derive(Serialize)]
struct PolicyState {
    defaults: Limits,
    platforms: Vec<PlatformView>,
    targets: Vec<TargetView>,
}

/// `GET /v1/browser`. The texts of final messages are shown to the bearer of the token alone.
pub(super) async fn show(call: Call) -> Result<Reply, ApiError> {
    let core = &call.core;
    let bridge = core.bridge.view(call.caller == Caller::Bearer).await;
    let drift = |name: &PlatformName| {
        bridge.clients.iter().filter_map(|client| client.session.extractor_drift.get(name.as_str())).sum()
    };
    let platforms = core.registry.all().iter().map(|platform| {
        let client_ids = core.bridge.logged_in(&platform.name);
        PlatformState {
            platform: &platform.name,
            title: &platform.title,
            shell_url: platform.shell_url.as_str(),
            supported_modes: platform.modes.iter().map(|mode| mode.name()).chain(["cancel"]).collect(),
            ready: !client_ids.is_empty(),
            client_ids,
            extractor_drift: drift(&platform.name),
        }
    });
    let policy = PolicyState {
        defaults: core.policy.settings().limits(),
        platforms: core.policy.platforms(core.registry.names()).await,
        targets: core.policy.targets().await,
    };
    Ok(call.success(&State {
        current_client: bridge.current(),
        platforms: platforms.collect(),
        policy,
        bridge: &bridge,
    }))
}
