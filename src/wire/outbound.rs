//! Frames to the extension.

use super::{inbound, json, raw_json::RawJson};
use bytestring::ByteString;
use serde::Serialize;

/// Name and version of the protocol.
pub const PROTOCOL: &str = "baa.firefox/1";

/// The types that the daemon sends, as `hello_ack` lists them.
pub(super) const TYPES: [&str; 15] = [
    "hello_ack",
    "challenge",
    "pairing_required",
    "error",
    "state_snapshot",
    "api_request",
    "request_cancel",
    "open_tab",
    "reload",
    "plugin_status",
    "tab_restore",
    "ws_reconnect",
    "controller_reload",
    "request_credentials",
    "action_result",
];

/// Typical size of a frame without its body, in bytes.
const FRAME_BYTES: usize = 384;

/// Serializes a frame.
pub fn frame(message: &impl Serialize) -> ByteString {
    serde_json::to_string(message).expect("our own frames have string keys").into()
}

/// Serializes a frame with an additional field, whose value is copied unchecked.
pub fn frame_with(message: &impl Serialize, field: &'static str, value: Option<&RawJson>) -> ByteString {
    let mut text = String::with_capacity(value.map_or(0, RawJson::len) + FRAME_BYTES);
    json::write(&mut text, message);
    if let Some(value) = value {
        value.splice_into(&mut text, field);
    }
    text.into()
}

/// Answer to `hello`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "hello_ack")]
pub struct HelloAck<'a> {
    /// Id of the accepted client.
    pub client_id: &'a str,
    /// Id of the new connection.
    pub connection_id: &'a str,
    /// [`PROTOCOL`].
    pub protocol: &'static str,
    /// Version of the daemon.
    pub version: &'static str,
    /// URL of this socket.
    pub ws_url: &'a str,
    /// Base URL of the HTTP API.
    pub local_api_base: &'a str,
    /// Interval of pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// Supported message types.
    pub supports: SupportedTypes,
    /// The platform registry, a JSON array.
    pub platforms: &'a RawJson,
    /// Whether clients have to be paired: `required` or `off`.
    pub pairing: &'static str,
    /// Newly issued to a client that was just paired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<&'a str>,
}

/// Message types by direction, seen from the daemon.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SupportedTypes {
    /// Accepted types.
    pub inbound: &'static [&'static str],
    /// Sent types.
    pub outbound: &'static [&'static str],
}

/// The supported types of this version.
pub const SUPPORTS: SupportedTypes = SupportedTypes { inbound: &inbound::TYPES, outbound: &TYPES };

/// A snapshot of the daemon's state for one client.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "state_snapshot")]
pub struct StateSnapshot<'a, S: Serialize> {
    /// Reason for sending it.
    pub reason: &'a str,
    /// The snapshot.
    pub snapshot: S,
}

/// A request to perform in the page. Its `body`, where there is one, is added by [`frame_with`]: a string is sent as it
/// is, anything else as JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "api_request")]
pub struct ApiRequest<'a> {
    /// Id of the request.
    pub id: &'a str,
    /// Platform of the request.
    pub platform: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// A path, or a URL on one of the platform's hosts; not with a prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// Headers, as a JSON object of strings.
    pub headers: &'a RawJson,
    /// A prompt for the learned template, instead of path and body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    /// `buffered` or `sse`.
    pub response_mode: &'static str,
    /// Id of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
    /// Time limit in milliseconds; a stream has none unless the caller sets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Cancels a request.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "request_cancel")]
pub struct RequestCancel<'a> {
    /// Id of the request.
    pub id: &'a str,
    /// Platform of the request.
    pub platform: &'a str,
    /// The same as `id`.
    pub stream_id: &'a str,
    /// Reason.
    pub reason: &'a str,
}

/// Answer to `action_request`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "action_result")]
pub struct ActionResponse<'a, S: Serialize> {
    /// Name of the action.
    pub action: &'a str,
    /// Id of the request, chosen by the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// Whether the mode was changed.
    pub ok: bool,
    /// Mode afterwards.
    pub system: S,
}

/// Tells an unknown client that it must be approved.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "pairing_required")]
pub struct PairingRequired<'a> {
    /// Six digits for the operator to compare.
    pub code: &'a str,
}

/// The daemon's proof for a paired client, and the nonce for the client's proof.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "challenge")]
pub struct Challenge<'a> {
    /// Nonce of the daemon.
    pub nonce: &'a str,
    /// HMAC in hexadecimal digits.
    pub proof: &'a str,
}
