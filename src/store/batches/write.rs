//! Writes batches: a batch and its task change together, with a line of the trail in the same transaction.

use super::{BatchMessage, BatchOrigin, BatchStatus, DeliveryStatus, batches};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        audit::{self, AuditEntry, AuditLevel},
        tasks::{self, NewTask, StatusChange, TaskKind},
        worker::savepoint,
    },
};
use diesel::prelude::*;

/// A batch to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Id, see [`new_id`].
    pub batch_id: String,
    /// Initial status.
    pub status: BatchStatus,
    /// The way in which the message arrived.
    pub origin: BatchOrigin,
    /// The message.
    pub message: BatchMessage,
    /// Reason of the initial status.
    pub reason: Option<String>,
    /// End of the time for approval.
    pub expires_at: Option<WallMs>,
    /// Digest of the batch and its plan, which an approval is bound to.
    pub digest: Option<String>,
    /// Plan, as JSON.
    pub plan: String,
    /// Rejection, as JSON.
    pub rejection: Option<String>,
    /// Work of the batch; ignored for a status in which nothing runs.
    pub work: Option<BatchWork>,
}

/// Work of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchWork {
    /// Title for people.
    pub title: String,
    /// Tools of the new instructions, in order.
    pub tools: Vec<String>,
}

/// Ids of a batch's task and runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreatedBatch {
    /// Id of the task.
    pub task_id: Option<String>,
    /// Ids of the runs, in the order of the tools.
    pub run_ids: Vec<String>,
}

/// Decision about an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval<'a> {
    /// Approved, if the digest matches.
    Given {
        /// Digest recomputed from what was shown.
        digest: &'a str,
    },
    /// Rejected.
    Refused,
}

/// A person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalDecision<'a> {
    /// The decision.
    pub approval: Approval<'a>,
    /// Its origin, as named in the audit trail.
    pub by: &'a str,
    /// Reason given.
    pub reason: Option<&'a str>,
}

/// Outcome of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// The decision took effect.
    Made,
    /// The batch does not wait for a decision.
    Stale(BatchStatus),
    /// The batch differs from what was approved; it still waits.
    Differs,
}

/// Returns a new batch id, ascending with time: `batch_01J…`.
pub fn new_id() -> String {
    tasks::named("batch")
}

/// Stores a batch and creates its task.
pub fn create(conn: &mut SqliteConnection, new: &NewBatch, now: WallMs) -> Result<CreatedBatch, StoreError> {
    assert!(new.status.is_final() || new.work.is_some(), "a batch that waits or runs has something to do");
    savepoint(conn, |conn| {
        let created = match (new.status.task_status(), &new.work) {
            (Some(status), Some(work)) => {
                let task = tasks::create(conn, &task(new, work, status), &log_message(new), now)?;
                CreatedBatch { task_id: Some(task.task_id), run_ids: task.run_ids }
            }
            _ => {
                log(conn, new, now)?;
                CreatedBatch::default()
            }
        };
        let row = (
            batches::batch_id.eq(&new.batch_id),
            batches::task_id.eq(&created.task_id),
            batches::status.eq(new.status.name()),
            batches::origin.eq(new.origin.name()),
            (
                batches::platform.eq(&new.message.platform),
                batches::conversation_id.eq(&new.message.conversation_id),
                batches::assistant_message_id.eq(&new.message.assistant_message_id),
                batches::client_id.eq(&new.message.client_id),
            ),
            batches::created_at.eq(now),
            batches::finished_at.eq(new.status.is_final().then_some(now)),
            batches::expires_at.eq(new.expires_at),
            batches::reason.eq(&new.reason),
            batches::delivery.eq(DeliveryStatus::Off.name()),
            batches::digest.eq(&new.digest),
            batches::plan.eq(&new.plan),
            batches::rejection.eq(&new.rejection),
        );
        diesel::insert_into(batches::table).values(row).execute(conn)?;
        Ok(created)
    })
}

/// Returns the trail's message for a new batch: its id, digest and reason.
fn log_message(new: &NewBatch) -> String {
    let digest = new.digest.as_ref().map(|digest| format!(", digest {digest}")).unwrap_or_default();
    format!("{}{digest}{}", new.batch_id, because(new.reason.as_deref().unwrap_or_default()))
}

fn task(new: &NewBatch, work: &BatchWork, status: tasks::TaskStatus) -> NewTask {
    let BatchMessage { platform, conversation_id, assistant_message_id, client_id } = new.message.clone();
    let source = tasks::TaskSource {
        platform: Some(platform),
        conversation_id,
        assistant_message_id: Some(assistant_message_id),
        client_id,
        caller: None,
    };
    let (title, tools) = (work.title.clone(), work.tools.clone());
    NewTask { kind: TaskKind::InstructionBatch, status, title, source, tools }
}

/// Applies a decision once. A decision after the time for it expires the batch instead.
///
/// # Errors
///
/// `NotFound`: the batch does not exist.
pub fn decide(
    conn: &mut SqliteConnection,
    batch_id: &str,
    decision: &ApprovalDecision<'_>,
    now: WallMs,
) -> Result<DecisionOutcome, StoreError> {
    savepoint(conn, |conn| {
        let batch = batches::table.filter(batches::batch_id.eq(batch_id));
        let columns = (batches::status, batches::expires_at, batches::digest);
        let (status, expires_at, digest): (String, Option<WallMs>, Option<String>) =
            batch.select(columns).first(conn)?;
        let status = BatchStatus::stored(&status)?;
        if status != BatchStatus::PendingApproval {
            return Ok(DecisionOutcome::Stale(status));
        }
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            set_status(conn, batch_id, BatchStatus::Expired, NOT_DECIDED_IN_TIME, now)?;
            return Ok(DecisionOutcome::Stale(BatchStatus::Expired));
        }
        let (to, what) = match decision.approval {
            Approval::Given { digest: shown } if digest.as_deref() != Some(shown) => {
                return Ok(DecisionOutcome::Differs);
            }
            Approval::Given { digest } => {
                (BatchStatus::Queued, format!("approved by {}, digest {digest}", decision.by))
            }
            Approval::Refused => (BatchStatus::Rejected, format!("by {}", decision.by)),
        };
        let why = decision.reason.map_or_else(|| what.clone(), |reason| format!("{what}: {reason}"));
        set_status(conn, batch_id, to, &why, now)?;
        let decided =
            (batches::decided_at.eq(now), batches::decided_by.eq(decision.by), batches::reason.eq(decision.reason));
        diesel::update(batch).set(decided).execute(conn)?;
        Ok(DecisionOutcome::Made)
    })
}

/// Reason in the trail for an expired batch.
const NOT_DECIDED_IN_TIME: &str = "no decision was made in time";

/// Expires batches whose time for a decision is over, oldest first and at most `limit`; returns their ids.
pub fn expire_approvals(conn: &mut SqliteConnection, now: WallMs, limit: usize) -> Result<Vec<String>, StoreError> {
    savepoint(conn, |conn| {
        let late = batches::table.filter(batches::status.eq(BatchStatus::PendingApproval.name()));
        let late = late.filter(batches::expires_at.le(now)).order(batches::id);
        let late = late.limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let late: Vec<String> = late.select(batches::batch_id).load(conn)?;
        for batch_id in &late {
            set_status(conn, batch_id, BatchStatus::Expired, NOT_DECIDED_IN_TIME, now)?;
        }
        Ok(late)
    })
}

/// Starts a queued batch. Its runs start one by one with [`tasks::change_run`].
///
/// # Errors
///
/// `NotFound`: the batch does not exist or has no task.
pub fn begin(conn: &mut SqliteConnection, batch_id: &str, now: WallMs) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| set_status(conn, batch_id, BatchStatus::Running, "", now))
}

/// Ends a running batch as `executed`; its task ends according to its runs.
///
/// # Errors
///
/// `NotFound`: the batch does not exist or has no task.
pub fn finish(conn: &mut SqliteConnection, batch_id: &str, now: WallMs) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| set_status(conn, batch_id, BatchStatus::Executed, "", now))
}

/// Records the delivery status of a batch.
///
/// # Errors
///
/// `NotFound`: the batch does not exist.
pub fn deliver(
    conn: &mut SqliteConnection,
    batch_id: &str,
    delivery: DeliveryStatus,
    why: &str,
    now: WallMs,
) -> Result<(), StoreError> {
    savepoint(conn, |conn| {
        let task_id = task_of(conn, batch_id)?;
        let batch = batches::table.filter(batches::batch_id.eq(batch_id));
        diesel::update(batch).set(batches::delivery.eq(delivery.name())).execute(conn)?;
        let level = if delivery == DeliveryStatus::Failed { AuditLevel::Warn } else { AuditLevel::Info };
        let message = format!("delivery of the results: {}{}", delivery.name(), because(why));
        let subject = task_id.as_deref().unwrap_or(batch_id);
        let entry = AuditEntry { task_id: subject, run_id: None, at: now, level, event: "delivery", message: &message };
        audit::append(conn, &entry).map(drop)
    })
}

/// Sets the status of a batch and its task. A batch without a task keeps its initial status.
fn set_status(
    conn: &mut SqliteConnection,
    batch_id: &str,
    to: BatchStatus,
    why: &str,
    now: WallMs,
) -> Result<StatusChange, StoreError> {
    use tasks::TaskStatus as Of;
    let task_id = task_of(conn, batch_id)?.ok_or(StoreError::NotFound)?;
    let change = match to {
        BatchStatus::Running => tasks::change(conn, &task_id, Of::Running, why, now)?,
        BatchStatus::Executed => tasks::finish(conn, &task_id, now)?,
        BatchStatus::Queued => tasks::advance(conn, &task_id, Of::Queued, why, now)?,
        BatchStatus::Expired => tasks::advance(conn, &task_id, Of::Expired, why, now)?,
        BatchStatus::Rejected => tasks::advance(conn, &task_id, Of::Rejected, why, now)?,
        _ => return Err(StoreError::Database(format!("no batch becomes {}", to.name()))),
    };
    if change == StatusChange::Made {
        let entered = (batches::status.eq(to.name()), batches::finished_at.eq(to.is_final().then_some(now)));
        diesel::update(batches::table.filter(batches::batch_id.eq(batch_id))).set(entered).execute(conn)?;
    }
    Ok(change)
}

pub(super) fn task_of(conn: &mut SqliteConnection, batch_id: &str) -> Result<Option<String>, StoreError> {
    Ok(batches::table.filter(batches::batch_id.eq(batch_id)).select(batches::task_id).first(conn)?)
}

/// Appends the trail's line for a batch without a task.
fn log(conn: &mut SqliteConnection, new: &NewBatch, at: WallMs) -> Result<(), StoreError> {
    let event = new.status.name();
    let message = format!("the batch is {event}{}", because(new.reason.as_deref().unwrap_or_default()));
    let level = match new.status {
        BatchStatus::Rejected | BatchStatus::NotAllowed => AuditLevel::Warn,
        _ => AuditLevel::Info,
    };
    let entry = AuditEntry { task_id: &new.batch_id, run_id: None, at, level, event, message: &message };
    audit::append(conn, &entry).map(drop)
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}
