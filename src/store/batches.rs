//! Batches of instructions: a message of a model, what was decided about it, and how it stands.
//!
//! ```text
//! pending_approval ──► queued ──► running ──► executed
//!        │                           └──────► interrupted
//!        └──► rejected, expired
//! ```
//!
//! A batch that runs something has a task, whose runs are its instructions; both change together.

mod expire;
mod read;
mod recover;
mod write;

#[cfg(test)]
mod tests;

use super::{StoreError, schema::instruction_batches as batches, tasks};
use crate::clock::WallMs;
use diesel::prelude::*;
use serde::Serialize;

pub(super) use expire::expire;
pub use read::{deliveries, list, next_expiry, next_queued, of_message, one, running, waiting};
pub use recover::{abandon, interrupt};
pub use write::{
    Approval, ApprovalDecision, BatchWork, CreatedBatch, DecisionOutcome, NewBatch, begin, create, decide, deliver,
    expire_approvals, finish, new_id,
};

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is what its name says")]
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
    /// Every one.
    pub const ALL: [BatchStatus; 11] = [
        BatchStatus::NoInstructions,
        BatchStatus::DuplicateOnly,
        BatchStatus::Planned,
        BatchStatus::NotAllowed,
        BatchStatus::PendingApproval,
        BatchStatus::Queued,
        BatchStatus::Running,
        BatchStatus::Executed,
        BatchStatus::Rejected,
        BatchStatus::Expired,
        BatchStatus::Interrupted,
    ];

    /// The status as it is written.
    pub fn name(self) -> &'static str {
        match self {
            BatchStatus::NoInstructions => "no_instructions",
            BatchStatus::DuplicateOnly => "duplicate_only",
            BatchStatus::Planned => "planned",
            BatchStatus::NotAllowed => "not_allowed",
            BatchStatus::PendingApproval => "pending_approval",
            BatchStatus::Queued => "queued",
            BatchStatus::Running => "running",
            BatchStatus::Executed => "executed",
            BatchStatus::Rejected => "rejected",
            BatchStatus::Expired => "expired",
            BatchStatus::Interrupted => "interrupted",
        }
    }

    /// The status that is written so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(self) -> bool {
        !matches!(self, BatchStatus::PendingApproval | BatchStatus::Queued | BatchStatus::Running)
    }

    /// How a task begins whose batch begins so; nothing where nothing is to be done.
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
        Self::named(name).ok_or_else(|| StoreError::Database(format!("{name:?} is no status of a batch")))
    }
}

/// How a message came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOrigin {
    /// A client observed it.
    Live,
    /// A caller gave it.
    Http,
}

impl BatchOrigin {
    /// The origin as it is written.
    pub fn name(self) -> &'static str {
        match self {
            BatchOrigin::Live => "live",
            BatchOrigin::Http => "http",
        }
    }
}

/// What became of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum DeliveryStatus {
    Off,
    Delivered,
    Failed,
    NotSupported,
}

impl DeliveryStatus {
    /// The delivery as it is written.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryStatus::Off => "off",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Failed => "failed",
            DeliveryStatus::NotSupported => "not_supported",
        }
    }
}

/// A batch without its plan. All times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Serialize)]
pub struct BatchRow {
    /// Its number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Its name.
    pub batch_id: String,
    /// Its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// See [`BatchStatus`].
    pub status: String,
    /// See [`BatchOrigin`].
    pub origin: String,
    /// Whose message it is.
    #[serde(flatten)]
    pub message: BatchMessage,
    /// When it came.
    pub created_at: WallMs,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Its approval.
    #[serde(flatten)]
    pub approval: ApprovalRow,
    /// See [`DeliveryStatus`].
    pub delivery: String,
    /// Of the batch and its plan: what an approval holds for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Whose message a batch is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Insertable, Serialize)]
#[diesel(table_name = batches)]
pub struct BatchMessage {
    /// On which platform.
    pub platform: String,
    /// In which conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Which message.
    pub assistant_message_id: String,
    /// The client that saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// The approval of a batch: until when it may be given, and what was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Serialize)]
pub struct ApprovalRow {
    /// Until when a person may decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<WallMs>,
    /// When somebody decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<WallMs>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why it stands as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A batch with everything that was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable)]
pub struct StoredBatch {
    /// The batch.
    pub row: BatchRow,
    /// Its blocks, instructions and what each would run, as JSON; the center's own.
    pub plan: String,
    /// Why it was refused, as JSON.
    pub rejection: Option<String>,
}

/// Which batches are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Only of this status.
    pub status: Option<BatchStatus>,
    /// Only of this platform.
    pub platform: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}
