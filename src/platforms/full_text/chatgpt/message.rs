//! The fields of a ChatGPT message that decide whether it is an answer, and its text.

use super::{super::AnswerDrift, deltas::DeltaOperation};
use crate::{platforms::json, wire::JsonObject};
use std::{borrow::Cow, collections::BTreeSet};

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

/// A message.
#[derive(Debug, Default)]
pub(super) struct ChatgptMessage {
    id: Option<String>,
    role: Option<String>,
    channel: Option<String>,
    recipient: Option<String>,
    /// Marks that hide it.
    hidden: BTreeSet<String>,
    content: Option<MessageContent>,
}

#[derive(Debug, Default)]
struct MessageContent {
    kind: Option<String>,
    /// Nothing when there is no list of them.
    parts: Option<Vec<ContentPart>>,
}

#[derive(Debug)]
enum ContentPart {
    Text(String),
    Null,
    Other,
}

impl ChatgptMessage {
    /// Nothing for what is no object.
    pub(super) fn read(json: &str) -> Option<Self> {
        let fields = json::object(json)?;
        let mut message = ChatgptMessage::default();
        for (name, value) in fields.iter() {
            // Others' messages may hold what they like: what cannot be kept is missed when this one turns out to be an answer.
            if message.set(name, value.get()).is_err() {
                message.content = None;
            }
        }
        Some(message)
    }

    /// Returns the id, if it is valid.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| {
            (1..=ID_BYTES_MAX).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
        })
    }

    /// Whether this is the assistant's answer to the user, or may become it.
    pub(super) fn is_answer(&self) -> Result<bool, AnswerDrift> {
        let role = self.role.as_deref().ok_or(AnswerDrift("message_author"))?;
        let is_or_none = |field: &Option<String>, wanted| field.as_deref().is_none_or(|given| given == wanted);
        if role != "assistant"
            || !is_or_none(&self.channel, "final")
            || !is_or_none(&self.recipient, "all")
            || !self.hidden.is_empty()
        {
            return Ok(false);
        }
        let content = self.content.as_ref().ok_or(AnswerDrift("message_content"))?;
        Ok(!content.is_work())
    }

    /// The text of an answer.
    pub(super) fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        const KIND: AnswerDrift = AnswerDrift("content_type");
        let Some(MessageContent { kind: Some(kind), parts: Some(parts) }) = &self.content else { return Err(KIND) };
        if !matches!(kind.as_str(), "text" | "multimodal_text") {
            return Err(KIND);
        }
        if let [ContentPart::Text(only)] = &parts[..] {
            return Ok(Cow::Borrowed(only));
        }
        let mut text = String::new();
        for part in parts {
            match part {
                ContentPart::Text(part) => text.push_str(part),
                _ if kind == "text" => return Err(AnswerDrift("content_parts")),
                _ => {}
            }
        }
        Ok(Cow::Owned(text))
    }

    /// Changes what stands at `path`, which begins below the message.
    pub(super) fn change(&mut self, path: &str, operation: DeltaOperation, value: &str) -> Result<(), AnswerDrift> {
        let Some((field, below)) = path.split_once('/') else {
            return match operation {
                DeltaOperation::Set => self.set(path, value),
                DeltaOperation::Append => self.append(path, value),
            };
        };
        match field {
            "content" => self.content.as_mut().ok_or(PATH)?.change(below, operation, value),
            "author" if below == "role" => {
                self.role = json::string(value).map(Cow::into_owned);
                Ok(())
            }
            "metadata" => {
                self.mark(below, value);
                Ok(())
            }
            "id" | "channel" | "recipient" | "status" | "end_turn" => Err(PATH),
            _ => Ok(()),
        }
    }

    fn set(&mut self, field: &str, value: &str) -> Result<(), AnswerDrift> {
        match field {
            "id" => self.id = json::string(value).map(Cow::into_owned),
            "channel" => self.channel = words(value),
            "recipient" => self.recipient = words(value),
            "author" => self.role = json::object(value).and_then(|author| role(&author)),
            "metadata" => {
                self.hidden.clear();
                self.mark_all(value);
            }
            "content" => {
                self.content = json::object(value).map(|content| MessageContent::read(&content)).transpose()?
            }
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, field: &str, value: &str) -> Result<(), AnswerDrift> {
        match field {
            "metadata" => self.mark_all(value),
            "author" => self.role = json::object(value).and_then(|author| role(&author)).or(self.role.take()),
            "content" => {
                let fields = json::object(value).ok_or(PATH)?;
                let content = self.content.get_or_insert_default();
                for (name, value) in fields.iter() {
                    content.change(name, DeltaOperation::Set, value.get())?;
                }
            }
            "id" if self.id.is_some() => return Err(PATH),
            "channel" if self.channel.is_some() => return Err(PATH),
            "recipient" if self.recipient.is_some() => return Err(PATH),
            _ => return self.set(field, value),
        }
        Ok(())
    }

    fn mark_all(&mut self, metadata: &str) {
        let Some(metadata) = json::object(metadata) else { return };
        for (name, value) in metadata.iter() {
            self.mark(name, value.get());
        }
    }

    fn mark(&mut self, name: &str, value: &str) {
        if !name.split('_').any(|word| word == "hidden") {
            return;
        }
        if value == "true" {
            self.hidden.insert(name.to_owned());
        } else {
            self.hidden.remove(name);
        }
    }
}

impl MessageContent {
    fn read(fields: &JsonObject<'_>) -> Result<Self, AnswerDrift> {
        let parts = json::field(fields, "parts").map(Self::parts).transpose()?.flatten();
        Ok(MessageContent { kind: json::field(fields, "content_type").and_then(words), parts })
    }

    /// Nothing for what is no list.
    fn parts(json: &str) -> Result<Option<Vec<ContentPart>>, AnswerDrift> {
        if !json.starts_with('[') {
            return Ok(None);
        }
        let mut parts = Vec::new();
        Self::extend(&mut parts, json)?;
        Ok(Some(parts))
    }

    fn extend(parts: &mut Vec<ContentPart>, json: &str) -> Result<(), AnswerDrift> {
        json::each(json, |part| push(parts, ContentPart::read(part)))
    }

    /// Whether it is work on the way to an answer.
    fn is_work(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| NOT_TEXT.contains(&kind))
    }

    fn change(&mut self, path: &str, operation: DeltaOperation, value: &str) -> Result<(), AnswerDrift> {
        let mut keys = path.split('/');
        match (keys.next().unwrap_or_default(), keys.next(), keys.next()) {
            ("content_type", None, _) => self.kind = words(value),
            ("parts", None, _) => match (&mut self.parts, operation) {
                (Some(parts), DeltaOperation::Append) if value.starts_with('[') => Self::extend(parts, value)?,
                (Some(parts), DeltaOperation::Append) => push(parts, ContentPart::read(value))?,
                (parts, _) => *parts = Self::parts(value)?,
            },
            ("parts", Some(place), below) => {
                let parts = self.parts.as_mut().ok_or(PATH)?;
                let count = parts.len();
                let place = if place == "-" { count } else { place.parse().map_err(|_| PATH)? };
                match (parts.get_mut(place), below) {
                    (Some(ContentPart::Other), Some(_)) => {}
                    (_, Some(_)) => return Err(PATH),
                    (Some(part), None) => part.change(operation, value)?,
                    (None, None) if place == count => push(parts, ContentPart::read(value))?,
                    (None, None) => return Err(PATH),
                }
            }
            // An unknown path in an answer may affect its text; in other content it may not.
            (_, Some(_), _) if !self.is_work() => return Err(PATH),
            _ => {}
        }
        Ok(())
    }
}

impl ContentPart {
    fn read(json: &str) -> Self {
        match json::string(json) {
            Some(text) => ContentPart::Text(text.into_owned()),
            None if json == "null" => ContentPart::Null,
            None => ContentPart::Other,
        }
    }

    fn change(&mut self, operation: DeltaOperation, value: &str) -> Result<(), AnswerDrift> {
        match (&mut *self, operation) {
            (_, DeltaOperation::Set) | (ContentPart::Null, _) => *self = ContentPart::read(value),
            (ContentPart::Text(text), DeltaOperation::Append) => text.push_str(&json::string(value).ok_or(PATH)?),
            (ContentPart::Other, DeltaOperation::Append) if value.starts_with(['[', '{']) => {}
            (ContentPart::Other, DeltaOperation::Append) => return Err(PATH),
        }
        Ok(())
    }
}

fn push(parts: &mut Vec<ContentPart>, part: ContentPart) -> Result<(), AnswerDrift> {
    if parts.len() == PARTS_MAX {
        return Err(AnswerDrift("too_large"));
    }
    parts.push(part);
    Ok(())
}

fn role(author: &JsonObject<'_>) -> Option<String> {
    json::field(author, "role").and_then(json::string).map(Cow::into_owned)
}

/// Returns a string, or the JSON of another value, which matches no known word.
fn words(json: &str) -> Option<String> {
    match json::string(json) {
        Some(text) => Some(text.into_owned()),
        None => (json != "null").then(|| json.to_owned()),
    }
}
