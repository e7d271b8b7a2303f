//! Actions: what a Firefox does with its tabs and its extension, and the result.

use super::fields::request_fields;
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, RequestId},
    wire::{ActionCounts, ActionKind, PlatformResult, ShellRuntime},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

request_fields! {
    /// An action to be performed.
    ActionRequest {
        required {
            /// The action.
            action: ActionKind,
        }
        optional {
            /// Platform of the tab. Required for tab_open, tab_focus and tab_reload; tab_restore without one restores
            /// every tab that is wanted.
            platform: String,
            /// Client that performs it; otherwise the active one.
            client_id: String,
            /// Reason, for the extension and the log.
            reason: String,
            /// Milliseconds that it may take, from 1 to {TIMEOUT_MS_MAX}. Default {bridge.action_timeout_ms}.
            timeout_ms: u64,
            /// For ws_reconnect alone: whether to wait until the client is connected again.
            wait: bool,
        }
    }
}

request_fields! {
    /// An action on Claude's tab.
    #[derive(Default)]
    ClaudeTabRequest {
        required {}
        optional {
            /// `claude`, if it is given.
            platform: String,
            /// Client that performs it; otherwise the active one.
            client_id: String,
            /// Reason, for the extension and the log.
            reason: String,
            /// Milliseconds that it may take, from 1 to {TIMEOUT_MS_MAX}. Default {bridge.action_timeout_ms}.
            timeout_ms: u64,
        }
    }
}

/// Result of opening Claude's tab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaudeOpened {
    /// Result of the action.
    #[serde(flatten)]
    pub outcome: ActionOutcome,
    /// Address of the tab.
    pub open_url: String,
}

/// What an action was aimed at; client and connection as the daemon knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionTarget {
    /// Who performed it.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// In which app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The client that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_client_id: Option<String>,
    /// The app that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_platform: Option<String>,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionReport {
    /// Whether the extension took it on.
    pub accepted: bool,
    /// Whether it is done.
    pub completed: bool,
    /// Whether something went wrong.
    pub failed: bool,
    /// Which action; `null` when the extension reports one that was not requested without naming it.
    pub action: Option<String>,
    /// The type of the message that asked for it.
    #[serde(rename = "type")]
    pub message_type: Option<String>,
    /// The daemon's id of the action.
    pub request_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When the result came, in Unix milliseconds.
    pub received_at: WallMs,
    /// What it was aimed at.
    pub target: ActionTarget,
    /// Counts over all platforms.
    pub result: ActionCounts,
    /// One entry a platform.
    pub results: Vec<PlatformResult>,
    /// The shell tabs afterwards.
    pub shell_runtime: Vec<ShellRuntime>,
}

/// The client on its new connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reconnected {
    /// The new connection.
    pub connection_id: ConnectionId,
    /// Milliseconds from the order to the new `hello`.
    pub after_ms: u64,
}

/// Outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionOutcome {
    /// Whether the extension took it on.
    pub accepted: bool,
    /// Whether it is done.
    pub completed: bool,
    /// Whether something went wrong.
    pub failed: bool,
    /// Which action.
    pub action: Cow<'static, str>,
    /// The type of the message that asked for it.
    #[serde(rename = "type")]
    pub message_type: Cow<'static, str>,
    /// Who performed it.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// When the message went out, in Unix milliseconds.
    pub dispatched_at: WallMs,
    /// The order's, else the result's.
    pub platform: Option<String>,
    /// The order's, else the result's.
    pub reason: Option<String>,
    /// The daemon's id of the action.
    pub request_id: RequestId,
    /// What it was aimed at.
    pub target: ActionTarget,
    /// Counts over all platforms.
    pub result: ActionCounts,
    /// One entry a platform.
    pub results: Vec<PlatformResult>,
    /// The shell tabs afterwards.
    pub shell_runtime: Vec<ShellRuntime>,
    /// The new connection, where that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<Reconnected>,
}
