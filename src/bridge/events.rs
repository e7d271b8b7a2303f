//! Events that the bridge publishes: connects and disconnects, logins, tabs, action results, final messages. They contain
//! neither the text of a message nor a credential.

use super::{
    action::ActionReport,
    view::{CredentialEntry, FinalMessageEntry, HookEntry},
};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId},
    wire::{Freshness, Hello, ShellRuntime},
};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct ClientConnected {
    client_id: ClientId,
    connection_id: ConnectionId,
    connected_at: WallMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_version: Option<String>,
}

impl ClientConnected {
    pub(super) fn of(hello: &Hello, connection_id: &ConnectionId, connected_at: WallMs) -> Self {
        ClientConnected {
            client_id: hello.client_id.clone(),
            connection_id: connection_id.clone(),
            connected_at,
            extension_version: hello.extension_version.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ClientDisconnected {
    pub(super) client_id: ClientId,
    pub(super) connection_id: ConnectionId,
    pub(super) reason: &'static str,
    pub(super) at: WallMs,
}

/// `login_state`: a client reported a login, or endpoints that the page requests.
#[derive(Debug, Default, Serialize)]
pub(super) struct LoginReported {
    client_id: Option<ClientId>,
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<Freshness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_template: Option<bool>,
}

impl LoginReported {
    pub(super) fn credentials(client_id: &ClientId, entry: &CredentialEntry) -> Self {
        LoginReported {
            client_id: Some(client_id.clone()),
            platform: entry.platform.clone(),
            account: entry.account.clone(),
            credential_fingerprint: entry.credential_fingerprint.clone(),
            freshness: Some(entry.freshness),
            last_seen_at: Some(entry.last_seen_at),
            ..LoginReported::default()
        }
    }

    pub(super) fn endpoints(client_id: &ClientId, entry: &HookEntry) -> Self {
        LoginReported {
            client_id: Some(client_id.clone()),
            platform: entry.platform.clone(),
            account: entry.account.clone(),
            credential_fingerprint: entry.credential_fingerprint.clone(),
            endpoint_count: Some(entry.endpoint_count),
            prompt_template: Some(entry.prompt_template),
            ..LoginReported::default()
        }
    }
}

/// `shell_runtime`: a shell tab changed.
#[derive(Debug, Serialize)]
pub(super) struct TabChanged {
    pub(super) client_id: ClientId,
    #[serde(flatten)]
    pub(super) tab: ShellRuntime,
}

#[derive(Debug, Serialize)]
pub(super) struct ActionReported {
    client_id: ClientId,
    connection_id: ConnectionId,
    action: Option<String>,
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    accepted: bool,
    completed: bool,
    failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    received_at: WallMs,
}

impl ActionReported {
    pub(super) fn of(entry: &ActionReport) -> Self {
        ActionReported {
            client_id: entry.target.client_id.clone(),
            connection_id: entry.target.connection_id.clone(),
            action: entry.action.clone(),
            request_id: entry.request_id.clone(),
            platform: entry.target.platform.clone(),
            accepted: entry.accepted,
            completed: entry.completed,
            failed: entry.failed,
            reason: entry.reason.clone(),
            received_at: entry.received_at,
        }
    }
}

/// `final_message`, without its text.
#[derive(Debug, Serialize)]
pub(super) struct FinalMessageReported {
    client_id: ClientId,
    #[serde(flatten)]
    entry: FinalMessageEntry,
}

impl FinalMessageReported {
    pub(super) fn of(client_id: &ClientId, entry: &FinalMessageEntry) -> Self {
        FinalMessageReported {
            client_id: client_id.clone(),
            entry: FinalMessageEntry { raw_text: None, ..entry.clone() },
        }
    }
}
