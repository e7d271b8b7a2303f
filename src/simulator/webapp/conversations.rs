//! The data of the simulated web app: one organization, its conversations and their messages, bounded in number.

use crate::clock::WallMs;
use serde_json::{Value, json};
use std::collections::VecDeque;

const ORGANIZATION: &str = "org-1";
const CONVERSATIONS_MAX: usize = 64;
const MESSAGES_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Conversation {
    id: String,
    created_ms: WallMs,
    updated_ms: WallMs,
    is_current: bool,
    messages: VecDeque<Value>,
}

/// The conversations of the organization, oldest first; at the limit the oldest is removed.
#[derive(Clone, Debug)]
pub(super) struct ConversationStore {
    conversations: VecDeque<Conversation>,
    made: u64,
}

impl ConversationStore {
    /// Creates one conversation without messages.
    pub(super) fn new() -> Self {
        ConversationStore::of(&["conv-1"], None)
    }

    /// Creates these conversations without messages, the oldest first.
    pub(super) fn of(ids: &[&str], current: Option<&str>) -> Self {
        let conversation = |(at, id): (WallMs, &&str)| Conversation {
            is_current: current == Some(*id),
            ..Conversation::new((*id).to_owned(), at)
        };
        ConversationStore { conversations: (0..).zip(ids).map(conversation).collect(), made: ids.len() as u64 }
    }

    pub(super) fn organizations(&self) -> Value {
        json!([{"uuid": ORGANIZATION, "name": "Simulated organization"}])
    }

    /// Returns the conversations, newest first; `None` for an unknown organization.
    pub(super) fn list(&self, organization: &str) -> Option<Value> {
        known(organization)?;
        let mut all: Vec<&Conversation> = self.conversations.iter().rev().collect();
        all.sort_by_key(|conversation| -conversation.updated_ms);
        Some(Value::Array(all.into_iter().map(Conversation::entry).collect()))
    }

    pub(super) fn create(&mut self, organization: &str, now_ms: WallMs) -> Option<Value> {
        known(organization)?;
        if self.conversations.len() == CONVERSATIONS_MAX {
            self.conversations.pop_front();
        }
        self.made += 1;
        let id = format!("conv-{}", self.made);
        let new = Conversation::new(id, now_ms);
        let entry = new.entry();
        self.conversations.push_back(new);
        Some(entry)
    }

    pub(super) fn read(&self, organization: &str, id: &str) -> Option<Value> {
        known(organization)?;
        let conversation = self.conversations.iter().find(|conversation| conversation.id == id)?;
        let mut entry = conversation.entry();
        entry["chat_messages"] = conversation.messages.iter().cloned().collect();
        Some(entry)
    }

    /// Adds a prompt and its answer; returns `false` if there is no such conversation.
    pub(super) fn record(&mut self, organization: &str, id: &str, prompt: &str, answer: &str, now_ms: WallMs) -> bool {
        let found = self.conversations.iter_mut().find(|conversation| conversation.id == id);
        let (Some(()), Some(conversation)) = (known(organization), found) else { return false };
        conversation.updated_ms = now_ms;
        for (sender, text) in [("human", prompt), ("assistant", answer)] {
            if conversation.messages.len() == MESSAGES_MAX {
                conversation.messages.pop_front();
            }
            let number = conversation.messages.len() + 1;
            conversation.messages.push_back(json!({
                "uuid": format!("{id}-message-{number}"), "sender": sender, "text": text,
                "content": [{"type": "text", "text": text}], "created_at": iso(now_ms),
            }));
        }
        true
    }
}

impl Conversation {
    fn new(id: String, at: WallMs) -> Self {
        Conversation { id, created_ms: at, updated_ms: at, is_current: false, messages: VecDeque::new() }
    }

    fn entry(&self) -> Value {
        let mut entry = json!({"uuid": self.id, "name": format!("Conversation {}", self.id),
            "created_at": iso(self.created_ms), "updated_at": iso(self.updated_ms)});
        if self.is_current {
            entry["is_current"] = json!(true);
        }
        entry
    }
}

fn known(organization: &str) -> Option<()> {
    (organization == ORGANIZATION).then_some(())
}

fn iso(ms: WallMs) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339()
}
