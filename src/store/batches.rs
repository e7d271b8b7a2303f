//! Batches of instructions: a message of a model, what was decided about it, and how it stands.
//!
//! ```text
//! pending_approval ──► queued ──► running ──► executed
//!        │                           └──────► interrupted
//!        └──► rejected, expired
//! ```
//!
//! A batch that runs something has a task, whose runs are its instructions; both change together.

mod read;
mod recover;
mod write;

#[cfg(test)]
mod tests;

use super::{StoreError, query::queryable, schema::instruction_batches as batches, tasks};
pub use crate::api::instructions::{BatchApproval, BatchMessage, BatchSummary};
use crate::clock::WallMs;
use diesel::prelude::*;
use serde::Serialize;

pub use read::{deliveries, list, next_expiry, next_queued, of_message, one, running, waiting};
pub use recover::{abandon, interrupt};
pub use write::{
    Approval, ApprovalDecision, BatchWork, CreatedBatch, DecisionOutcome, NewBatch, begin, create, decide, deliver,
    expire_approvals, finish, new_id,
};

/// Deletes batches that ended before a time, but not their keys; see [`super::retention::SweepProgress::of_delete`].
pub(super) const EXPIRE: &str = "DELETE FROM instruction_batches WHERE id IN \
    (SELECT id FROM instruction_batches WHERE finished_at < ? ORDER BY finished_at LIMIT ?)";

/// Status of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr, strum::EnumString, strum::VariantArray, strum::VariantNames)]
#[expect(missing_docs, reason = "each is what its name says")]
#[strum(serialize_all = "snake_case")]
pub enum BatchStatus {
    NoInstructions,
    DuplicateOnly,
    Planned,
    NotAllowed,
    PendingApproval,
    Queued,
    Running,
    Executed,
    Rejected,
    Expired,
    Interrupted,
}

impl BatchStatus {
    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns whether the status is final.
    pub fn is_final(self) -> bool {
        !matches!(self, BatchStatus::PendingApproval | BatchStatus::Queued | BatchStatus::Running)
    }

    /// Returns the initial status of the batch's task; `None` if the batch needs no task.
    fn task_status(self) -> Option<tasks::TaskStatus> {
        match self {
            BatchStatus::PendingApproval => Some(tasks::TaskStatus::PendingApproval),
            BatchStatus::Queued => Some(tasks::TaskStatus::Queued),
            BatchStatus::Running => Some(tasks::TaskStatus::Running),
            BatchStatus::Rejected => Some(tasks::TaskStatus::Rejected),
            _ => None,
        }
    }

    fn stored(name: &str) -> Result<Self, StoreError> {
        name.parse().map_err(|_| StoreError::Database(format!("{name:?} is no status of a batch")))
    }
}

/// The way in which a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BatchOrigin {
    /// A client observed it.
    Live,
    /// A caller submitted it.
    Http,
}

impl BatchOrigin {
    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Status of the delivery of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[expect(missing_docs, reason = "each is what its name says")]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    Off,
    Delivered,
    Failed,
    NotSupported,
}

impl DeliveryStatus {
    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

queryable! { BatchSummary {
    id: i64, batch_id: String, task_id: Option<String>, status: String, origin: String, message: BatchMessage,
    created_at: WallMs, finished_at: Option<WallMs>, approval: BatchApproval, delivery: String, digest: Option<String>,
} }
queryable! { BatchMessage {
    platform: String, conversation_id: Option<String>, assistant_message_id: String, client_id: Option<String>,
} }
queryable! { BatchApproval {
    expires_at: Option<WallMs>, decided_at: Option<WallMs>, decided_by: Option<String>, reason: Option<String>,
} }

/// A batch with its plan.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct StoredBatch {
    /// The batch.
    pub row: BatchSummary,
    /// Blocks, instructions and operations as JSON, in the format of the instruction center.
    pub plan: String,
    /// Rejection, as JSON.
    pub rejection: Option<String>,
}

/// Filter for batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Only this status.
    pub status: Option<BatchStatus>,
    /// Only this platform.
    pub platform: Option<String>,
    /// Only batches with a smaller number.
    pub before: Option<i64>,
    /// Most batches to return.
    pub limit: usize,
}
