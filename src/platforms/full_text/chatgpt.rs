//! ChatGPT: a stream of snapshots (each the whole message so far) or of deltas, mixed with typed lines. A stream tells of
//! several messages: the user's own, tools, thoughts; the answer is the assistant's last one to all.

mod deltas;
mod message;

use super::AnswerDrift;
use crate::{
    platforms::{event_stream::SseEventEnd, json},
    wire::JsonObject,
};
use deltas::DeltaDocuments;
use message::ChatgptMessage;
use std::{borrow::Cow, collections::HashSet};

/// Most answers that one stream may hold.
const ANSWERS_MAX: usize = 256;

/// State of the answer after the events so far.
#[derive(Debug, Default)]
pub(super) struct ChatgptAnswer {
    documents: DeltaDocuments,
    latest: LatestAnswer,
    earlier: HashSet<String>,
    understood: bool,
    unknown: bool,
}

/// Where the newest answer is.
#[derive(Debug, Default)]
enum LatestAnswer {
    #[default]
    Nowhere,
    /// In the document of that number, where it may go on.
    Document(i64),
    /// A snapshot, or what a document held before.
    Apart(ChatgptMessage),
}

impl ChatgptAnswer {
    pub(super) fn event(&mut self, name: Option<&str>, data: &str, ending: SseEventEnd) -> Result<(), AnswerDrift> {
        let data = data.trim();
        if data == "[DONE]" {
            self.understood = true;
        } else if name == Some("delta_encoding") {
            if json::string(data).as_deref() != Some("v1") {
                return Err(AnswerDrift("delta_encoding"));
            }
            self.understood = true;
        } else if let Some(event) = json::object(data) {
            self.object(&event)?;
        } else if ending == SseEventEnd::Line {
            return Err(AnswerDrift("event_not_json"));
        }
        Ok(())
    }

    pub(super) fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        match (self.latest(), self.unknown && !self.understood) {
            (Some(latest), _) if latest.is_answer()? => latest.text(),
            (None, true) => Err(AnswerDrift("unknown_events")),
            _ => Ok(Cow::Borrowed("")),
        }
    }

    fn latest(&self) -> Option<&ChatgptMessage> {
        match &self.latest {
            LatestAnswer::Nowhere => None,
            LatestAnswer::Document(number) => self.documents.message(*number),
            LatestAnswer::Apart(message) => Some(message),
        }
    }

    fn object(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let kind = json::own(event, "type");
        if kind.is_none() && json::own(event, "v").is_some() {
            return self.delta(event);
        }
        if let Some(message) = json::field(event, "message").and_then(ChatgptMessage::read) {
            self.understood = true;
            if message.is_answer()? && self.is_newest(message.id())? {
                self.latest = LatestAnswer::Apart(message);
            }
        } else if kind.is_some_and(|kind| kind.starts_with('"')) || json::field(event, "error").is_some() {
            self.understood = true;
        } else {
            self.unknown = true;
        }
        Ok(())
    }

    fn delta(&mut self, delta: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let changed = self.documents.apply(delta)?;
        if let (LatestAnswer::Document(number), Some(before)) = (&self.latest, changed.before)
            && *number == changed.number
        {
            self.latest = LatestAnswer::Apart(before);
        }
        let Some(message) = self.documents.message(changed.number) else {
            self.unknown = true;
            return Ok(());
        };
        self.understood = true;
        let (is_answer, id) = (message.is_answer()?, message.id().map(str::to_owned));
        if is_answer && self.is_newest(id.as_deref())? {
            self.latest = LatestAnswer::Document(changed.number);
        }
        Ok(())
    }

    /// Whether this answer is the newest one. Later changes of an earlier answer do not make it the newest again.
    fn is_newest(&mut self, id: Option<&str>) -> Result<bool, AnswerDrift> {
        if id.is_some_and(|id| self.earlier.contains(id)) {
            return Ok(false);
        }
        if let Some(before) = self.latest().and_then(ChatgptMessage::id).filter(|before| Some(*before) != id) {
            let before = before.to_owned();
            self.earlier.insert(before);
        }
        if self.earlier.len() > ANSWERS_MAX { Err(AnswerDrift("too_large")) } else { Ok(true) }
    }
}
