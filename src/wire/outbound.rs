//! Frames to the extension.

use super::{inbound, json, raw_json::RawJson};
use bytestring::ByteString;
use serde::Serialize;

/// The protocol that both sides speak.
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

/// Room that most frames need beside their bodies.
const FRAME_BYTES: usize = 384;

/// A frame as text.
pub fn frame(message: &impl Serialize) -> ByteString {
    serde_json::to_string(message).expect("our own frames have string keys").into()
}

/// A frame with one more field, if there is a value: it is copied as it is rather than checked again.
pub fn frame_with(message: &impl Serialize, field: &'static str, value: Option<&RawJson>) -> ByteString {
    let mut text = String::with_capacity(value.map_or(0, RawJson::len) + FRAME_BYTES);
    json::write(&mut text, message);
    if let Some(value) = value {
        value.splice_into(&mut text, field);
    }
    text.into()
}

/// The answer to `hello`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "hello_ack")]
pub struct HelloAck<'a> {
    /// Who was greeted.
    pub client_id: &'a str,
    /// The new connection.
    pub connection_id: &'a str,
    /// [`PROTOCOL`].
    pub protocol: &'static str,
    /// The daemon's version.
    pub version: &'static str,
    /// Where this socket lives.
    pub ws_url: &'a str,
    /// Where HTTP lives.
    pub local_api_base: &'a str,
    /// The interval of pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// Which message types are understood.
    pub supports: SupportedTypes,
    /// The platform registry, a JSON array.
    pub platforms: &'a RawJson,
    /// Whether clients have to be paired: `required` or `off`.
    pub pairing: &'static str,
    /// Newly issued to a client that was just paired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<&'a str>,
}

/// Message types, by direction as the daemon sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SupportedTypes {
    /// Understood.
    pub inbound: &'static [&'static str],
    /// Sent.
    pub outbound: &'static [&'static str],
}

/// Everything that this version knows.
pub const SUPPORTS: SupportedTypes = SupportedTypes { inbound: &inbound::TYPES, outbound: &TYPES };

/// A picture of the daemon for one client.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "state_snapshot")]
pub struct StateSnapshot<'a, S: Serialize> {
    /// Why it is sent.
    pub reason: &'a str,
    /// The picture.
    pub snapshot: S,
}

/// A request to perform in the page. Its `body`, where there is one, is added by [`frame_with`]: a string is sent as it
/// is, anything else as JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "api_request")]
pub struct ApiRequest<'a> {
    /// Its id.
    pub id: &'a str,
    /// In which app.
    pub platform: &'a str,
    /// Its method.
    pub method: &'a str,
    /// A path, or a URL on one of the platform's hosts; not with a prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// Its headers, a JSON object of strings.
    pub headers: &'a RawJson,
    /// A prompt for the learned template, instead of path and body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    /// `buffered` or `sse`.
    pub response_mode: &'static str,
    /// Of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<&'a str>,
    /// Within which time it must be answered, in milliseconds; a stream has no limit unless one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// A request whose answer nobody wants any more.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "request_cancel")]
pub struct RequestCancel<'a> {
    /// Its id.
    pub id: &'a str,
    /// In which app.
    pub platform: &'a str,
    /// Equal to its id.
    pub stream_id: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// The answer to `action_request`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "action_result")]
pub struct ActionResponse<'a, S: Serialize> {
    /// Which action.
    pub action: &'a str,
    /// The extension's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// Whether it was done.
    pub ok: bool,
    /// The daemon's mode afterwards.
    pub system: S,
}

/// A frame that was not taken.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "error")]
pub struct ErrorFrame<'a> {
    /// Why.
    pub code: inbound::FrameErrorCode,
    /// The same as a sentence.
    pub message: &'a str,
    /// The offending type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<&'a str>,
    /// The request it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

/// An unknown client must be approved first.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "pairing_required")]
pub struct PairingRequired<'a> {
    /// Six digits for the operator to compare.
    pub code: &'a str,
}

/// The daemon's proof to a paired client, and the value for the client's own.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "challenge")]
pub struct Challenge<'a> {
    /// The daemon's random value.
    pub nonce: &'a str,
    /// An HMAC, in hex.
    pub proof: &'a str,
}
