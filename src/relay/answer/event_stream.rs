//! Renders event-stream text as JSON: its events, as the WHATWG standard parses them, and the text that their deltas
//! form.
//!
//! One pass that writes while it reads: an answer may hold a million events, of which only the text is kept.

use super::{ShapedAnswer, TextAssembly};
use crate::{
    platforms::{
        event_stream::{SseEvent, events},
        full_text::FullTextReader,
    },
    wire::{RawJson, json, too_deep},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Renders the answer as JSON: its events, the assembled text where its format is known, and the original text.
pub(super) fn render(text: &str, assembly: TextAssembly) -> ShapedAnswer {
    let mut out = String::with_capacity(text.len().saturating_mul(3));
    out.push_str("{\"content_type\":\"text/event-stream\",\"events\":[");
    let (mut reader, mut deltas) = (assembly.assistant.and_then(FullTextReader::of), String::new());
    for event in events(text) {
        if let Some(reader) = &mut reader {
            reader.event(&event);
        }
        write_event(text, &event, &mut out, &mut deltas);
    }
    out.push(']');
    // The text of an assistant is left out when its format is unknown.
    let (full_text, drift) = match reader.map(FullTextReader::finish) {
        Some(Ok(said)) => (Some(said), None),
        Some(Err(drift)) => (None, Some(drift)),
        None => (Some(deltas), None),
    };
    if let Some(full_text) = full_text {
        out.push_str(",\"full_text\":");
        json::write(&mut out, &full_text);
    }
    out.push_str(",\"raw\":");
    json::write(&mut out, &text);
    out.push('}');
    ShapedAnswer { shown: RawJson::trusted(out), drift }
}

/// Writes an event and appends its delta to `deltas`.
fn write_event(text: &str, event: &SseEvent<'_>, out: &mut String, deltas: &mut String) {
    let data = event.data.as_deref().unwrap_or_default();
    out.push_str(if out.ends_with('[') { "{\"event\":" } else { ",{\"event\":" });
    json::write(out, &event.name.unwrap_or("message"));
    out.push_str(",\"data\":");
    match serde_json::from_str::<&RawValue>(data).map(RawValue::get) {
        Ok(value) if !too_deep(value) => {
            out.push_str(value);
            append_delta(value, deltas);
        }
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

/// Appends the text delta in `data`, if it has a known shape. A ChatGPT message replaces the text so far.
fn append_delta(data: &str, full_text: &mut String) {
    if !["completion", "delta", "text", "parts"].iter().any(|key| data.contains(key)) {
        return;
    }
    let fields = DeltaFields::of(data);
    let content = DeltaFields::of(DeltaFields::of(fields.message).content);
    if content.parts.starts_with('[') {
        match serde_json::from_str(content.parts) {
            Ok(ContentParts(whole)) if !whole.is_empty() => *full_text = whole,
            _ => {}
        }
        return;
    }
    let delta =
        [fields.completion, DeltaFields::of(fields.delta).text, fields.delta, fields.text].into_iter().find_map(string);
    full_text.push_str(&delta.unwrap_or_default());
}

/// Returns the string that `json` is. Other values are not parsed, because a parse error costs more than this check.
fn string(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten().map(|Text(text)| text)
}

/// The fields in which a delta may be found, as JSON; empty where absent.
#[derive(Default)]
struct DeltaFields<'a> {
    message: &'a str,
    content: &'a str,
    parts: &'a str,
    completion: &'a str,
    delta: &'a str,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum DeltaFieldName {
    Message,
    Content,
    Parts,
    Completion,
    Delta,
    Text,
    #[serde(other)]
    Other,
}

impl<'a> DeltaFields<'a> {
    /// Returns empty fields if `json` is not an object.
    fn of(json: &'a str) -> Self {
        if json.starts_with('{') { serde_json::from_str(json).unwrap_or_default() } else { DeltaFields::default() }
    }
}

/// Implemented by hand because the last of duplicate fields counts, which derived implementations reject.
impl<'de> Deserialize<'de> for DeltaFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = DeltaFields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<DeltaFields<'de>, M::Error> {
                let mut fields = DeltaFields::default();
                while let Some(name) = map.next_key()? {
                    let value = map.next_value::<&RawValue>()?.get();
                    match name {
                        DeltaFieldName::Message => fields.message = value,
                        DeltaFieldName::Content => fields.content = value,
                        DeltaFieldName::Parts => fields.parts = value,
                        DeltaFieldName::Completion => fields.completion = value,
                        DeltaFieldName::Delta => fields.delta = value,
                        DeltaFieldName::Text => fields.text = value,
                        DeltaFieldName::Other => {}
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The joined strings of an array; other elements are skipped.
struct ContentParts(String);

impl<'de> Deserialize<'de> for ContentParts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = ContentParts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<ContentParts, S::Error> {
                let mut whole = String::new();
                while let Some(part) = parts.next_element::<&RawValue>()? {
                    whole.push_str(&string(part.get()).unwrap_or_default());
                }
                Ok(ContentParts(whole))
            }
        }
        deserializer.deserialize_seq(Array)
    }
}
