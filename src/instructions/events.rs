//! Event `instruction`: a batch changed. Contains neither text nor parameters.

use crate::{
    clock::WallMs,
    store::batches::{BatchMessage, BatchSummary},
};
use serde::Serialize;

/// Event `instruction`: a batch has entered a status.
#[derive(Debug, Serialize)]
pub(super) struct BatchChanged {
    batch_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    status: String,
    origin: String,
    #[serde(flatten)]
    message: BatchMessage,
    delivery: String,
    at: WallMs,
}

impl BatchChanged {
    pub(super) fn of(row: &BatchSummary, at: WallMs) -> Self {
        BatchChanged {
            batch_id: row.batch_id.clone(),
            task_id: row.task_id.clone(),
            status: row.status.clone(),
            origin: row.origin.clone(),
            message: row.message.clone(),
            delivery: row.delivery.clone(),
            at,
        }
    }
}
