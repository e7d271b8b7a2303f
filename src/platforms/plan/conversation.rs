//! Claude's conversations, and which of them a request is for.

use super::{
    AppId, PlanError, UnusableAnswer,
    list_entries::{self, MarkFields, list},
    timestamp,
};
use crate::{clock::WallMs, platforms::json, wire::JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LISTS: &[&str] = &["chat_conversations", "conversations", "items", "entries", "data"];
const MARKS: MarkFields = &["is_current", "current", "selected", "active"];
const IDS: &[&str] = &["uuid", "id", "conversation_uuid", "chat_conversation_uuid"];
const CREATED: &[&str] = &["created_at", "createdAt", "inserted_at", "insertedAt"];
const UPDATED: &[&str] = &["updated_at", "updatedAt", "last_updated_at", "lastUpdatedAt"];

/// A conversation; of one that the caller named only the id is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// Id of the conversation.
    pub conversation_id: AppId,
    /// Title.
    pub title: Option<String>,
    /// When it began.
    pub created_at: Option<WallMs>,
    /// When it last changed.
    pub updated_at: Option<WallMs>,
}

impl From<AppId> for Conversation {
    fn from(conversation_id: AppId) -> Self {
        Conversation { conversation_id, title: None, created_at: None, updated_at: None }
    }
}

impl Conversation {
    /// Reads an entry; `None` without a usable id.
    pub(super) fn read(entry: &JsonObject<'_>) -> Option<Self> {
        Some(Conversation {
            conversation_id: list_entries::id(entry, IDS)?,
            title: list_entries::words(entry, &["name", "title", "summary"]),
            created_at: created_at(entry),
            updated_at: time(entry, UPDATED),
        })
    }
}

/// Returns the creation time of an entry.
pub(super) fn created_at(entry: &JsonObject<'_>) -> Option<WallMs> {
    time(entry, CREATED)
}

fn time(entry: &JsonObject<'_>, names: &[&str]) -> Option<WallMs> {
    names.iter().find_map(|name| json::field(entry, name).and_then(timestamp::read))
}

/// Returns the marked conversation, else the newest; `None` for an empty list. A list without a single id is an error,
/// since a new conversation would be a guess.
pub(super) fn choose(body: &str) -> Result<Option<Conversation>, PlanError> {
    let list = list(body, LISTS).ok_or(UnusableAnswer::NoConversations)?;
    let (mut marked, mut newest, mut unusable) = (None, None::<Conversation>, false);
    let time = |conversation: &Conversation| conversation.updated_at.or(conversation.created_at);
    json::each(list, |entry| {
        let entry = json::object(entry);
        match entry.as_ref().and_then(Conversation::read) {
            None => unusable = true,
            Some(conversation) if entry.is_some_and(|entry| list_entries::is_marked(&entry, MARKS)) => {
                marked.get_or_insert(conversation);
            }
            // Among equally new ones the first counts.
            Some(conversation) if newest.as_ref().is_none_or(|newest| time(newest) < time(&conversation)) => {
                newest = Some(conversation);
            }
            Some(_) => {}
        }
        Ok(())
    })
    .map_err(|json::NotAnArray| UnusableAnswer::NoConversations)?;
    match marked.or(newest) {
        None if unusable => Err(UnusableAnswer::NoConversation.into()),
        chosen => Ok(chosen),
    }
}

/// Reads the conversation of an answer; see [`object`].
pub(super) fn from_answer(body: &str) -> Option<Conversation> {
    object(body, Conversation::read)
}

/// Reads the conversation in an answer with `read`: from `conversation` at the root or under `data`, or from the root
/// itself; the first that succeeds counts.
pub(super) fn object<T>(body: &str, read: impl Fn(&JsonObject<'_>) -> Option<T>) -> Option<T> {
    let root = json::object(body)?;
    let data = json::field(&root, "data").and_then(json::object);
    let named = [Some(&root), data.as_ref()].into_iter().flatten().find_map(|holder| {
        ["chat_conversation", "conversation"]
            .into_iter()
            .find_map(|name| read(&json::field(holder, name).and_then(json::object)?))
    });
    named.or_else(|| read(&root))
}
