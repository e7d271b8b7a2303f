//! Final messages that clients observed.

use super::{fields::request_fields, paging::PageInfo};
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A stored message, with the batch of its instructions if there is one. Times are Unix milliseconds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"client_id":"firefox-1","platform":"claude","conversation_id":"conv-1",
    "assistant_message_id":"msg-1","raw_text":"Done: two files changed.","raw_length":24,"observed_at":1795184470407,
    "received_at":1795184470407}"#))]
pub struct StoredMessage {
    /// Number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Client that observed it last.
    pub client_id: String,
    /// Platform.
    pub platform: String,
    /// Conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Id of the message.
    pub assistant_message_id: String,
    /// The whole text.
    pub raw_text: String,
    /// Length of the text in characters.
    pub raw_length: i64,
    /// Time of the last observation.
    pub observed_at: WallMs,
    /// Time of the last report.
    pub received_at: WallMs,
    /// Batch of its instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// Status of that batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_status: Option<String>,
}

impl fmt::Debug for StoredMessage {
    /// Omits the text, which must not appear in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage")
            .field("id", &self.id)
            .field("client_id", &self.client_id)
            .field("platform", &self.platform)
            .field("conversation_id", &self.conversation_id)
            .field("assistant_message_id", &self.assistant_message_id)
            .field("raw_length", &self.raw_length)
            .field("observed_at", &self.observed_at)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

/// Messages, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageList {
    /// The messages.
    pub messages: Vec<StoredMessage>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

request_fields! {
    /// Part of the list of messages.
    MessageListParameters { required {} optional {
        /// Only messages of this platform.
        platform: String,
        /// Only messages of this conversation; empty: messages without one.
        conversation_id | "conversationId": String,
        /// Maximum number of messages, 1 to 100. Default 20.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
