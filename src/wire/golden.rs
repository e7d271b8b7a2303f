//! Compares the golden frames in `tests/fixtures/wire/`, which the extension's own tests read too, with what the daemon
//! reads from them and with what it writes.

use super::{inbound::TYPES as INBOUND, outbound::TYPES as OUTBOUND, *};
use bytestring::ByteString;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

mod daemon_frames;
mod inbound_view;
mod page;
mod protocol_page;

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

/// Parses a frame and returns what the daemon keeps of it.
fn read(frame: &Value) -> Result<Value, FrameError> {
    InboundFrame::parse(&ByteString::from(frame.to_string())).map(|inbound| inbound_view::of(&inbound))
}

/// Returns the part of a golden frame that the daemon keeps.
fn kept(kind: &str, mut frame: Value) -> Value {
    let fields = frame.as_object_mut().unwrap();
    match kind {
        "credentials" => {
            let names = fields.remove("header_names").unwrap();
            fields.insert("header_count".to_owned(), json!(names.as_array().unwrap().len()));
            fields["shell_runtime"] = json!([fields["shell_runtime"]]);
        }
        "stream_open" | "stream_event" | "stream_end" | "stream_error" => drop(fields.remove("stream_id").unwrap()),
        _ => {}
    }
    frame
}

/// Returns the frame with every field name in camelCase, except in values that are passed on as they came.
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
fn every_inbound_frame_is_read_whole_and_the_same_in_both_spellings() {
    for kind in INBOUND {
        let frame = golden("inbound", kind);
        assert_eq!(read(&frame), Ok(kept(kind, frame.clone())), "{kind}");
        assert_eq!(read(&camel(&frame)), read(&frame), "{kind}");
    }
}

#[test]
fn bodies_pass_through_byte_for_byte() {
    let parse = |text: &str| match InboundFrame::parse(&ByteString::from(text)) {
        Ok(InboundFrame::Request { report, .. }) => report,
        other => panic!("not about a request: {other:?}"),
    };
    let odd = r#"{"n": 12345678901234567890, "f":1.0, "s":"\u00e9"}"#;
    let event = parse(&format!(r#"{{"type":"stream_event","id":"r","seq":1,"event":"e","data":{odd}}}"#));
    assert!(matches!(event, RequestReport::Event(event) if event.data.text() == odd));
    let answer = parse(&format!(r#"{{"type":"api_response","id":"r","body":{odd}}}"#));
    assert!(matches!(answer, RequestReport::Answer(answer) if answer.body.text() == odd));
}

#[test]
fn every_frame_that_the_daemon_writes_is_the_golden_one() {
    let written = daemon_frames::with_optional_fields(true);
    assert_eq!(written.len(), OUTBOUND.len());
    for (kind, frame) in written {
        assert_eq!(frame, golden("outbound", kind), "{kind}");
    }
}
