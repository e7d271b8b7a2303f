//! The bridge as it is shown: to the operator whole, to a client with itself alone.

use super::entries::SessionView;
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId},
};
use serde::Serialize;

/// Where the daemon listens and since when; what peers and callers are told about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The configured host name of this node.
    pub host: String,
    /// The configured id of this node.
    pub identity: String,
    /// The path of the peers' socket.
    pub ws_path: &'static str,
    /// The URL of the peers' socket.
    pub ws_url: String,
    /// The base URL of HTTP.
    pub local_api_base: String,
    /// When the daemon started, in Unix milliseconds.
    pub started_at: WallMs,
}

/// The path of the peers' socket.
pub const WS_PATH: &str = "/ws/firefox";

/// One connected client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientView {
    /// Who.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// Since when, in Unix milliseconds.
    pub connected_at: WallMs,
    /// When it last said anything, in Unix milliseconds.
    pub last_message_at: WallMs,
    /// As told in `hello`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// As told in `hello`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_category: Option<String>,
    /// As told in `hello`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_platform: Option<String>,
    /// As told in `hello`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension_version: Option<String>,
    /// What it told since.
    #[serde(flatten)]
    pub session: SessionView,
    /// Requests it performs right now.
    pub in_flight: usize,
}

/// Whether any client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeStatus {
    /// At least one is.
    Connected,
    /// None is.
    Disconnected,
}

impl BridgeStatus {
    /// With so many clients.
    pub fn of(clients: usize) -> Self {
        if clients == 0 { BridgeStatus::Disconnected } else { BridgeStatus::Connected }
    }
}

/// The `bridge` part of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BridgeView {
    /// The client whose `hello` came last.
    pub active_client_id: Option<ClientId>,
    /// Its connection.
    pub active_connection_id: Option<ConnectionId>,
    /// How many are connected.
    pub client_count: usize,
    /// Sorted by name.
    pub clients: Vec<ClientView>,
    /// Whether any is.
    pub status: BridgeStatus,
    /// How they are connected.
    pub transport: &'static str,
    /// The path of their socket.
    pub ws_path: &'static str,
    /// The URL of their socket.
    pub ws_url: String,
}

impl BridgeView {
    /// The view of these clients; `active` is shown only if it is one of them.
    pub fn new(clients: Vec<ClientView>, active: Option<&ClientId>, identity: &Identity) -> Self {
        let active = active.and_then(|id| clients.iter().find(|client| client.client_id == *id));
        BridgeView {
            active_client_id: active.map(|client| client.client_id.clone()),
            active_connection_id: active.map(|client| client.connection_id.clone()),
            client_count: clients.len(),
            status: BridgeStatus::of(clients.len()),
            transport: "local_firefox_ws",
            ws_path: identity.ws_path,
            ws_url: identity.ws_url.clone(),
            clients,
        }
    }

    /// The active client.
    pub fn current(&self) -> Option<&ClientView> {
        let id = self.active_client_id.as_ref()?;
        self.clients.iter().find(|client| client.client_id == *id)
    }
}
