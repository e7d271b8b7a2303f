//! Event-stream text taken apart, as the WHATWG standard reads it, and the text that its deltas spell.

use serde::Serialize;
use serde_json::Value;

/// What the caller is shown instead of the text.
#[derive(Debug, Serialize)]
pub(super) struct EventStream<'a> {
    content_type: &'static str,
    events: Vec<EventEntry>,
    full_text: String,
    raw: &'a str,
}

/// One event.
#[derive(Debug, Serialize)]
pub(super) struct EventEntry {
    event: String,
    data: Value,
    raw: String,
}

/// Takes `text` apart.
pub(super) fn take_apart(text: &str) -> EventStream<'_> {
    let mut events = Vec::new();
    let mut block = Vec::new();
    // A last event without an empty line after it counts too: nothing more can come.
    for line in lines(text).chain([""]) {
        if line.is_empty() {
            events.extend(entry(&block));
            block.clear();
        } else {
            block.push(line);
        }
    }
    EventStream { content_type: "text/event-stream", full_text: spell(&events), events, raw: text }
}

/// Lines end with `\r\n`, `\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\n', '\r'])).unwrap_or(rest);
        Some(line)
    })
}

fn entry(block: &[&str]) -> Option<EventEntry> {
    let (mut event, mut data, mut seen) = ("message", Vec::new(), false);
    for line in block {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => (event, seen) = (value, true),
            "data" => {
                data.push(value);
                seen = true;
            }
            _ => {}
        }
    }
    // Comments and ids alone are no event.
    seen.then(|| {
        let data = data.join("\n");
        EventEntry {
            event: event.to_owned(),
            data: serde_json::from_str(&data).unwrap_or(Value::String(data)),
            raw: block.join("\n"),
        }
    })
}

/// Joins the text deltas of the known shapes; a ChatGPT message replaces what was there.
fn spell(events: &[EventEntry]) -> String {
    let mut text = String::new();
    for data in events.iter().map(|entry| &entry.data) {
        if let Some(parts) = data.pointer("/message/content/parts").and_then(Value::as_array) {
            let whole: String = parts.iter().filter_map(Value::as_str).collect();
            if !whole.is_empty() {
                text = whole;
            }
            continue;
        }
        let delta = ["/completion", "/delta/text", "/delta", "/text"]
            .iter()
            .find_map(|place| data.pointer(place).and_then(Value::as_str));
        text.push_str(delta.unwrap_or_default());
    }
    text
}
