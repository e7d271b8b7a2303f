//! Tab and plugin actions, as values: what is asked for, what became of it, and how an extension's result reads with
//! what the daemon knows itself. No actor, no clock.

use super::{assignment::DisconnectReason, directory::NoClient};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
    wire::{ActionCounts, ActionKind, ActionResult, PlatformResult},
};
use std::time::Duration;

pub use crate::api::actions::{ActionOutcome, ActionReport, ActionTarget, Reconnected};

/// An action that somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionCommand {
    /// Which.
    pub kind: ActionKind,
    /// In which app.
    pub platform: Option<PlatformName>,
    /// By whom; otherwise by the active client.
    pub client_id: Option<ClientId>,
    /// Why.
    pub reason: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether to wait until a client that connects anew is back.
    pub wait: bool,
}

/// An command on its way: what the daemon itself knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingAction {
    pub(super) request_id: RequestId,
    pub(super) kind: ActionKind,
    pub(super) platform: Option<PlatformName>,
    pub(super) requested_client_id: Option<ClientId>,
    pub(super) reason: Option<String>,
}

impl ActionReport {
    /// What the extension reports, completed by what the daemon knows. `pending`: the command, when somebody waits for it.
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
            // A client is connected anew when it has said so on its new connection, not before.
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

    /// An action whose client went away as it was asked to, without another word.
    pub(super) fn unanswered(pending: &PendingAction, at: (&ClientId, &ConnectionId), received_at: WallMs) -> Self {
        let reported = ActionResult {
            request_id: None,
            action: None,
            command_type: None,
            accepted: true,
            completed: false,
            failed: false,
            reason: None,
            target: crate::wire::ActionTarget::default(),
            result: ActionCounts::default(),
            results: Vec::new(),
            shell_runtime: Vec::new(),
        };
        Self::new(reported, Some(pending), at, received_at)
    }
}

/// The platform that all results name.
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

/// Why nothing is known of an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionFailure {
    /// There is nobody to ask.
    #[error(transparent)]
    NoClient(#[from] NoClient),
    /// The client went away before it answered.
    #[error("the client went away before the action was answered")]
    Disconnected {
        /// How.
        reason: DisconnectReason,
        /// Who was asked.
        dispatch: ActionDispatch,
    },
    /// What it answered cannot be read.
    #[error("the extension's answer cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
        /// Who was asked.
        dispatch: ActionDispatch,
    },
    /// It did not answer in time, or did not come back in time.
    #[error("the {} within {timeout_ms} ms", if *.awaits_reconnect { "client did not come back" } else { "extension did not answer" })]
    Timeout {
        /// How long it had.
        timeout_ms: u64,
        /// Whether it was to connect anew.
        awaits_reconnect: bool,
        /// Who was asked.
        dispatch: ActionDispatch,
    },
}

/// Why an action has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoActionResult {
    /// The client went away before it was asked.
    NotSent,
    /// The client went away before it answered.
    Disconnected(DisconnectReason),
    /// Its answer cannot be read.
    Unreadable(String),
}

/// Who was asked, under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionDispatch {
    /// The client.
    pub client_id: ClientId,
    /// Its connection.
    pub connection_id: ConnectionId,
    /// The daemon's id of the action.
    pub request_id: RequestId,
}

#[cfg(test)]
mod tests;
