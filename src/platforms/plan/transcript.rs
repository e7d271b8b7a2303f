//! Transcript of a Claude conversation: its properties and messages.

use super::{Conversation, PlanError, ResolvedLocation, UnusableAnswer, conversation};
use crate::{
    clock::WallMs,
    platforms::{joined_text::JoinedText, json},
    wire::{JsonObject, RawJson},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{borrow::Cow, collections::HashSet};

/// Deepest nesting of a message's content that is looked into.
const CONTENT_DEPTH_MAX: usize = 8;

/// A conversation with its messages, in the app's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transcript {
    /// The conversation and its properties.
    pub conversation: Conversation,
    /// Each once.
    pub messages: Vec<TranscriptMessage>,
}

/// One message of the user or of the assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TranscriptMessage {
    /// Id of the message in the app.
    pub id: Option<String>,
    /// Author of the message.
    pub role: MessageRole,
    /// Text of the message; tool calls, thoughts and files are left out.
    pub content: String,
    /// Creation time.
    pub created_at: Option<WallMs>,
}

/// Author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// The user, called `human` by Claude.
    User,
    /// The app.
    Assistant,
}

impl Transcript {
    /// Reads the answer to the last step of a look at the current conversation, which went to `chosen`.
    pub fn read(body: &RawJson, chosen: ResolvedLocation) -> Result<Self, PlanError> {
        let body = json::of(body);
        let list = conversation::object(&body, |object| {
            let lists = ["chat_messages", "messages"].into_iter().filter_map(|name| json::field(object, name));
            lists.filter(|list| list.starts_with('[')).map(str::to_owned).next()
        });
        let list = list.ok_or(UnusableAnswer::NoMessages)?;
        let told = conversation::from_answer(&body);
        let told = told.filter(|told| told.conversation_id == chosen.conversation.conversation_id);
        let (mut messages, mut seen, mut unusable) = (Vec::new(), HashSet::new(), false);
        json::each(&list, |entry| {
            match json::object(entry).as_ref().and_then(TranscriptMessage::read) {
                Some(message) if seen.insert(message.identity()) => messages.push(message),
                Some(_) => {}
                None => unusable = true,
            }
            Ok(())
        })
        .map_err(|json::NotAnArray| UnusableAnswer::NoMessages)?;
        if messages.is_empty() && unusable {
            return Err(UnusableAnswer::NoMessages.into());
        }
        Ok(Transcript { conversation: told.unwrap_or(chosen.conversation), messages })
    }
}

/// Identity of a message, by which copies are recognized.
#[derive(PartialEq, Eq, Hash)]
enum MessageIdentity {
    Id(String),
    Said(MessageRole, String, Option<WallMs>),
}

impl TranscriptMessage {
    /// Returns `None` for entries of other authors.
    fn read(entry: &JsonObject<'_>) -> Option<Self> {
        let role = match &*json::text(entry, &["sender", "role"])? {
            "human" | "user" => MessageRole::User,
            "assistant" => MessageRole::Assistant,
            _ => return None,
        };
        let id = json::text(entry, &["uuid", "id", "message_uuid", "messageUuid"]).map(Cow::into_owned);
        let mut content = JoinedText::default();
        if let Some(told) = json::field(entry, "content") {
            join(told, &mut content, CONTENT_DEPTH_MAX);
        }
        let mut content = content.into_text();
        if content.is_empty() {
            content = json::text(entry, &["text"]).map(Cow::into_owned).unwrap_or_default();
        }
        Some(TranscriptMessage { id, role, content, created_at: conversation::created_at(entry) })
    }

    fn identity(&self) -> MessageIdentity {
        match &self.id {
            Some(id) => MessageIdentity::Id(id.clone()),
            None => MessageIdentity::Said(self.role, self.content.clone(), self.created_at),
        }
    }
}

/// Adds the text of some content: a string, a block, or a list of them. `depth`: levels that it may
/// still nest; deeper content is ignored.
fn join(content: &str, joined: &mut JoinedText, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return joined.break_paragraph() };
    match content.as_bytes().first() {
        Some(b'"') => joined.push(&json::string(content).unwrap_or_default()),
        Some(b'[') => {
            let joined: Result<(), json::NotAnArray> = json::each(content, |block| {
                join(block, joined, depth);
                Ok(())
            });
            debug_assert!(joined.is_ok(), "it is part of a text that was read before");
        }
        Some(b'{') => match json::object(content) {
            Some(block) if json::text(&block, &["type"]).is_none_or(|kind| kind == "text") => {
                let inner = ["text", "content", "parts"].into_iter().find_map(|name| json::field(&block, name));
                join(inner.unwrap_or_default(), joined, depth);
            }
            _ => joined.break_paragraph(),
        },
        _ => {}
    }
}
