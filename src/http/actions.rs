//! `POST /v1/browser/actions`: actions of a Firefox on its tabs and its extension.

use super::{
    endpoint::ApiCall,
    error::{self, ApiError},
    fields,
    reply::ApiReply,
};
use crate::{api::actions::ActionOutcome, bridge::ActionCommand, wire::ActionKind};
use std::time::Duration;

/// `POST /v1/browser/actions`.
pub(super) async fn act(call: ApiCall) -> Result<ApiReply, ApiError> {
    let command = fields::action(&call.body, None, &call.core.registry, action_timeout(&call))?;
    let done = perform(&call, command).await?;
    Ok(call.success(&done))
}

/// Performs an action. A failure in the browser is part of the result, not an error.
pub(super) async fn perform(call: &ApiCall, command: ActionCommand) -> Result<ActionOutcome, ApiError> {
    let (kind, platform) = (command.kind, command.platform.clone());
    let done = call.core.bridge.perform_action(command).await;
    done.map_err(|failure| error::of_action(&failure, kind, platform.as_ref()))
}

pub(super) fn action_timeout(call: &ApiCall) -> Duration {
    Duration::from_millis(call.core.bridge.settings().action_timeout_ms)
}

/// Reads an action on a platform that the route fixes.
pub(super) fn order_for(call: &ApiCall, kind: ActionKind, platform: &'static str) -> Result<ActionCommand, ApiError> {
    fields::action(&call.body, Some((kind, platform)), &call.core.registry, action_timeout(call))
}
