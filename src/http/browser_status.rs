//! `GET /v1/browser`: clients, logins, platforms and policy.

use super::{
    ServerCore,
    authenticator::Caller,
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::{
    api::{
        browser::{BridgeView, BrowserState, BrowserStateParameters, ClaudeState, PlatformState},
        policy::{PlatformPacingView, PlatformPolicy, PolicyState},
        records::{LoginStatus, RecordFilter},
    },
    ids::PlatformName,
    platforms::registry::{Platform, PromptMethod},
    records::{LIMIT_DEFAULT, LIMIT_MAX},
};
use std::borrow::Cow;

/// Limit of stored records whose client is not connected.
const LIMIT: PageLimit = PageLimit { default: LIMIT_DEFAULT, max: LIMIT_MAX };

/// `GET /v1/browser`. The texts of final messages are shown to the bearer of the token alone.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    let filter = filter(&call)?;
    Ok(read(&call.core, filter, call.caller == Caller::Bearer, |state| call.success(state)).await)
}

/// Reads the current status and passes it to `show`. `texts` includes the texts of final messages.
pub(super) async fn read<T>(
    core: &ServerCore,
    filter: RecordFilter,
    texts: bool,
    show: impl FnOnce(&BrowserState<'_>) -> T,
) -> T {
    let bridge = core.bridge.view(texts).await;
    let page = core.records.read(&bridge, filter).await;
    let (records, summary) = core.records.records(&page, &bridge);
    let platforms = platforms_view(core, &bridge);
    let limits = |view: &PlatformPacingView| core.policy.settings().for_platform(view.platform.as_str());
    let paced = core.policy.platforms(core.registry.names()).await;
    let policy = PolicyState {
        defaults: core.policy.settings().limits(),
        platforms: paced.into_iter().map(|view| PlatformPolicy { limits: limits(&view), pacing: view }).collect(),
        targets: core.policy.targets().await,
    };
    show(&BrowserState {
        current_client: bridge.current().map(Cow::Borrowed),
        claude: claude_view(core, &bridge, &platforms),
        platforms: Cow::Borrowed(&platforms),
        filters: Cow::Borrowed(page.filter()),
        policy,
        records,
        next_before: page.next_before(),
        summary,
        bridge: Cow::Borrowed(&bridge),
    })
}

fn filter(call: &ApiCall) -> Result<RecordFilter, ApiError> {
    let fault = || ApiError::field("status", "\"status\" must be fresh, stale or lost.");
    let status = call
        .query(BrowserStateParameters::status())
        .map(|name| name.parse::<LoginStatus>().map_err(|_| fault()))
        .transpose()?;
    Ok(RecordFilter {
        platform: call.query(BrowserStateParameters::platform()),
        account: call.query(BrowserStateParameters::account()),
        client_id: call.query(BrowserStateParameters::client_id()),
        host: call.query(BrowserStateParameters::host()),
        status,
        before: before_cursor(call)?,
        limit: LIMIT.requested(call)?,
    })
}

fn platforms_view(core: &ServerCore, bridge: &BridgeView) -> Vec<PlatformState> {
    let drift = |name: &PlatformName| {
        let reported = bridge.clients.iter().filter_map(|client| client.session.extractor_drift.get(name.as_str()));
        reported.fold(0_u64, |sum, drift| sum.saturating_add(*drift))
    };
    let state = |platform: &Platform| {
        let client_ids = core.bridge.logged_in(&platform.name);
        PlatformState {
            platform: platform.name.clone(),
            title: platform.title.clone(),
            shell_url: platform.shell_url.to_string(),
            supported_modes: supported_modes(core, platform),
            ready: !client_ids.is_empty(),
            client_ids,
            extractor_drift: drift(&platform.name),
            answer_drift: core.relay.answer_drift(&platform.name),
        }
    };
    core.registry.all().iter().map(|platform| state(platform)).collect()
}

/// Returns the modes that a platform supports: a prompt by template only if a connected client has an accepted
/// template.
fn supported_modes(core: &ServerCore, platform: &Platform) -> Vec<Cow<'static, str>> {
    let prompt = match platform.prompt {
        PromptMethod::Claude => true,
        PromptMethod::Template => core.bridge.accepts_prompts(&platform.name),
        PromptMethod::None => false,
    };
    let supported_modes = platform.modes.iter().map(|mode| mode.name()).chain(["cancel"]);
    supported_modes.chain(prompt.then_some("prompt")).map(Cow::Borrowed).collect()
}

/// Returns `None` if Claude is not registered.
fn claude_view<'a>(
    core: &ServerCore,
    bridge: &'a BridgeView,
    platforms: &'a [PlatformState],
) -> Option<ClaudeState<'a>> {
    let state = platforms.iter().find(|state| state.platform.as_str() == "claude")?;
    let performer = core.bridge.select(&state.platform, None).ok();
    let current = performer.and_then(|link| bridge.clients.iter().find(|client| client.client_id == link.client_id));
    let platform = state.platform.as_str();
    let session = current.map(|client| &client.session);
    Some(ClaudeState {
        platform: platform.into(),
        supported: true,
        ready: state.ready,
        open_url: Cow::Borrowed(&state.shell_url),
        current_client_id: current.map(|client| Cow::Borrowed(&client.client_id)),
        credentials: session.and_then(|session| session.newest_credentials(platform)).map(Cow::Borrowed),
        request_hooks: session.and_then(|session| session.newest_hooks(platform)).map(Cow::Borrowed),
        shell_runtime: session.and_then(|session| session.tab(platform)).map(Cow::Borrowed),
    })
}
