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
    Approval, Created, Decided, Decision, NewBatch, Work, begin, create, decide, deliver, expire_approvals, finish,
    new_id,
};

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Status {
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

impl Status {
    /// Every one.
    pub const ALL: [Status; 11] = [
        Status::NoInstructions,
        Status::DuplicateOnly,
        Status::Planned,
        Status::NotAllowed,
        Status::PendingApproval,
        Status::Queued,
        Status::Running,
        Status::Executed,
        Status::Rejected,
        Status::Expired,
        Status::Interrupted,
    ];

    /// The status as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Status::NoInstructions => "no_instructions",
            Status::DuplicateOnly => "duplicate_only",
            Status::Planned => "planned",
            Status::NotAllowed => "not_allowed",
            Status::PendingApproval => "pending_approval",
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Executed => "executed",
            Status::Rejected => "rejected",
            Status::Expired => "expired",
            Status::Interrupted => "interrupted",
        }
    }

    /// The status that is written so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(self) -> bool {
        !matches!(self, Status::PendingApproval | Status::Queued | Status::Running)
    }

    /// How a task begins whose batch begins so; nothing where nothing is to be done.
    fn of_task(self) -> Option<tasks::Status> {
        match self {
            Status::PendingApproval => Some(tasks::Status::PendingApproval),
            Status::Queued => Some(tasks::Status::Queued),
            Status::Running => Some(tasks::Status::Running),
            Status::Rejected => Some(tasks::Status::Rejected),
            _ => None,
        }
    }

    fn stored(name: &str) -> Result<Self, StoreError> {
        Self::named(name).ok_or_else(|| StoreError::Database(format!("{name:?} is no status of a batch")))
    }
}

/// How a message came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client observed it.
    Live,
    /// A caller gave it.
    Http,
}

impl Origin {
    /// The origin as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Live => "live",
            Origin::Http => "http",
        }
    }
}

/// What became of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum Delivery {
    Off,
    Delivered,
    Failed,
    NotSupported,
}

impl Delivery {
    /// The delivery as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Delivery::Off => "off",
            Delivery::Delivered => "delivered",
            Delivery::Failed => "failed",
            Delivery::NotSupported => "not_supported",
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
    /// See [`Status`].
    pub status: String,
    /// See [`Origin`].
    pub origin: String,
    /// Whose message it is.
    #[serde(flatten)]
    pub message: MessageOf,
    /// When it came.
    pub created_at: WallMs,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Its approval.
    #[serde(flatten)]
    pub approval: ApprovalRow,
    /// See [`Delivery`].
    pub delivery: String,
    /// Of the batch and its plan: what an approval holds for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Whose message a batch is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Insertable, Serialize)]
#[diesel(table_name = batches)]
pub struct MessageOf {
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
pub struct Batch {
    /// The batch.
    pub row: BatchRow,
    /// Its blocks, instructions and what each would run, as JSON; the center's own.
    pub plan: String,
    /// Why it was refused, as JSON.
    pub rejection: Option<String>,
}

/// Which batches are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this platform.
    pub platform: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}
