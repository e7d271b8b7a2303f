//! The golden frames in `tests/fixtures/wire/`, which the extension's own tests read too: what we read from each, and
//! that what we write is exactly them.

use super::{inbound::TYPES as INBOUND, outbound::TYPES as OUTBOUND, *};
use crate::mode::{Mode, SystemView};
use bytestring::ByteString;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn folder(direction: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire").join(direction)
}

fn golden(direction: &str, kind: &str) -> Value {
    let text = fs::read_to_string(folder(direction).join(format!("{kind}.json"))).expect("a golden frame");
    serde_json::from_str(&text).expect("a golden frame is JSON")
}

fn kinds(direction: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(direction)).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.into_string().unwrap().trim_end_matches(".json").to_owned()).collect()
}

fn shown(frame: &Value) -> String {
    let text = ByteString::from(frame.to_string());
    let inbound = InboundFrame::parse(&text).unwrap_or_else(|refused| panic!("{refused:?}: {frame}"));
    format!("{inbound:#?}")
}

/// Every name in camelCase, but for what is passed on as it came and for the names of headers.
fn camel(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(camel).collect(),
        Value::Object(fields) => {
            let renamed = fields.iter().map(|(name, value)| {
                let opaque = matches!(&**name, "body" | "data" | "meta" | "headers");
                (camel_name(name), if opaque { value.clone() } else { camel(value) })
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sum, part| sum + &part[..1].to_uppercase() + &part[1..])
}

#[test]
fn every_type_has_a_golden_frame_and_no_other_lies_there() {
    assert_eq!(kinds("inbound"), INBOUND.iter().map(ToString::to_string).collect());
    assert_eq!(kinds("outbound"), OUTBOUND.iter().map(ToString::to_string).collect());
}

#[test]
fn every_inbound_frame_reads_the_same_in_both_spellings_and_leaves_nothing_out() {
    for kind in INBOUND {
        let frame = golden("inbound", kind);
        let read = shown(&frame);
        assert_eq!(read, shown(&camel(&frame)), "{kind}");
        // Every text and number of the frame is found in what was read, but for what is dropped on purpose.
        for value in leaves(&frame) {
            let dropped = ["cookie", "x-csrf", "application/json", "text/event-stream"];
            if !dropped.contains(&&*value) && value != *kind && !read.contains(&value) {
                let passed_on =
                    matches!(kind, "api_response" | "stream_open" | "stream_event" | "browser.final_message");
                assert!(passed_on || value == "req-1", "{kind}: {value} is lost in {read}");
            }
        }
    }
}

fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

#[test]
fn bodies_pass_through_as_they_came() {
    let text = ByteString::from(golden("inbound", "stream_event").to_string());
    let Ok(InboundFrame::Request { report: RequestReport::Event(event), .. }) = InboundFrame::parse(&text) else {
        panic!()
    };
    assert_eq!((event.seq, event.event.text()), (1, "\"completion\""));
    assert_eq!(event.data.text(), "{\"completion\":\"Hel\"}");
    assert!(event.raw.string().unwrap().starts_with("event: completion\ndata: "));
    let text = ByteString::from(golden("inbound", "api_response").to_string());
    let Ok(InboundFrame::Request { report: RequestReport::Answer(answer), .. }) = InboundFrame::parse(&text) else {
        panic!()
    };
    assert_eq!(answer.body.text(), "{\"error\":{\"type\":\"rate_limit\"}}");
    assert_eq!((answer.ok, answer.headers.retry_after.as_deref()), (false, Some("7")));
}

#[test]
fn what_we_write_is_the_golden_frame() {
    let command = |kind: ActionKind| {
        let command = kind.command("act-1", Some("claude"), Some("operator"));
        (command.kind, frame(&command))
    };
    let platforms = RawJson::of(&golden("outbound", "hello_ack")["platforms"]);
    let api_request = ApiRequest {
        id: "req-1",
        platform: "claude",
        method: "POST",
        path: Some("/api/x"),
        headers: &RawJson::of(&json!({"content-type": "application/json"})),
        prompt: None,
        response_mode: "sse",
        stream_id: Some("req-1"),
        timeout_ms: Some(20_000),
    };
    let hello_ack = HelloAck {
        client_id: "firefox-1",
        connection_id: "3f2a6c1e-1111-4222-8333-444455556666",
        protocol: PROTOCOL,
        version: "0.1.0",
        ws_url: "ws://127.0.0.1:4317/ws/firefox",
        local_api_base: "http://127.0.0.1:4317",
        heartbeat_ms: 15_000,
        supports: SUPPORTS,
        platforms: &platforms,
        pairing: "required",
        client_secret: Some("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    };
    let error = ErrorFrame {
        code: FrameErrorCode::InvalidMessage,
        message: "field \"seq\" must be a positive integer",
        in_reply_to: Some("stream_event"),
        id: Some("req-1"),
    };
    let proof = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let (id, platform) = ("req-1", "claude");
    let snapshot = &golden("outbound", "state_snapshot")["snapshot"];
    let written = [
        ("hello_ack", frame(&hello_ack)),
        ("challenge", frame(&Challenge { nonce: "ffeeddccbbaa99887766554433221100", proof })),
        ("pairing_required", frame(&PairingRequired { code: "123456" })),
        ("error", frame(&error)),
        ("state_snapshot", frame(&StateSnapshot { reason: "hello", snapshot })),
        ("api_request", frame_with(&api_request, "body", Some(&RawJson::of(&json!({"prompt": "Hello"}))))),
        ("request_cancel", frame(&RequestCancel { id, platform, stream_id: id, reason: "downstream_disconnected" })),
        command(ActionKind::TabFocus),
        command(ActionKind::TabReload),
        command(ActionKind::PluginStatus),
        command(ActionKind::TabRestore),
        command(ActionKind::WsReconnect),
        command(ActionKind::ControllerReload),
        command(ActionKind::RequestCredentials),
        ("action_result", {
            let system = SystemView { mode: Mode::Paused, changed_at: 1_790_000_000_000, reason: Some("lunch".into()) };
            frame(&ActionResponse { action: "pause", request_id: Some("act-1"), ok: true, system })
        }),
    ];
    assert_eq!(written.len(), OUTBOUND.len());
    for (kind, text) in written {
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), golden("outbound", kind), "{kind}");
    }
}
