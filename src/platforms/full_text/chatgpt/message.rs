//! The fields of a ChatGPT message that decide whether it is an answer, and its text.

use super::super::AnswerDrift;
use crate::platforms::json;
use std::{borrow::Cow, collections::BTreeMap};

/// Objects of a message in which a kept field lies.
const OBJECTS: [&str; 4] = ["", "/author", "/content", "/metadata"];

/// Fields that are kept besides the parts and the marks that hide a message.
const FIELDS: [&str; 5] = ["/author/role", "/channel", "/content/content_type", "/id", "/recipient"];

const PARTS: &str = "/content/parts";

/// Kinds of content that are work on the way to an answer.
const NOT_TEXT: [&str; 10] = [
    "code",
    "execution_output",
    "model_editable_context",
    "reasoning_recap",
    "sonic_webpage",
    "system_error",
    "tether_browsing_display",
    "tether_quote",
    "thoughts",
    "user_editable_context",
];

/// Most bytes of a message's id.
const ID_BYTES_MAX: usize = 200;

/// Most parts of one message.
const PARTS_MAX: usize = 1_024;

const PATH: AnswerDrift = AnswerDrift("delta_path");

/// A message; without fields where there is none.
#[derive(Debug, Default)]
pub(super) struct ChatgptMessage {
    /// What is kept of it as JSON, by its path; of an object only that it is there.
    fields: BTreeMap<String, String>,
    /// The parts of its text, if there is a list of them; `None` for a part that is not text.
    parts: Option<Vec<Option<String>>>,
}

impl ChatgptMessage {
    /// Reads a message; `None` if it is not an object.
    pub(super) fn read(json: &str) -> Option<Self> {
        let mut message = ChatgptMessage::default();
        // Other messages may contain anything: content that cannot be kept is missed only if this one is an answer.
        if message.change("", false, json).is_err() {
            message.fields.remove("/content");
        }
        message.is_present().then_some(message)
    }

    pub(super) fn is_present(&self) -> bool {
        self.fields.contains_key("")
    }

    pub(super) fn id(&self) -> Option<String> {
        self.string("/id").map(Cow::into_owned).filter(|id| {
            (1..=ID_BYTES_MAX).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
        })
    }

    /// Whether this is the assistant's answer to the user, or may become it.
    pub(super) fn is_answer(&self) -> Result<bool, AnswerDrift> {
        let role = self.string("/author/role").ok_or(AnswerDrift("message_author"))?;
        let is_or_absent =
            |path, wanted| !self.fields.contains_key(path) || self.string(path).as_deref() == Some(wanted);
        if role != "assistant"
            || !is_or_absent("/channel", "final")
            || !is_or_absent("/recipient", "all")
            || self.fields.keys().any(|path| is_hiding(path))
        {
            return Ok(false);
        }
        if self.fields.contains_key("/content") { Ok(!self.is_work()) } else { Err(AnswerDrift("message_content")) }
    }

    pub(super) fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        const KIND: AnswerDrift = AnswerDrift("content_type");
        let kind = self.string("/content/content_type").ok_or(KIND)?;
        let parts = self.parts.as_ref().filter(|_| matches!(&*kind, "text" | "multimodal_text")).ok_or(KIND)?;
        if kind == "text" && parts.contains(&None) {
            return Err(AnswerDrift("content_parts"));
        }
        match &parts[..] {
            [Some(only)] => Ok(Cow::Borrowed(only)),
            parts => Ok(Cow::Owned(parts.iter().flatten().map(String::as_str).collect())),
        }
    }

    /// Sets the value at `path`, which begins below the message, or appends to it.
    pub(super) fn change(&mut self, path: &str, is_append: bool, json: &str) -> Result<(), AnswerDrift> {
        if OBJECTS.contains(&path) {
            return self.change_object(path, is_append, json);
        }
        match (path.strip_prefix(PARTS), &mut self.parts) {
            (Some(""), Some(parts)) if is_append && json.starts_with('[') => return extend(parts, json),
            (Some(""), Some(parts)) if is_append => return push(parts, json),
            (Some(""), parts) => {
                *parts = json.starts_with('[').then(Vec::new);
                return parts.as_mut().map_or(Ok(()), |parts| extend(parts, json));
            }
            (Some(part), parts) if part.starts_with('/') => {
                return change_part(parts.as_mut().ok_or(PATH)?, &part[1..], is_append, json);
            }
            _ => {}
        }
        let is_field = FIELDS.contains(&path);
        if is_field && is_append && self.fields.contains_key(path) {
            return Err(PATH);
        }
        let is_kept = if is_hiding(path) { json == "true" } else { is_field && json != "null" };
        if is_kept {
            self.fields.insert(path.to_owned(), json.to_owned());
        } else {
            self.fields.remove(path);
        }
        // Unknown fields are ignored, but not what lies deeper in a known one or in the content of an answer.
        let is_deeper = !is_field && FIELDS.iter().any(|field| covers(field, path))
            || path.strip_prefix("/content/").is_some_and(|rest| rest.contains('/')) && !self.is_work();
        if is_deeper { Err(PATH) } else { Ok(()) }
    }

    fn change_object(&mut self, path: &str, is_append: bool, json: &str) -> Result<(), AnswerDrift> {
        if !is_append {
            self.fields.retain(|kept, _| !kept.starts_with(path));
            self.parts = self.parts.take().filter(|_| !PARTS.starts_with(path));
        }
        match json::object(json) {
            Some(object) => {
                self.fields.insert(path.to_owned(), String::new());
                object.iter().try_for_each(|(name, value)| self.change(&format!("{path}/{name}"), false, value.get()))
            }
            None if is_append => Err(PATH),
            None => Ok(()),
        }
    }

    fn string(&self, path: &str) -> Option<Cow<'_, str>> {
        self.fields.get(path).and_then(|json| json::string(json))
    }

    /// Whether it is work on the way to an answer.
    fn is_work(&self) -> bool {
        self.string("/content/content_type").is_some_and(|kind| NOT_TEXT.contains(&&*kind))
    }
}

/// Whether a value at this path of a document affects which message is the answer, or its text.
pub(super) fn matters(path: &str) -> bool {
    let mut kept = ["/content"].iter().chain(&FIELDS);
    path.is_empty()
        || path
            .strip_prefix("/message")
            .is_some_and(|within| kept.any(|field| covers(field, within) || covers(within, field)))
}

/// Whether `path` is `outer` or lies in it.
fn covers(outer: &str, path: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a true value at this path hides the message.
fn is_hiding(path: &str) -> bool {
    path.strip_prefix("/metadata/").is_some_and(|name| name.split('_').any(|word| word == "hidden"))
}

fn change_part(parts: &mut Vec<Option<String>>, path: &str, is_append: bool, json: &str) -> Result<(), AnswerDrift> {
    let (place, is_below) = path.split_once('/').map_or((path, false), |(place, _)| (place, true));
    let count = parts.len();
    let place = if place == "-" { count } else { place.parse().map_err(|_| PATH)? };
    match (parts.get_mut(place), is_below) {
        (Some(None), true) => Ok(()),
        (Some(Some(text)), false) if is_append => {
            text.push_str(&json::string(json).ok_or(PATH)?);
            Ok(())
        }
        (Some(part), false) => {
            *part = json::string(json).map(Cow::into_owned);
            Ok(())
        }
        (None, false) if place == count => push(parts, json),
        _ => Err(PATH),
    }
}

fn extend(parts: &mut Vec<Option<String>>, json: &str) -> Result<(), AnswerDrift> {
    json::each(json, |part| push(parts, part))
}

fn push(parts: &mut Vec<Option<String>>, json: &str) -> Result<(), AnswerDrift> {
    if parts.len() == PARTS_MAX {
        return Err(AnswerDrift("too_large"));
    }
    parts.push(json::string(json).map(Cow::into_owned));
    Ok(())
}
