//! Renders event-stream text as JSON: its events, as the WHATWG standard parses them, and the text that their deltas
//! form.
//!
//! One pass that writes while it reads: an answer may hold a million events, of which only the text is kept.

use super::ShapedAnswer;
use crate::{
    platforms::{full_text::FullTextReader, registry::FinalMessageExtractor},
    sse::{SseEvent, events},
    wire::{RawJson, json, too_deep},
};
use serde_json::value::RawValue;

/// Renders the answer as JSON: its events, the assembled text where its format is known, and the original text.
pub(super) fn render(text: &str, assistant: Option<FinalMessageExtractor>) -> ShapedAnswer {
    let mut out = String::with_capacity(text.len().saturating_mul(3));
    out.push_str("{\"content_type\":\"text/event-stream\",\"events\":[");
    let mut reader = assistant.and_then(FullTextReader::of).unwrap_or_else(FullTextReader::of_any_app);
    for event in events(text) {
        reader.event(&event);
        write_event(text, &event, &mut out);
    }
    out.push(']');
    // The text of an assistant is left out when its format is unknown.
    let full_text = reader.text();
    if let Ok(full_text) = &full_text {
        out.push_str(",\"full_text\":");
        json::write(&mut out, full_text);
    }
    out.push_str(",\"raw\":");
    json::write(&mut out, &text);
    out.push('}');
    ShapedAnswer { shown: RawJson::trusted(out), drift: full_text.err() }
}

fn write_event(text: &str, event: &SseEvent<'_>, out: &mut String) {
    let data = event.data.as_deref().unwrap_or_default();
    out.push_str(if out.ends_with('[') { "{\"event\":" } else { ",{\"event\":" });
    json::write(out, &event.name.unwrap_or("message"));
    out.push_str(",\"data\":");
    match serde_json::from_str::<&RawValue>(data).map(RawValue::get) {
        Ok(value) if !too_deep(value) => out.push_str(value),
        _ => json::write(out, &data),
    }
    out.push_str(",\"raw\":");
    let lines = &text[event.lines.clone()];
    if memchr::memchr(b'\r', lines.as_bytes()).is_some() {
        json::write(out, &lines.replace("\r\n", "\n").replace('\r', "\n"));
    } else {
        json::write(out, &lines);
    }
    out.push('}');
}
