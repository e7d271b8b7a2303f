//! The shapes of a buffered answer.

use super::*;
use crate::wire::ResponseHeaders;
use serde_json::{Value, json};

const MAX: usize = 1_000;

fn shaped(body: &Value, content_type: Option<&str>) -> Value {
    let headers = ResponseHeaders { content_type: content_type.map(str::to_owned), retry_after: None };
    let answer = ApiResponse { ok: true, body: RawJson::of(body), headers, ..ApiResponse::default() };
    serde_json::from_str(shape_answer(&answer, MAX, None).unwrap().shown.text()).unwrap()
}

#[test]
fn json_is_itself_also_when_it_came_as_text() {
    for (body, shown) in [
        (json!({"a": 1}), json!({"a": 1})),
        (json!("{\"a\": 1}"), json!({"a": 1})),
        (json!(" [1] "), json!([1])),
        (json!("plain text"), json!("plain text")),
        (json!("{broken"), json!("{broken")),
        (json!("nothing"), json!("nothing")),
        (json!(""), Value::Null),
        (Value::Null, Value::Null),
        (json!(7), json!(7)),
    ] {
        assert_eq!(shaped(&body, None), shown, "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let answer = ApiResponse { body: RawJson::of(&deep), ..ApiResponse::default() };
    assert!(
        shape_answer(&answer, MAX, None).unwrap().shown.text().starts_with('"'),
        "text that nests too deep stays text"
    );
}

#[test]
fn an_answer_over_the_limit_is_too_large_however_it_is_escaped() {
    let of = |body: Value| {
        let answer = ApiResponse { body: RawJson::of(&body), ..ApiResponse::default() };
        shape_answer(&answer, MAX, None).map(|taken| taken.shown)
    };
    assert!(of(json!("\n".repeat(MAX))).is_ok(), "the text counts, not its escapes");
    assert_eq!(of(json!("y".repeat(MAX + 1))), Err(AnswerTooLarge));
    assert_eq!(of(json!([" ".repeat(MAX)])), Err(AnswerTooLarge));
}

#[test]
fn event_stream_text_is_taken_apart() {
    let text = "event: a\ndata: {\"n\": 1}\n\n: note\n\ndata: not json\r\n\r\ndata: l1\ndata: l2\n\ndata: last";
    let shown = shaped(&json!(text), Some("text/event-stream; charset=utf-8"));
    let data: Vec<_> = shown["events"].as_array().unwrap().iter().map(|e| e["data"].clone()).collect();
    assert_eq!(data, [json!({"n": 1}), json!("not json"), json!("l1\nl2"), json!("last")]);
    assert_eq!((&shown["events"][0]["event"], &shown["events"][1]["event"]), (&json!("a"), &json!("message")));
    assert_eq!(shown["events"][2]["raw"], "data: l1\ndata: l2");
    assert_eq!((&shown["raw"], &shown["content_type"]), (&json!(text), &json!("text/event-stream")));
}

#[test]
fn without_a_content_type_the_first_line_tells() {
    for text in ["data: 1\n\n", "event: x\n\n", "id: 1\n\n", ": hi\n\n"] {
        assert!(shaped(&json!(text), None).get("events").is_some(), "{text}");
    }
    assert_eq!(shaped(&json!("database: x"), None), json!("database: x"));
}

#[test]
fn the_deltas_of_every_known_shape_are_joined() {
    for (text, spelt) in [
        ("data: {\"completion\":\"Hel\"}\n\ndata: {\"completion\":\"lo\"}\n\n", "Hello"),
        ("data: {\"delta\":{\"text\":\"Hel\"}}\n\ndata: {\"delta\":\"lo\"}\n\n", "Hello"),
        ("data: {\"text\":\"Hello\"}\n\ndata: [DONE]\n\n", "Hello"),
        (
            "data: {\"message\":{\"content\":{\"parts\":[\"Hel\"]}}}\n\n\
             data: {\"message\":{\"content\":{\"parts\":[\"Hello\"]}}}\n\n",
            "Hello",
        ),
    ] {
        assert_eq!(shaped(&json!(text), None)["full_text"], spelt, "{text}");
    }
}

#[test]
fn of_an_event_the_lines_stand_as_they_came_and_its_json_too() {
    let text = "\u{feff}: c\r\nevent: e\rdata: {\"b\": 1,\r\ndata: \"a\": 2}\n\nid: 1\n\nevent: bare\n\n";
    let shown = event_stream::render(text, None).shown;
    assert!(shown.text().contains("\"data\":{\"b\": 1,\n\"a\": 2},"), "copied, not written anew");
    let shown: Value = serde_json::from_str(shown.text()).unwrap();
    let bare = json!({"event": "bare", "data": "", "raw": "event: bare"});
    let lines = ": c\nevent: e\ndata: {\"b\": 1,\ndata: \"a\": 2}";
    assert_eq!(shown["events"], json!([{"event": "e", "data": {"a": 2, "b": 1}, "raw": lines}, bare]));
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let shown = shaped(&json!(format!("data:{deep}")), None);
    assert_eq!(shown["events"][0]["data"], json!(deep), "data that nests too deep stays text");
}

#[test]
fn what_has_no_known_shape_spells_nothing() {
    for data in [
        r#"["text"]"#,
        r#""text""#,
        r#"{"text":1}"#,
        r#"{"delta":["text"]}"#,
        r#"{"text":"no","message":{"content":{"parts":[]}}}"#,
        r#"{"text":"no","text":null}"#,
        "text",
    ] {
        let text = format!("data: {{\"text\":\"a\\n\"}}\n\ndata: {data}\n\n");
        assert_eq!(shaped(&json!(text), None)["full_text"], "a\n", "{data}");
    }
}

#[test]
fn a_long_error_body_is_cut_to_a_string() {
    let long = cut(RawJson::of(&"e".repeat(200_000)));
    assert_eq!(long.string().unwrap().len(), ERROR_BODY_MAX);
    let umlauts = cut(RawJson::of(&format!("x{}", "ü".repeat(100_000))));
    assert_eq!(umlauts.string().unwrap().len(), ERROR_BODY_MAX - 1, "never inside a character");
    let object = cut(RawJson::of(&json!({"k": "v".repeat(70_000)})));
    assert!(object.string().unwrap().starts_with("{\"k\":"));
    assert_eq!(cut(RawJson::trusted("{\"why\":\"no\"}")).text(), "{\"why\":\"no\"}");
    assert_eq!(cut(RawJson::of(&"{\"why\":1}")).text(), "{\"why\":1}");
}

#[test]
fn retry_after_is_read_in_seconds_and_as_a_date_of_any_form() {
    let at = 1_792_567_680_000;
    let forms = ["Wed, 21 Oct 2026 07:28:00 GMT", "Wednesday, 21-Oct-26 07:28:00 GMT", "Wed Oct 21 07:28:00 2026"];
    for date in forms {
        assert_eq!(retry_after_ms(date, at - 90_000), Some(90_000), "{date}");
        assert_eq!(retry_after_ms(date, at + 1), Some(0), "a date in the past is now");
    }
    assert_eq!(retry_after_ms(" 7 ", at), Some(7_000));
    assert_eq!(retry_after_ms("18446744073709551615", at), Some(u64::MAX));
    for bad in ["", "soon", "-1", "+7", "7.5", "18446744073709551616", "Wed, 21 Oct 2026 07:28:00 +0200"] {
        assert_eq!(retry_after_ms(bad, at), None, "{bad}");
    }
}
