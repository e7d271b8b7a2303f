//! ChatGPT: a stream of snapshots (each the whole message so far) or of deltas, mixed with typed lines. A stream contains
//! several messages: the user's own, tools, thoughts; the answer is the assistant's last one to all.
//!
//! Deltas (encoding "v1") change documents by operations on paths; of each document only its message is kept. A delta
//! omits what did not change: `{"v": "text"}` continues with the last path, operation and document.

mod message;

use super::{AnswerDrift, AnswerFormat, object};
use crate::{platforms::json, sse::SseEventEnd, wire::JsonObject};
use message::ChatgptMessage;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// Most documents, and most answers, that one stream may hold.
const DOCUMENTS_MAX: usize = 256;

/// Longest path, in bytes. The path of a patch is prepended to those of its steps.
const PATH_BYTES_MAX: usize = 512;

/// Most levels of patches within patches.
const PATCH_DEPTH_MAX: usize = 4;

/// Number of a document; `None` stands for a message of its own: a snapshot, or an answer whose document was replaced.
type DocumentNumber = Option<i64>;

#[derive(Debug)]
pub(super) struct ChatgptAnswer {
    messages: HashMap<DocumentNumber, ChatgptMessage>,
    /// Where the newest answer is.
    latest: Option<DocumentNumber>,
    /// Ids of the answers before it.
    earlier: HashSet<String>,
    /// What the next delta continues with.
    path: String,
    operation: String,
    document: i64,
    understood: bool,
    unknown: bool,
}

impl Default for ChatgptAnswer {
    fn default() -> Self {
        ChatgptAnswer {
            messages: HashMap::new(),
            latest: None,
            earlier: HashSet::new(),
            path: String::new(),
            operation: "add".to_owned(),
            document: 0,
            understood: false,
            unknown: false,
        }
    }
}

impl AnswerFormat for ChatgptAnswer {
    fn event(&mut self, name: Option<&str>, data: &str, ending: SseEventEnd) -> Result<(), AnswerDrift> {
        let data = data.trim();
        if data == "[DONE]" {
            self.understood = true;
        } else if name == Some("delta_encoding") {
            if json::string(data).as_deref() != Some("v1") {
                return Err(AnswerDrift("delta_encoding"));
            }
            self.understood = true;
        } else if let Some(event) = object(data, ending)? {
            let kind = json::own(&event, "type");
            if kind.is_none() && json::own(&event, "v").is_some() {
                self.delta(&event)?;
            } else if let Some(message) = json::field(&event, "message").and_then(ChatgptMessage::read) {
                self.understood = true;
                if message.is_answer()? && self.is_newest(message.id())? {
                    self.messages.insert(None, message);
                    self.latest = Some(None);
                }
            } else if kind.is_some_and(|kind| kind.starts_with('"')) || json::field(&event, "error").is_some() {
                self.understood = true;
            } else {
                self.unknown = true;
            }
        }
        Ok(())
    }

    fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        match self.latest() {
            Some(latest) if latest.is_answer()? => latest.text(),
            None if self.unknown && !self.understood => Err(AnswerDrift("unknown_events")),
            _ => Ok(Cow::Borrowed("")),
        }
    }
}

impl ChatgptAnswer {
    fn latest(&self) -> Option<&ChatgptMessage> {
        self.messages.get(&self.latest?)
    }

    /// Whether this answer is the newest one. Later changes of an earlier answer do not make it the newest again.
    fn is_newest(&mut self, id: Option<String>) -> Result<bool, AnswerDrift> {
        if id.as_ref().is_some_and(|id| self.earlier.contains(id)) {
            return Ok(false);
        }
        let before = self.latest().and_then(ChatgptMessage::id).filter(|before| Some(before) != id.as_ref());
        self.earlier.extend(before);
        if self.earlier.len() > DOCUMENTS_MAX { Err(AnswerDrift("too_large")) } else { Ok(true) }
    }

    fn delta(&mut self, delta: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        if let Some(number) = json::own(delta, "c") {
            self.document = serde_json::from_str(number).map_err(|_| AnswerDrift("delta_shape"))?;
        }
        for (name, kept) in [("p", &mut self.path), ("o", &mut self.operation)] {
            if let Some(json) = json::own(delta, name) {
                *kept = text(json)?.into_owned();
            }
        }
        let (path, operation) = (self.path.clone(), self.operation.clone());
        self.change(&path, &operation, json::own(delta, "v").unwrap_or("null"), PATCH_DEPTH_MAX)?;
        let number = Some(self.document);
        let Some(message) = self.messages.get(&number).filter(|message| message.is_present()) else {
            self.unknown = true;
            return Ok(());
        };
        self.understood = true;
        let (is_answer, id) = (message.is_answer()?, message.id());
        if is_answer && self.is_newest(id)? {
            self.latest = Some(number);
        }
        Ok(())
    }

    /// Changes the current document. `depth`: how many further levels patches may contain patches.
    fn change(&mut self, path: &str, operation: &str, json: &str, depth: usize) -> Result<(), AnswerDrift> {
        const PATH: AnswerDrift = AnswerDrift("delta_path");
        if path.len() > PATH_BYTES_MAX {
            return Err(PATH);
        }
        let is_append = match operation {
            "patch" => return self.patch(path, json, depth),
            "add" | "replace" => false,
            "append" => true,
            _ if message::matters(path) => return Err(AnswerDrift("delta_operation")),
            _ => return Ok(()),
        };
        if path.is_empty() && !is_append {
            let document = json::object(json).ok_or(AnswerDrift("delta_document_shape"))?;
            return self.replace(json::field(&document, "message").and_then(ChatgptMessage::read));
        }
        let message = self.messages.get_mut(&Some(self.document)).ok_or(AnswerDrift("delta_without_document"))?;
        match path.strip_prefix("/message") {
            Some("") if !is_append || !message.is_present() => self.replace(ChatgptMessage::read(json)),
            Some(within) if message.is_present() => message.change(within, is_append, json),
            _ if message::matters(path) => Err(PATH),
            _ => Ok(()),
        }
    }

    /// Replaces the message of the current document. If it was the newest answer, it remains that until there is another.
    fn replace(&mut self, message: Option<ChatgptMessage>) -> Result<(), AnswerDrift> {
        let number = Some(self.document);
        let before = self.messages.insert(number, message.unwrap_or_default());
        if let (Some(before), true) = (before, self.latest == Some(number)) {
            self.messages.insert(None, before);
            self.latest = Some(None);
        }
        if self.messages.len() > DOCUMENTS_MAX { Err(AnswerDrift("too_large")) } else { Ok(()) }
    }

    fn patch(&mut self, path: &str, steps: &str, depth: usize) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("delta_patch_shape");
        let depth = depth.checked_sub(1).filter(|_| steps.starts_with('[')).ok_or(SHAPE)?;
        json::each(steps, |step| {
            let step = json::object(step).ok_or(SHAPE)?;
            let below = json::field(&step, "p").map_or(Ok(Cow::Borrowed("")), text)?;
            let operation = text(json::field(&step, "o").unwrap_or_default())?;
            self.change(&[path, &below].concat(), &operation, json::own(&step, "v").unwrap_or("null"), depth)
        })
    }
}

fn text(json: &str) -> Result<Cow<'_, str>, AnswerDrift> {
    json::string(json).ok_or(AnswerDrift("delta_shape"))
}
