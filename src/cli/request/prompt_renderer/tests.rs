//! Responses as they are printed while they arrive.

use super::*;
use crate::sse::events;
use serde_json::{Value, json};
use std::{fs, path::Path};

const FILE: ResponseStyle = ResponseStyle { json: false, terminal: false };

/// Returns the text printed at each event and at the end, and the warning.
fn rendered(app: FinalMessageExtractor, style: ResponseStyle, frames: &[Value]) -> (Vec<String>, Option<String>) {
    let mut renderer = PromptRenderer::of(app, style).unwrap();
    let frame = |frame: &Value| SseFrame { event: "stream_event".into(), data: frame.to_string() };
    let mut printed: Vec<_> = frames.iter().map(|data| renderer.render(&frame(data))).collect();
    printed.push(renderer.finish());
    (printed, renderer.warning())
}

/// An event as the extension sends it: its data as a string.
fn passed_on(name: Option<&str>, data: &str) -> Value {
    json!({"event": name.unwrap_or("message"), "data": data, "seq": 1})
}

fn data(events: &[Value]) -> Vec<Value> {
    events.iter().map(|data| json!({"data": data})).collect()
}

fn shared(case: &str) -> (String, String) {
    let at = |end: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/platforms/{case}.{end}"));
    let expected: Value = serde_json::from_str(&fs::read_to_string(at("expected.json")).unwrap()).unwrap();
    let text = expected["daemon"]["text"].as_str().unwrap().to_owned();
    (fs::read_to_string(at("response.txt")).unwrap(), text)
}

#[test]
fn only_the_assistants_text_is_printed() {
    for (case, app) in [
        ("claude/thinking", FinalMessageExtractor::Claude),
        ("claude/older", FinalMessageExtractor::Claude),
        ("claude/tool_between", FinalMessageExtractor::Claude),
        ("chatgpt/snapshots", FinalMessageExtractor::Chatgpt),
        ("chatgpt/deltas", FinalMessageExtractor::Chatgpt),
        ("chatgpt/deltas_thoughts_and_tools", FinalMessageExtractor::Chatgpt),
    ] {
        let (answer, text) = shared(case);
        let frames = events(&answer).map(|event| passed_on(event.name, event.data.as_deref().unwrap_or_default()));
        let (printed, warning) = rendered(app, FILE, &frames.collect::<Vec<_>>());
        let line_end = if text.ends_with('\n') { "" } else { "\n" };
        assert_eq!((printed.concat(), warning), (format!("{text}{line_end}"), None), "{case}");
    }
}

#[test]
fn a_response_without_an_event_stream_is_read_in_pieces() {
    let (answer, text) = shared("gemini/frames");
    for size in [1, 7, 100_000] {
        let pieces: Vec<char> = answer.chars().collect();
        let pieces = pieces.chunks(size).map(|piece| passed_on(None, &piece.iter().collect::<String>()));
        let (printed, warning) = rendered(FinalMessageExtractor::Gemini, FILE, &pieces.collect::<Vec<_>>());
        let printed = printed.concat();
        // Later frames replace the text of earlier ones.
        assert!(
            printed.starts_with("Elbe") && printed.ends_with(&format!("\n{text}\n")) || printed == format!("{text}\n")
        );
        assert_eq!(
            (printed.lines().count() > text.lines().count(), warning),
            (size < 100, None),
            "in pieces of {size}"
        );
    }
}

#[test]
fn a_replaced_text_starts_a_new_line_and_a_withdrawn_one_stays() {
    let parts = |text: &str| {
        let content = json!({"content_type": "text", "parts": [text]});
        json!({"message": {"author": {"role": "assistant"}, "content": content}})
    };
    let events = data(&[
        parts("one"),
        parts("one two"),
        parts("one two"),
        parts(""),
        parts("one two!"),
        parts("other"),
        json!("[DONE]"),
    ]);
    let (printed, warning) = rendered(FinalMessageExtractor::Chatgpt, FILE, &events);
    assert_eq!((printed, warning), (["one", " two", "", "", "!", "\nother", "", "\n"].map(str::to_owned).into(), None));
}

#[test]
fn a_buffered_response_prints_the_text_that_the_daemon_extracted() {
    let whole = json!({"content_type": "text/event-stream", "events": [], "full_text": "all of it", "raw": "data: …"});
    assert_eq!(rendered(FinalMessageExtractor::Claude, FILE, &data(&[whole])).0.concat(), "all of it\n");
}

#[test]
fn an_unknown_format_is_printed_raw_with_a_warning() {
    let odd = [json!({"verse": 1}), json!({"verse": 2})];
    let (printed, warning) = rendered(FinalMessageExtractor::Claude, FILE, &data(&odd));
    assert_eq!(printed, ["", "", "{\"verse\":1}\n{\"verse\":2}\n"], "held back until the end");
    assert!(warning.unwrap().contains("unknown format (event_without_type)"));

    let known = json!({"type": "message_start", "message": {"role": "assistant"}});
    let (printed, warning) =
        rendered(FinalMessageExtractor::Claude, FILE, &data(&[odd[0].clone(), known, odd[1].clone()]));
    assert_eq!((printed.concat(), warning), (String::new(), Some("the response contains no text".into())));

    let long = json!({"verse": "x".repeat(HELD_BYTES_MAX)});
    let (printed, _) = rendered(FinalMessageExtractor::Claude, FILE, &data(&[odd[0].clone(), long, odd[1].clone()]));
    assert!(printed[0].is_empty() && printed[1].starts_with("{\"verse\":1}\n{\"verse\":\"xx"), "too much to hold back");
    assert_eq!(printed[2..], ["{\"verse\":2}\n", ""]);
}

#[test]
fn after_a_format_change_the_rest_is_printed_raw() {
    let completion = |text: Value| json!({"type": "completion", "completion": text});
    let events = data(&[completion(json!("one")), completion(json!(7)), completion(json!("two"))]);
    let (printed, warning) = rendered(FinalMessageExtractor::Claude, FILE, &events);
    let raw = |text: &str| format!("{}\n", completion(serde_json::from_str(text).unwrap()));
    assert_eq!(printed, ["one".to_owned(), format!("\n{}", raw("7")), raw("\"two\""), String::new()]);
    assert!(warning.unwrap().contains("completion_shape"));
}

#[test]
fn control_characters_are_escaped_on_a_terminal() {
    let screen = ResponseStyle { json: false, terminal: true };
    let completion = json!({"type": "completion", "completion": "\u{1b}[2J"});
    assert_eq!(rendered(FinalMessageExtractor::Claude, screen, &data(&[completion])).0.concat(), "\\u{1b}[2J\n");
}

#[test]
fn an_app_without_an_extractor_has_no_renderer() {
    assert!(PromptRenderer::of(FinalMessageExtractor::None, FILE).is_none());
}
