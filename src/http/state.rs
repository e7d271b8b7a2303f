//! `GET /v1/browser`: the operator's view of clients, logins, platforms and policy.

use super::{
    Core,
    callers::Caller,
    endpoint::Call,
    error::ApiError,
    paging::{Limit, before},
    reply::Reply,
};
use crate::{
    bridge::{BridgeView, ClientView, CredentialEntry, HookEntry},
    ids::{ClientId, PlatformName},
    platforms::registry::{Platform, PromptMethod},
    policy::{PlatformPacingView, PolicyLimits, TargetView},
    records::{LIMIT_DEFAULT, LIMIT_MAX, LoginRecord, LoginStatus, RecordFilter, RecordSummary},
    wire::ShellRuntime,
};
use serde::Serialize;

/// Of stored records whose client is not connected.
const LIMIT: Limit = Limit { default: LIMIT_DEFAULT, max: LIMIT_MAX };

/// What an operator sees.
#[derive(Serialize)]
pub(super) struct State<'a> {
    bridge: &'a BridgeView,
    current_client: Option<&'a ClientView>,
    claude: Option<ClaudeState<'a>>,
    platforms: &'a [PlatformState<'a>],
    filters: &'a RecordFilter,
    policy: PolicyState,
    records: Vec<LoginRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
    summary: RecordSummary,
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
    answer_drift: u64,
}

/// What the older helpers of one platform ask first: who would perform a request there now, and what that one knows.
#[derive(Serialize)]
struct ClaudeState<'a> {
    platform: &'a str,
    supported: bool,
    ready: bool,
    open_url: &'a str,
    current_client_id: Option<&'a ClientId>,
    credentials: Option<&'a CredentialEntry>,
    request_hooks: Option<&'a HookEntry>,
    shell_runtime: Option<&'a ShellRuntime>,
}

#[derive(Serialize)]
struct PolicyState {
    defaults: PolicyLimits,
    platforms: Vec<Pacing>,
    targets: Vec<TargetView>,
}

/// A platform and the limits that hold for it.
#[derive(Serialize)]
struct Pacing {
    #[serde(flatten)]
    view: PlatformPacingView,
    limits: PolicyLimits,
}

/// `GET /v1/browser`. The texts of final messages are shown to the bearer of the token alone.
pub(super) async fn show(call: Call) -> Result<Reply, ApiError> {
    let filter = filter(&call)?;
    Ok(read(&call.core, filter, call.caller == Caller::Bearer, |state| call.success(state)).await)
}

/// The view as it is now, handed to `show`; `texts`: with those of final messages.
pub(super) async fn read<T>(core: &Core, filter: RecordFilter, texts: bool, show: impl FnOnce(&State<'_>) -> T) -> T {
    let bridge = core.bridge.view(texts).await;
    let page = core.records.read(&bridge, filter).await;
    let (records, summary) = core.records.records(&page, &bridge);
    let platforms = platforms(core, &bridge);
    let limits = |view: &PlatformPacingView| core.policy.settings().for_platform(view.platform.as_str());
    let paced = core.policy.platforms(core.registry.names()).await;
    let policy = PolicyState {
        defaults: core.policy.settings().limits(),
        platforms: paced.into_iter().map(|view| Pacing { limits: limits(&view), view }).collect(),
        targets: core.policy.targets().await,
    };
    show(&State {
        current_client: bridge.current(),
        claude: claude(core, &bridge, &platforms),
        platforms: &platforms,
        filters: page.filter(),
        policy,
        records,
        next_before: page.next_before(),
        summary,
        bridge: &bridge,
    })
}

fn filter(call: &Call) -> Result<RecordFilter, ApiError> {
    let fault = || ApiError::field("status", "\"status\" must be fresh, stale or lost.");
    let status = call.query(&["status"]).map(|name| LoginStatus::named(&name).ok_or_else(fault)).transpose()?;
    Ok(RecordFilter {
        platform: call.query(&["platform"]),
        account: call.query(&["account"]),
        client_id: call.query(&["client_id", "clientId"]),
        host: call.query(&["host"]),
        status,
        before: before(call)?,
        limit: LIMIT.of(call)?,
    })
}

fn platforms<'a>(core: &'a Core, bridge: &BridgeView) -> Vec<PlatformState<'a>> {
    let drift = |name: &PlatformName| {
        let told = bridge.clients.iter().filter_map(|client| client.session.extractor_drift.get(name.as_str()));
        told.fold(0_u64, |sum, drift| sum.saturating_add(*drift))
    };
    let state = |platform: &'a crate::platforms::registry::Platform| {
        let client_ids = core.bridge.logged_in(&platform.name);
        PlatformState {
            platform: &platform.name,
            title: &platform.title,
            shell_url: platform.shell_url.as_str(),
            supported_modes: modes(core, platform),
            ready: !client_ids.is_empty(),
            client_ids,
            extractor_drift: drift(&platform.name),
            answer_drift: core.relay.answer_drift(&platform.name),
        }
    };
    core.registry.all().iter().map(|platform| state(platform)).collect()
}

/// What can be asked of a platform: a prompt by a template only where the app has taken one of a
/// client that is connected.
fn modes(core: &Core, platform: &Platform) -> Vec<&'static str> {
    let prompt = match platform.prompt {
        PromptMethod::Claude => true,
        PromptMethod::Template => core.bridge.takes_prompts(&platform.name),
        PromptMethod::None => false,
    };
    let modes = platform.modes.iter().map(|mode| mode.name()).chain(["cancel"]);
    modes.chain(prompt.then_some("prompt")).collect()
}

/// Nothing when the registry has no Claude.
fn claude<'a>(core: &Core, bridge: &'a BridgeView, platforms: &'a [PlatformState<'a>]) -> Option<ClaudeState<'a>> {
    let state = platforms.iter().find(|state| state.platform.as_str() == "claude")?;
    let performer = core.bridge.select(state.platform, None).ok();
    let current = performer.and_then(|link| bridge.clients.iter().find(|client| client.client_id == link.client_id));
    let platform = state.platform.as_str();
    let session = current.map(|client| &client.session);
    Some(ClaudeState {
        platform,
        supported: true,
        ready: state.ready,
        open_url: state.shell_url,
        current_client_id: current.map(|client| &client.client_id),
        credentials: session.and_then(|session| session.newest_credentials(platform)),
        request_hooks: session.and_then(|session| session.newest_hooks(platform)),
        shell_runtime: session.and_then(|session| session.tab(platform)),
    })
}
