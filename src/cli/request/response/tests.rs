//! Rendering of each kind of response.

use super::*;
use serde_json::json;

const FILE: ResponseStyle = ResponseStyle { json: false, terminal: false };
const SCREEN: ResponseStyle = ResponseStyle { json: false, terminal: true };

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn rendered(style: ResponseStyle, events: &[Value]) -> String {
    let mut renderer = EventRenderer::new(style);
    let frame = |data: &Value| SseFrame { event: "stream_event".into(), data: json!({"data": data}).to_string() };
    let mut text: String = events.iter().map(|data| renderer.render(&frame(data))).collect();
    text.push_str(&renderer.finish());
    text
}

#[test]
fn a_buffered_response_is_rendered_by_its_type() {
    for (data, wanted) in [
        (r#"{"response":{"b":1.0,"a":[]},"proxy":{}}"#, "{\"b\":1.0,\"a\":[]}\n"),
        (r#"{"response":"two\nlines\u001b"}"#, "two\nlines\u{1b}\n"),
        (r#"{"response":"ended\n"}"#, "ended\n"),
        (r#"{"response":"\ud800"}"#, "\"\\ud800\"\n"),
        (r#"{"response":null}"#, ""),
        (r#"{"response":""}"#, ""),
        (r#"{"response":7}"#, "7\n"),
        ("{}", ""),
        ("7", ""),
    ] {
        assert_eq!(render_buffered(&raw(data), FILE), wanted, "{data}");
    }
    let data = raw(r#"{"response":{"a":1}}"#);
    assert_eq!(render_buffered(&data, SCREEN), "{\n  \"a\": 1\n}\n");
    assert_eq!(render_buffered(&data, ResponseStyle { json: true, ..FILE }), "{\"response\":{\"a\":1}}\n");
    assert_eq!(render_buffered(&raw(r#"{"response":"\u001b[2J"}"#), SCREEN), "\\u{1b}[2J\n");
}

#[test]
fn the_text_of_known_formats_is_joined() {
    let older = [json!({"completion": "one "}), json!({"completion": "two"}), json!({"completion": ""})];
    assert_eq!(rendered(FILE, &older), "one two\n");
    let newer = [
        json!({"type": "message_start", "message": {"id": "m"}}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "one "}}),
        json!({"delta": "two "}),
        json!("{\"text\": \"three\\n\"}"),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(rendered(FILE, &newer), "one two three\n");
}

#[test]
fn repeated_whole_messages_print_only_new_text() {
    let parts = |text: &str| json!({"message": {"content": {"parts": [text]}}});
    let events = [parts(""), parts("one"), parts("one two"), parts("one two"), parts("other"), json!("[DONE]")];
    assert_eq!(rendered(FILE, &events), "one two\nother\n");
}

#[test]
fn unknown_events_are_printed_raw_on_their_own_lines() {
    let events = [json!({"b": [1, 2]}), json!({"text": "one"}), json!("plain"), json!(null), json!({"text": "two"})];
    assert_eq!(rendered(FILE, &events), "{\"b\":[1,2]}\none\nplain\ntwo\n");
    assert_eq!(rendered(SCREEN, &[json!({"text": "\u{1b}[2J\n"}), json!("\u{7}")]), "\\u{1b}[2J\n\\u{7}\n");
    let mut renderer = EventRenderer::new(FILE);
    for (data, wanted) in [("not json", "not json\n"), ("{}", ""), ("7", "7\n")] {
        assert_eq!(renderer.render(&SseFrame { event: "stream_event".into(), data: data.into() }), wanted);
    }
}

#[test]
fn json_prints_one_line_per_frame() {
    let mut renderer = EventRenderer::new(ResponseStyle { json: true, terminal: true });
    let mut render = |event: &str, data: &str| renderer.render(&SseFrame { event: event.into(), data: data.into() });
    assert_eq!(
        render("stream_open", "{\"z\": 1,\n\"a\": 2}"),
        "{\"event\":\"stream_open\",\"data\":{\"z\":1,\"a\":2}}\n"
    );
    assert_eq!(render("odd\"name", "no\njson"), "{\"event\":\"odd\\\"name\",\"data\":\"no\\njson\"}\n");
    assert_eq!(renderer.finish(), "");
}

#[test]
fn the_last_frame_decides_the_result() {
    let frame = |event: &str, data: &str| stream_end(&SseFrame { event: event.into(), data: data.into() });
    assert_eq!(frame("stream_event", "{}"), None);
    assert_eq!(frame("stream_end", "{}"), Some(StreamEnd::Completed));
    let unnamed = "the stream ended with an unnamed error";
    for (data, wanted, kind) in [
        (
            r#"{"error":"circuit_open","http_error":"browser_risk_limited","status":429,"message":"Wait\u001b."}"#,
            "circuit_open: Wait\\u{1b}.",
            FailureKind::Refused,
        ),
        (r#"{"error":"reset","http_error":"browser_upstream_error","status":503}"#, "reset", FailureKind::Upstream),
        (r#"{"error":"request_timeout","status":504}"#, "request_timeout", FailureKind::Failed),
        ("{}", unnamed, FailureKind::Failed),
        ("junk", unnamed, FailureKind::Failed),
    ] {
        assert_eq!(frame("stream_error", data), Some(StreamEnd::Failed(wanted.into(), kind)), "{data}");
    }
}
