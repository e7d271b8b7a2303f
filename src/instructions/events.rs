//! Event `instruction`: a batch changed. Contains neither text nor parameters.

use crate::{clock::WallMs, store::batches::BatchRow};
use serde::Serialize;

/// Event `instruction`: a batch has entered a status.
#[derive(Debug, Serialize)]
pub(super) struct BatchChanged {
    batch_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    status: String,
    origin: String,
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    assistant_message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    delivery: String,
    at: WallMs,
}

impl BatchChanged {
    pub(super) fn of(row: &BatchRow, at: WallMs) -> Self {
        let message = row.message.clone();
        BatchChanged {
            batch_id: row.batch_id.clone(),
            task_id: row.task_id.clone(),
            status: row.status.clone(),
            origin: row.origin.clone(),
            platform: message.platform,
            conversation_id: message.conversation_id,
            assistant_message_id: message.assistant_message_id,
            client_id: message.client_id,
            delivery: row.delivery.clone(),
            at,
        }
    }
}
