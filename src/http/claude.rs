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
        browser::BridgeView,
        claude::{ClaudeConversation, ClaudeConversationParameters, ClaudeExchange, ClaudePage},
    },
    ids::{ClientId, RequestId},
    platforms::plan::{RequestPlan, Transcript},
    relay::{self, CompletedRequest, RelayRequest, RequestError, RequestFailure, RequestWork, ResponseMode},
    wire::ActionKind,
};
use std::borrow::Cow;

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

/// `GET /v1/browser/claude/current`: reads the current conversation, or the requested one.
pub(super) async fn current(call: ApiCall) -> Result<ApiReply, ApiError> {
    let id = RequestId::generate();
    let platform = fields::registered(PLATFORM, &call.core.registry)?.name.clone();
    let client_id = call.query(ClaudeConversationParameters::client_id()).map(|id| fields::client(&id)).transpose()?;
    let asked = fields::asked(|names| {
        let organization = ClaudeConversationParameters::organization_id();
        let is_organization = names[0] == organization[0];
        Ok(call.query(if is_organization { organization } else { ClaudeConversationParameters::conversation_id() }))
    })?;
    let request = RelayRequest {
        id: id.clone(),
        platform,
        client_id,
        mode: ResponseMode::Buffered,
        work: RequestWork::Plan(RequestPlan::ClaudeCurrent { asked }),
        call: relay::UpstreamCall { method: "GET".into(), ..relay::UpstreamCall::default() },
        timeout: fields::timeout_of(call.query(ClaudeConversationParameters::timeout_ms()).as_deref())?,
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
    let shown = ClaudeConversation {
        conversation: Cow::Borrowed(&transcript.conversation),
        messages: Cow::Borrowed(&transcript.messages),
        organization: Cow::Borrowed(&organization),
        page: claude_page(&bridge, &delivered.client_id),
        platform: PLATFORM.into(),
        proxy: ClaudeExchange {
            path: delivered.call.path.as_str().into(),
            request_id: Cow::Borrowed(&delivered.request_id),
            status: delivered.status,
        },
        raw: &delivered.response,
    };
    let reply = call.success(&shown);
    drop(caller);
    Ok(reply)
}

fn failure_of(cause: RequestError, delivered: &CompletedRequest) -> RequestFailure {
    RequestFailure { cause, client_id: Some(delivered.client_id.clone()), connection_id: None }
}

fn claude_page<'a>(bridge: &'a BridgeView, client_id: &'a ClientId) -> ClaudePage<'a> {
    let client = bridge.clients.iter().find(|client| client.client_id == *client_id);
    let session = client.map(|client| &client.session);
    ClaudePage {
        client_id: Cow::Borrowed(client_id),
        credentials: session.and_then(|session| session.newest_credentials(PLATFORM)).map(Cow::Borrowed),
        request_hooks: session.and_then(|session| session.newest_hooks(PLATFORM)).map(Cow::Borrowed),
        shell_runtime: session.and_then(|session| session.tab(PLATFORM)).map(Cow::Borrowed),
    }
}
