//! The delta encoding "v1": documents built up by operations on paths. Of each document only its message is kept.
//!
//! An operation leaves out what is as in the one before: `{"v": "text"}` goes on with the last path, operation and
//! document.

use super::{super::AnswerDrift, message::ChatgptMessage};
use crate::{platforms::json, wire::JsonObject};
use std::{borrow::Cow, collections::HashMap};

const DOCUMENTS_MAX: usize = 256;

/// Longest path, in bytes. The path of a patch is prepended to those of its steps.
const PATH_BYTES_MAX: usize = 512;

/// How deep patches may stand within patches.
const PATCH_DEPTH_MAX: usize = 4;

/// The documents of one stream.
#[derive(Debug)]
pub(super) struct DeltaDocuments {
    messages: HashMap<i64, Option<ChatgptMessage>>,
    path: String,
    operation: String,
    current: i64,
}

/// Result of an operation.
pub(super) struct DocumentChange {
    /// To which document.
    pub(super) number: i64,
    /// The message that was replaced, if any.
    pub(super) before: Option<ChatgptMessage>,
}

/// Operation at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeltaOperation {
    /// The value takes the place of what is there.
    Set,
    /// The value is added to what is there.
    Append,
}

impl Default for DeltaDocuments {
    fn default() -> Self {
        DeltaDocuments { messages: HashMap::new(), path: String::new(), operation: "add".to_owned(), current: 0 }
    }
}

impl DeltaDocuments {
    /// The message of a document.
    pub(super) fn message(&self, number: i64) -> Option<&ChatgptMessage> {
        self.messages.get(&number)?.as_ref()
    }

    /// Carries out one operation of the stream.
    pub(super) fn apply(&mut self, delta: &JsonObject<'_>) -> Result<DocumentChange, AnswerDrift> {
        if let Some(number) = json::own(delta, "c") {
            self.current = serde_json::from_str(number).map_err(|_| AnswerDrift("delta_shape"))?;
        }
        if let Some(path) = json::own(delta, "p") {
            self.path = text(path)?.into_owned();
        }
        if let Some(operation) = json::own(delta, "o") {
            self.operation = text(operation)?.into_owned();
        }
        let (number, value) = (self.current, json::own(delta, "v").unwrap_or("null"));
        if self.path.is_empty() && matches!(&*self.operation, "add" | "replace") {
            let document = json::object(value).ok_or(AnswerDrift("delta_document_shape"))?;
            let message = json::field(&document, "message").and_then(ChatgptMessage::read);
            let before = self.messages.insert(number, message).flatten();
            if self.messages.len() > DOCUMENTS_MAX {
                return Err(AnswerDrift("too_large"));
            }
            return Ok(DocumentChange { number, before });
        }
        let message = self.messages.get_mut(&number).ok_or(AnswerDrift("delta_without_document"))?;
        let mut before = None;
        DocumentEdit { message, before: &mut before }.make(&self.path, &self.operation, value, PATCH_DEPTH_MAX)?;
        Ok(DocumentChange { number, before })
    }
}

/// A change of one document under way.
struct DocumentEdit<'a> {
    message: &'a mut Option<ChatgptMessage>,
    before: &'a mut Option<ChatgptMessage>,
}

impl DocumentEdit<'_> {
    /// `depth`: how much deeper patches may stand within this.
    fn make(&mut self, path: &str, operation: &str, value: &str, depth: usize) -> Result<(), AnswerDrift> {
        if path.len() > PATH_BYTES_MAX {
            return Err(AnswerDrift("delta_path"));
        }
        let operation = match operation {
            "patch" => return self.patch(path, value, depth),
            "add" | "replace" => DeltaOperation::Set,
            "append" => DeltaOperation::Append,
            _ if matters(path) => return Err(AnswerDrift("delta_operation")),
            _ => return Ok(()),
        };
        match (path.strip_prefix("/message"), operation) {
            (Some(""), DeltaOperation::Append) if self.message.is_some() => {
                let fields = json::object(value).ok_or(AnswerDrift("delta_path"))?;
                for (name, value) in fields.iter() {
                    self.within(name, DeltaOperation::Set, value.get())?;
                }
                Ok(())
            }
            (Some(""), _) => {
                let before = std::mem::replace(self.message, ChatgptMessage::read(value));
                // Of several the first is the one that was there before.
                *self.before = self.before.take().or(before);
                Ok(())
            }
            (Some(within), operation) if within.starts_with('/') => self.within(&within[1..], operation, value),
            _ if path.is_empty() => Err(AnswerDrift("delta_path")),
            _ => Ok(()),
        }
    }

    fn within(&mut self, path: &str, operation: DeltaOperation, value: &str) -> Result<(), AnswerDrift> {
        match self.message {
            Some(message) => message.change(path, operation, value),
            None if matters(&format!("/message/{path}")) => Err(AnswerDrift("delta_path")),
            None => Ok(()),
        }
    }

    fn patch(&mut self, path: &str, steps: &str, depth: usize) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("delta_patch_shape");
        let depth = depth.checked_sub(1).ok_or(SHAPE)?;
        if !steps.starts_with('[') {
            return Err(SHAPE);
        }
        json::each(steps, |step| {
            let step = json::object(step).ok_or(SHAPE)?;
            let below = json::field(&step, "p").map_or(Ok(Cow::Borrowed("")), text)?;
            let operation = text(json::field(&step, "o").unwrap_or_default())?;
            self.make(&[path, &below].concat(), &operation, json::own(&step, "v").unwrap_or("null"), depth)
        })
    }
}

/// Whether what stands at this path has to do with what an answer is and says.
fn matters(path: &str) -> bool {
    const FIELDS: [&str; 7] = ["content", "status", "end_turn", "recipient", "channel", "author", "id"];
    match path.strip_prefix("/message") {
        Some("") => true,
        Some(within) => within
            .strip_prefix('/')
            .is_some_and(|within| FIELDS.contains(&within.split('/').next().unwrap_or_default())),
        None => path.is_empty(),
    }
}

fn text(json: &str) -> Result<Cow<'_, str>, AnswerDrift> {
    json::string(json).ok_or(AnswerDrift("delta_shape"))
}
