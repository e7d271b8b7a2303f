//! The state of the bridge as it is shown: to the operator with all clients, to a client with itself alone.

use crate::{clock::WallMs, ids::ClientId, wire::ShellRuntime};
use serde::Serialize;

pub use crate::api::browser::{
    BridgeStatus, BridgeView, ClientView, CredentialEntry, FinalMessageEntry, HookEntry, SessionView,
};

/// Addresses, version and start of the daemon, as peers and callers see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DaemonIdentity {
    /// Configured host name of this node.
    pub host: String,
    /// Configured id of this node.
    pub identity: String,
    /// Path of the extension's WebSocket.
    pub ws_path: &'static str,
    /// URL of the extension's WebSocket.
    pub ws_url: String,
    /// Base URL of the HTTP routes.
    pub local_api_base: String,
    /// Start time, in Unix milliseconds.
    pub started_at: WallMs,
}

/// Path of the extension's WebSocket.
pub const WS_PATH: &str = "/ws/firefox";

impl BridgeStatus {
    /// Returns the status with this number of clients.
    pub fn of(clients: usize) -> Self {
        if clients == 0 { BridgeStatus::Disconnected } else { BridgeStatus::Connected }
    }
}

impl BridgeView {
    /// Creates the view of these clients; `active` is shown only if it is one of them.
    pub fn new(clients: Vec<ClientView>, active: Option<&ClientId>, identity: &DaemonIdentity) -> Self {
        let active = active.and_then(|id| clients.iter().find(|client| client.client_id == *id));
        BridgeView {
            active_client_id: active.map(|client| client.client_id.clone()),
            active_connection_id: active.map(|client| client.connection_id.clone()),
            client_count: clients.len(),
            status: BridgeStatus::of(clients.len()),
            transport: "local_firefox_ws".into(),
            ws_path: identity.ws_path.into(),
            ws_url: identity.ws_url.clone(),
            clients,
        }
    }

    /// Returns the active client.
    pub fn current(&self) -> Option<&ClientView> {
        let id = self.active_client_id.as_ref()?;
        self.clients.iter().find(|client| client.client_id == *id)
    }
}

impl SessionView {
    /// Returns the login of a platform that was seen last.
    pub fn newest_credentials(&self, platform: &str) -> Option<&CredentialEntry> {
        let of_it = self.credentials.iter().filter(|entry| entry.platform == platform);
        of_it.max_by_key(|entry| entry.last_seen_at)
    }

    /// Returns the endpoint list of a platform that changed last.
    pub fn newest_hooks(&self, platform: &str) -> Option<&HookEntry> {
        self.request_hooks.iter().filter(|entry| entry.platform == platform).max_by_key(|entry| entry.updated_at)
    }

    /// Returns the shell tab of a platform.
    pub fn tab(&self, platform: &str) -> Option<&ShellRuntime> {
        self.shell_runtime.iter().find(|tab| tab.platform == platform)
    }
}
