//! `POST /v1/browser/actions`: what a Firefox is asked to do with its tabs and with its extension.

use super::{
    endpoint::ApiCall,
    error::{self, ApiError},
    fields,
    reply::ApiReply,
};
use crate::{api::actions::ActionOutcome, bridge::ActionCommand, wire::ActionKind};
use std::time::Duration;

/// Has an action done.
pub(super) async fn act(call: ApiCall) -> Result<ApiReply, ApiError> {
    let command = fields::action(&call.body, None, &call.core.registry, action_timeout(&call))?;
    let done = perform(&call, command).await?;
    Ok(call.success(&done))
}

/// Has it done; what went wrong in the browser is part of what came of it.
pub(super) async fn perform(call: &ApiCall, command: ActionCommand) -> Result<ActionOutcome, ApiError> {
    let (kind, platform) = (command.kind, command.platform.clone());
    let done = call.core.bridge.perform_action(command).await;
    done.map_err(|failure| error::of_action(&failure, kind, platform.as_ref()))
}

/// How long an action may take that does not say.
pub(super) fn action_timeout(call: &ApiCall) -> Duration {
    Duration::from_millis(call.core.bridge.settings().action_timeout_ms)
}

/// An action on a platform that the route names.
pub(super) fn order_for(call: &ApiCall, kind: ActionKind, platform: &'static str) -> Result<ActionCommand, ApiError> {
    fields::action(&call.body, Some((kind, platform)), &call.core.registry, action_timeout(call))
}
