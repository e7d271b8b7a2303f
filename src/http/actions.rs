//! `POST /v1/browser/actions`: what a Firefox is asked to do with its tabs and with its extension.

use super::{
    endpoint::Call,
    error::{self, ApiError},
    fields,
    reply::Reply,
};
use crate::{api::actions::ActionOutcome, bridge::Order, wire::ActionKind};
use std::time::Duration;

/// Has an action done.
pub(super) async fn act(call: Call) -> Result<Reply, ApiError> {
    let order = fields::action(&call.body, None, &call.core.registry, action_timeout(&call))?;
    let done = perform(&call, order).await?;
    Ok(call.success(&done))
}

/// Has it done; what went wrong in the browser is part of what came of it.
pub(super) async fn perform(call: &Call, order: Order) -> Result<ActionOutcome, ApiError> {
    let (kind, platform) = (order.kind, order.platform.clone());
    let done = call.core.bridge.act(order).await;
    done.map_err(|failure| error::of_action(&failure, kind, platform.as_ref()))
}

/// How long an action may take that does not say.
pub(super) fn action_timeout(call: &Call) -> Duration {
    Duration::from_millis(call.core.bridge.settings().action_timeout_ms)
}

/// An action on a platform that the route names.
pub(super) fn order_for(call: &Call, kind: ActionKind, platform: &'static str) -> Result<Order, ApiError> {
    fields::action(&call.body, Some((kind, platform)), &call.core.registry, action_timeout(call))
}
