//! Tab and plugin actions, as values: what is asked for, what became of it, and how an extension's result reads with
//! what the daemon knows itself. No actor, no clock.

use super::{assignment::Gone, directory::NoClient};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
    wire::{ActionCounts, ActionKind, ActionResult, PlatformResult},
};
use std::time::Duration;

pub use crate::api::actions::{ActionOutcome as Done, ActionReport as ActionEntry, ActionTarget, Reconnected};

/// An action that somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
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

/// An order on its way: what the daemon itself knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) request_id: RequestId,
    pub(super) kind: ActionKind,
    pub(super) platform: Option<PlatformName>,
    pub(super) requested_client_id: Option<ClientId>,
    pub(super) reason: Option<String>,
}

impl ActionEntry {
    /// What the extension reports, completed by what the daemon knows. `placed`: the order, when somebody waits for it.
    pub(super) fn new(
        told: ActionResult,
        placed: Option<&Placed>,
        at: (&ClientId, &ConnectionId),
        received_at: WallMs,
    ) -> Self {
        let kind = placed.map(|placed| placed.kind).or_else(|| told.action.as_deref()?.parse().ok());
        let (action, message_type) = match kind {
            Some(kind) => (Some(kind.name().to_owned()), Some(kind.message_type().to_owned())),
            None => (told.action, told.command_type),
        };
        let wanted = |of: fn(&Placed) -> Option<String>| placed.and_then(of);
        let requested_platform = wanted(|placed| placed.platform.as_ref().map(ToString::to_string));
        let requested_client_id = wanted(|placed| placed.requested_client_id.as_ref().map(ToString::to_string));
        ActionEntry {
            accepted: told.accepted,
            // A client is connected anew when it has said so on its new connection, not before.
            completed: told.completed && kind != Some(ActionKind::WsReconnect),
            failed: told.failed,
            action,
            message_type,
            request_id: placed.map(|placed| placed.request_id.to_string()).or(told.request_id),
            reason: told.reason,
            received_at,
            target: ActionTarget {
                client_id: at.0.clone(),
                connection_id: at.1.clone(),
                platform: told.target.platform.or_else(|| common_platform(&told.results)),
                requested_client_id: requested_client_id.or(told.target.requested_client_id),
                requested_platform: requested_platform.or(told.target.requested_platform),
            },
            result: told.result,
            results: told.results,
            shell_runtime: told.shell_runtime,
        }
    }

    /// An action whose client went away as it was asked to, without another word.
    pub(super) fn unanswered(placed: &Placed, at: (&ClientId, &ConnectionId), received_at: WallMs) -> Self {
        let told = ActionResult {
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
        Self::new(told, Some(placed), at, received_at)
    }
}

/// The platform that all results name.
fn common_platform(results: &[PlatformResult]) -> Option<String> {
    let first = results.first()?.platform.as_ref()?;
    results.iter().all(|result| result.platform.as_ref() == Some(first)).then(|| first.clone())
}

impl Done {
    pub(super) fn new(placed: Placed, entry: ActionEntry, dispatched_at: WallMs) -> Self {
        let own_platform = placed.platform.map(|platform| platform.to_string());
        Done {
            accepted: entry.accepted,
            completed: entry.completed,
            failed: entry.failed,
            action: placed.kind.name().into(),
            message_type: placed.kind.message_type().into(),
            client_id: entry.target.client_id.clone(),
            connection_id: entry.target.connection_id.clone(),
            dispatched_at,
            platform: own_platform.or_else(|| entry.target.platform.clone()),
            reason: placed.reason.or(entry.reason),
            request_id: placed.request_id,
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
    Gone {
        /// How.
        gone: Gone,
        /// Who was asked.
        asked: Asked,
    },
    /// What it answered cannot be read.
    #[error("the extension's answer cannot be read: {why}")]
    Garbled {
        /// What is wrong with it.
        why: String,
        /// Who was asked.
        asked: Asked,
    },
    /// It did not answer in time, or did not come back in time.
    #[error("the {} within {timeout_ms} ms", if *.to_return { "client did not come back" } else { "extension did not answer" })]
    Timeout {
        /// How long it had.
        timeout_ms: u64,
        /// Whether it was to connect anew.
        to_return: bool,
        /// Who was asked.
        asked: Asked,
    },
}

/// Why an action has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The client went away before it was asked.
    Unasked,
    /// The client went away before it answered.
    Gone(Gone),
    /// Its answer cannot be read.
    Garbled(String),
}

/// Who was asked, under which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The client.
    pub client_id: ClientId,
    /// Its connection.
    pub connection_id: ConnectionId,
    /// The daemon's id of the action.
    pub request_id: RequestId,
}

#[cfg(test)]
mod tests;
