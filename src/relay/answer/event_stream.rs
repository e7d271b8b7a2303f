//! Event-stream text taken apart, as the WHATWG standard reads it, and the text that its deltas spell.
//!
//! One pass, and what it finds is written at once: an answer may hold a million events, and nothing is kept of one but
//! the text that it adds.

use super::{Spelling, Taken};
use crate::{
    platforms::{
        event_stream::{Event, events},
        full_text::Reader,
    },
    wire::{Raw, json, too_deep},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// What the caller is shown instead of `text`: its events, the text that they spell where that is known, and itself.
pub(super) fn take_apart(text: &str, spelling: Spelling) -> Taken {
    let mut out = String::with_capacity(text.len().saturating_mul(3));
    out.push_str("{\"content_type\":\"text/event-stream\",\"events\":[");
    let (mut reader, mut deltas) = (spelling.assistant.and_then(Reader::of), String::new());
    for event in events(text) {
        if let Some(reader) = &mut reader {
            reader.event(&event);
        }
        show(text, &event, &mut out, &mut deltas);
    }
    out.push(']');
    // What an assistant says in a form that is not known is not guessed at.
    let (full_text, drift) = match reader.map(Reader::finish) {
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
    Taken { shown: Raw::trusted(out), drift }
}

/// Writes an event and adds its delta to `deltas`.
fn show(text: &str, event: &Event<'_>, out: &mut String, deltas: &mut String) {
    let data = event.data.as_deref().unwrap_or_default();
    out.push_str(if out.ends_with('[') { "{\"event\":" } else { ",{\"event\":" });
    json::write(out, &event.name.unwrap_or("message"));
    out.push_str(",\"data\":");
    match serde_json::from_str::<&RawValue>(data).map(RawValue::get) {
        Ok(value) if !too_deep(value) => {
            out.push_str(value);
            spell(value, deltas);
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

/// Adds the text delta that `data` holds in one of the known shapes; a ChatGPT message replaces what was there.
fn spell(data: &str, full_text: &mut String) {
    if !["completion", "delta", "text", "parts"].iter().any(|key| data.contains(key)) {
        return;
    }
    let fields = Fields::of(data);
    let content = Fields::of(Fields::of(fields.message).content);
    if content.parts.starts_with('[') {
        match serde_json::from_str(content.parts) {
            Ok(Parts(whole)) if !whole.is_empty() => *full_text = whole,
            _ => {}
        }
        return;
    }
    let delta =
        [fields.completion, Fields::of(fields.delta).text, fields.delta, fields.text].into_iter().find_map(string);
    full_text.push_str(&delta.unwrap_or_default());
}

/// The string that `json` is. What does not begin as one is not read: an error costs more than a short value.
fn string(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten().map(|Text(text)| text)
}

/// The fields that lead to a delta, on whatever level, as JSON; empty where there is none.
#[derive(Default)]
struct Fields<'a> {
    message: &'a str,
    content: &'a str,
    parts: &'a str,
    completion: &'a str,
    delta: &'a str,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Message,
    Content,
    Parts,
    Completion,
    Delta,
    Text,
    #[serde(other)]
    Other,
}

impl<'a> Fields<'a> {
    /// None of them when `json` is no object.
    fn of(json: &'a str) -> Self {
        if json.starts_with('{') { serde_json::from_str(json).unwrap_or_default() } else { Fields::default() }
    }
}

/// By hand, for of a name given twice the last counts, which `serde`'s own reading refuses.
impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key()? {
                    let value = map.next_value::<&RawValue>()?.get();
                    match name {
                        Name::Message => fields.message = value,
                        Name::Content => fields.content = value,
                        Name::Parts => fields.parts = value,
                        Name::Completion => fields.completion = value,
                        Name::Delta => fields.delta = value,
                        Name::Text => fields.text = value,
                        Name::Other => {}
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The strings of an array as one; what else it holds is passed over.
struct Parts(String);

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Parts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<Parts, S::Error> {
                let mut whole = String::new();
                while let Some(part) = parts.next_element::<&RawValue>()? {
                    whole.push_str(&string(part.get()).unwrap_or_default());
                }
                Ok(Parts(whole))
            }
        }
        deserializer.deserialize_seq(Array)
    }
}
