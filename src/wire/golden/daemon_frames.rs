//! One frame of each type that the daemon sends, with or without its optional fields.

use super::golden;
use crate::{
    mode::{Mode, SystemView},
    wire::{
        ActionKind, ActionResponse, ApiRequest, Challenge, FrameError, FrameErrorCode, HelloAck, PROTOCOL,
        PairingRequired, RawJson, RequestCancel, SUPPORTS, StateSnapshot, frame, frame_with,
    },
};
use serde_json::{Value, json};

/// The actions whose messages have a type of their own each.
const COMMANDS: [ActionKind; 7] = [
    ActionKind::TabFocus,
    ActionKind::TabReload,
    ActionKind::PluginStatus,
    ActionKind::TabRestore,
    ActionKind::WsReconnect,
    ActionKind::ControllerReload,
    ActionKind::RequestCredentials,
];

/// Returns the frames of all types, each with its type. `set`: with the values of the golden frames in optional fields,
/// else without these fields.
pub(super) fn with_optional_fields(set: bool) -> Vec<(&'static str, Value)> {
    let (id, platform) = ("req-1", "claude");
    let error = FrameError {
        code: FrameErrorCode::InvalidMessage,
        message: "field \"seq\" must be a positive integer".to_owned(),
        in_reply_to: set.then(|| "stream_event".to_owned()),
        id: set.then(|| id.to_owned()),
    };
    let challenge = Challenge {
        nonce: "ffeeddccbbaa99887766554433221100",
        proof: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    };
    let system = SystemView { mode: Mode::Paused, changed_at: 1_790_000_000_000, reason: Some("lunch".into()) };
    let changed = ActionResponse { action: "pause", request_id: set.then_some("act-1"), ok: true, system };
    let snapshot = &golden("outbound", "state_snapshot")["snapshot"];
    let frames = [
        ("hello_ack", hello_ack(set)),
        ("challenge", frame(&challenge)),
        ("pairing_required", frame(&PairingRequired { code: "123456" })),
        ("error", frame(&error)),
        ("state_snapshot", frame(&StateSnapshot { reason: "hello", snapshot })),
        ("api_request", api_request(set)),
        ("request_cancel", frame(&RequestCancel { id, platform, stream_id: id, reason: "downstream_disconnected" })),
        ("action_result", frame(&changed)),
    ];
    let commands = COMMANDS.map(|kind| {
        let platform = (set || kind.needs_platform()).then_some(platform);
        let command = kind.command("act-1", platform, set.then_some("operator"));
        (command.kind, frame(&command))
    });
    frames.into_iter().chain(commands).map(|(kind, text)| (kind, serde_json::from_str(&text).unwrap())).collect()
}

/// Returns an `api_request` with a prompt in place of path and body.
pub(super) fn prompt_request() -> Value {
    let text = frame(&ApiRequest { path: None, prompt: Some("Hello"), ..request(&RawJson::trusted("{}"), true) });
    serde_json::from_str(&text).unwrap()
}

fn hello_ack(set: bool) -> bytestring::ByteString {
    let secret = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    frame(&HelloAck {
        client_id: "firefox-1",
        connection_id: "3f2a6c1e-1111-4222-8333-444455556666",
        protocol: PROTOCOL,
        version: "0.1.0",
        ws_url: "ws://127.0.0.1:4317/ws/firefox",
        local_api_base: "http://127.0.0.1:4317",
        heartbeat_ms: 15_000,
        supports: SUPPORTS,
        platforms: &RawJson::of(&golden("outbound", "hello_ack")["platforms"]),
        pairing: "required",
        client_secret: set.then_some(secret),
    })
}

fn api_request(set: bool) -> bytestring::ByteString {
    let headers = RawJson::of(&json!({"content-type": "application/json"}));
    let body = set.then(|| RawJson::of(&json!({"prompt": "Hello"})));
    frame_with(&request(&headers, set), "body", body.as_ref())
}

fn request(headers: &RawJson, set: bool) -> ApiRequest<'_> {
    ApiRequest {
        id: "req-1",
        platform: "claude",
        method: "POST",
        path: set.then_some("/api/x"),
        headers,
        prompt: None,
        response_mode: "sse",
        stream_id: set.then_some("req-1"),
        timeout_ms: set.then_some(20_000),
    }
}
