//! Tab and plugin actions as values: the command, the outcome, and how the extension's result is combined with what the
//! daemon itself knows. No actor, no clock.

use super::{assignment::DisconnectReason, directory::NoClient};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
    wire::{ActionKind, ActionResult, PlatformResult},
};
use std::time::Duration;

pub use crate::api::actions::{ActionOutcome, ActionReport, ActionTarget, Reconnected};

/// A requested action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionCommand {
    /// Action.
    pub kind: ActionKind,
    /// Platform whose tab is meant.
    pub platform: Option<PlatformName>,
    /// Client that performs it; the active client if absent.
    pub client_id: Option<ClientId>,
    /// Reason that is passed on to the extension.
    pub reason: Option<String>,
    /// Time limit.
    pub timeout: Duration,
    /// Whether to wait until a client that reconnects is back.
    pub wait: bool,
}

/// An action that was sent: what the daemon itself knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingAction {
    pub(super) request_id: RequestId,
    pub(super) kind: ActionKind,
    pub(super) platform: Option<PlatformName>,
    pub(super) requested_client_id: Option<ClientId>,
    pub(super) reason: Option<String>,
}

impl ActionReport {
    /// Combines the extension's report with what the daemon knows. `pending`: the command, if a caller waits for it.
    pub(super) fn new(
        reported: ActionResult,
        pending: Option<&PendingAction>,
        at: (&ClientId, &ConnectionId),
        received_at: WallMs,
    ) -> Self {
        let kind = pending.map(|pending| pending.kind).or_else(|| reported.action.as_deref()?.parse().ok());
        let (action, message_type) = match kind {
            Some(kind) => (Some(kind.name().to_owned()), Some(kind.message_type().to_owned())),
            None => (reported.action, reported.command_type),
        };
        let wanted = |of: fn(&PendingAction) -> Option<String>| pending.and_then(of);
        let requested_platform = wanted(|pending| pending.platform.as_ref().map(ToString::to_string));
        let requested_client_id = wanted(|pending| pending.requested_client_id.as_ref().map(ToString::to_string));
        ActionReport {
            accepted: reported.accepted,
            // A reconnect is completed by the `hello` on the new connection, not before.
            completed: reported.completed && kind != Some(ActionKind::WsReconnect),
            failed: reported.failed,
            action,
            message_type,
            request_id: pending.map(|pending| pending.request_id.to_string()).or(reported.request_id),
            reason: reported.reason,
            received_at,
            target: ActionTarget {
                client_id: at.0.clone(),
                connection_id: at.1.clone(),
                platform: reported.target.platform.or_else(|| common_platform(&reported.results)),
                requested_client_id: requested_client_id.or(reported.target.requested_client_id),
                requested_platform: requested_platform.or(reported.target.requested_platform),
            },
            result: reported.result,
            results: reported.results,
            shell_runtime: reported.shell_runtime,
        }
    }

    /// Creates the result of a reconnect whose client closed the connection without answering.
    pub(super) fn unanswered(pending: &PendingAction, at: (&ClientId, &ConnectionId), received_at: WallMs) -> Self {
        let reported = ActionResult { accepted: true, ..ActionResult::default() };
        Self::new(reported, Some(pending), at, received_at)
    }
}

fn common_platform(results: &[PlatformResult]) -> Option<String> {
    let first = results.first()?.platform.as_ref()?;
    results.iter().all(|result| result.platform.as_ref() == Some(first)).then(|| first.clone())
}

impl ActionOutcome {
    pub(super) fn new(pending: PendingAction, entry: ActionReport, dispatched_at: WallMs) -> Self {
        let own_platform = pending.platform.map(|platform| platform.to_string());
        ActionOutcome {
            accepted: entry.accepted,
            completed: entry.completed,
            failed: entry.failed,
            action: pending.kind.name().into(),
            message_type: pending.kind.message_type().into(),
            client_id: entry.target.client_id.clone(),
            connection_id: entry.target.connection_id.clone(),
            dispatched_at,
            platform: own_platform.or_else(|| entry.target.platform.clone()),
            reason: pending.reason.or(entry.reason),
            request_id: pending.request_id,
            target: entry.target,
            result: entry.result,
            results: entry.results,
            shell_runtime: entry.shell_runtime,
            reconnected: None,
        }
    }
}

/// Why an action has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionFailure {
    /// No client can perform it.
    #[error(transparent)]
    NoClient(#[from] NoClient),
    /// The client disconnected before it answered.
    #[error("the client disconnected before it answered the action")]
    Disconnected {
        /// Why it disconnected.
        reason: DisconnectReason,
        /// Client and id.
        dispatch: ActionDispatch,
    },
    /// The answer cannot be read.
    #[error("the extension's answer cannot be read: {why}")]
    Unreadable {
        /// Error of the reader.
        why: String,
        /// Client and id.
        dispatch: ActionDispatch,
    },
    /// The answer or the reconnect took too long.
    #[error("the {} within {timeout_ms} ms", if *.awaits_reconnect { "client did not come back" } else { "extension did not answer" })]
    Timeout {
        /// Time limit, in milliseconds.
        timeout_ms: u64,
        /// Whether a reconnect was awaited.
        awaits_reconnect: bool,
        /// Client and id.
        dispatch: ActionDispatch,
    },
}

/// Why a connection has no result of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoActionResult {
    /// The connection ended before the message was sent.
    NotSent,
    /// The connection ended before the client answered.
    Disconnected(DisconnectReason),
    Unreadable(String),
}

/// The client that an action was sent to, and the action's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionDispatch {
    /// Client.
    pub client_id: ClientId,
    /// Connection of the client.
    pub connection_id: ConnectionId,
    /// Id that the daemon gave the action.
    pub request_id: RequestId,
}

#[cfg(test)]
mod tests;
