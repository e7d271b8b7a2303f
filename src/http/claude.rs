//! The routes under `/v1/browser/claude/`. Most are older forms of newer routes with `claude` filled in, and say so in
//! their `deprecation` header; `current` has no newer form.

use super::{
    actions, browser,
    endpoint::ApiCall,
    error::{self, ApiError},
    fields::{self, Preset},
    reply::ApiReply,
    stream_response,
};
use crate::{
    api::{
        actions::ClaudeOpened,
        browser::{BridgeView, ClientView, CredentialEntry, HookEntry},
    },
    ids::{ClientId, RequestId},
    platforms::plan::{Conversation, Organization, RequestPlan, Transcript, TranscriptMessage},
    relay::{self, CompletedRequest, RelayRequest, RequestError, RequestFailure, RequestWork, ResponseMode},
    wire::{ActionKind, RawJson, ShellRuntime},
};
use serde::Serialize;

const PLATFORM: &str = "claude";
/// The reason of a reload that gives none.
const RELOAD_REASON: &str = "browser_http_reload";

/// `POST /v1/browser/claude/open`: opens the tab and returns its address.
pub(super) async fn open(call: ApiCall) -> Result<ApiReply, ApiError> {
    let order = actions::order_for(&call, ActionKind::TabOpen, PLATFORM)?;
    let outcome = actions::perform(&call, order).await?;
    // An action on an unregistered platform was refused above.
    let open_url = call.core.registry.get(PLATFORM).map_or_else(String::new, |platform| platform.shell_url.to_string());
    Ok(call.success(&ClaudeOpened { outcome, open_url }))
}

/// `POST /v1/browser/claude/reload`: reloads the tab.
pub(super) async fn reload(call: ApiCall) -> Result<ApiReply, ApiError> {
    let mut order = actions::order_for(&call, ActionKind::TabReload, PLATFORM)?;
    order.reason.get_or_insert_with(|| RELOAD_REASON.to_owned());
    let done = actions::perform(&call, order).await?;
    Ok(call.success(&done))
}

/// `POST /v1/browser/claude/send`: relays a request; the method defaults to `POST`.
pub(super) async fn send(call: ApiCall) -> Result<ApiReply, ApiError> {
    browser::relay(call, Some(Preset { platform: PLATFORM, method: "POST" })).await
}

/// The client that performed the request.
#[derive(Serialize)]
struct PageView<'a> {
    client_id: &'a ClientId,
    credentials: Option<&'a CredentialEntry>,
    request_hooks: Option<&'a HookEntry>,
    shell_runtime: Option<&'a ShellRuntime>,
}

#[derive(Serialize)]
struct ProxyView<'a> {
    path: &'a str,
    request_id: &'a RequestId,
    status: u16,
}

#[derive(Serialize)]
struct CurrentConversation<'a> {
    conversation: &'a Conversation,
    messages: &'a [TranscriptMessage],
    organization: &'a Organization,
    page: PageView<'a>,
    platform: &'a str,
    proxy: ProxyView<'a>,
    raw: &'a RawJson,
}

/// `GET /v1/browser/claude/current`: reads the current conversation, or the requested one.
pub(super) async fn current(call: ApiCall) -> Result<ApiReply, ApiError> {
    let id = RequestId::generate();
    let platform = fields::registered(PLATFORM, &call.core.registry)?.name.clone();
    let client_id = call.query(&["client_id", "clientId"]).map(|id| fields::client(&id)).transpose()?;
    let asked = fields::asked(|names| {
        let camel = if names[0] == "organization_id" { "organizationId" } else { "conversationId" };
        Ok(call.query(&[names[0], camel]))
    })?;
    let request = RelayRequest {
        id: id.clone(),
        platform,
        client_id,
        mode: ResponseMode::Buffered,
        work: RequestWork::Plan(RequestPlan::ClaudeCurrent { asked }),
        call: relay::UpstreamCall { method: "GET".into(), ..relay::UpstreamCall::default() },
        timeout: fields::timeout_of(call.query(&["timeout_ms", "timeoutMs"]).as_deref())?,
    };
    let taken = call.core.relay.buffered(request).map_err(|refused| error::of_refused(refused, id.as_str()))?;
    let (answer, caller) = stream_response::buffered_response(taken, &call.grant).await;
    let failed = |failure: &RequestFailure| error::of_failure(failure, id.as_str(), PLATFORM);
    let mut delivered = answer.map_err(|failure| failed(&failure))?;
    let chosen = delivered.chosen.take();
    let read = chosen.map(|chosen| {
        let organization = chosen.organization.clone();
        Transcript::read(&delivered.response, chosen).map(|transcript| (transcript, organization))
    });
    let (transcript, organization) = match read {
        Some(Ok(read)) => read,
        // A plan always returns its location.
        Some(Err(error)) => return Err(failed(&failure_of(RequestError::Plan(error), &delivered))),
        None => return Err(failed(&failure_of(RequestError::Internal, &delivered))),
    };
    let bridge = call.core.bridge.view(false).await;
    let shown = CurrentConversation {
        conversation: &transcript.conversation,
        messages: &transcript.messages,
        organization: &organization,
        page: page_view(&bridge, &delivered.client_id),
        platform: PLATFORM,
        proxy: ProxyView { path: &delivered.call.path, request_id: &delivered.request_id, status: delivered.status },
        raw: &delivered.response,
    };
    let reply = call.success(&shown);
    drop(caller);
    Ok(reply)
}

fn failure_of(cause: RequestError, delivered: &CompletedRequest) -> RequestFailure {
    RequestFailure { cause, client_id: Some(delivered.client_id.clone()), connection_id: None }
}

fn page_view<'a>(bridge: &'a BridgeView, client_id: &'a ClientId) -> PageView<'a> {
    let client: Option<&ClientView> = bridge.clients.iter().find(|client| client.client_id == *client_id);
    let session = client.map(|client| &client.session);
    PageView {
        client_id,
        credentials: session.and_then(|session| session.newest_credentials(PLATFORM)),
        request_hooks: session.and_then(|session| session.newest_hooks(PLATFORM)),
        shell_runtime: session.and_then(|session| session.tab(PLATFORM)),
    }
}
