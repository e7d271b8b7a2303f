//! Batches, written: a batch and its task change together, and the trail says so in the same transaction.

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

/// A batch to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// Its name, see [`new_id`].
    pub batch_id: String,
    /// How it begins.
    pub status: BatchStatus,
    /// How its message came here.
    pub origin: BatchOrigin,
    /// Whose message it is.
    pub message: BatchMessage,
    /// Why it begins so.
    pub reason: Option<String>,
    /// Until when it may be approved.
    pub expires_at: Option<WallMs>,
    /// Of the batch and its plan: what an approval holds for.
    pub digest: Option<String>,
    /// What was decided about the message, as JSON.
    pub plan: String,
    /// Why it was refused, as JSON.
    pub rejection: Option<String>,
    /// What is to be done; nothing is made of it for a status in which nothing is done.
    pub work: Option<BatchWork>,
}

/// What a batch has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchWork {
    /// What it is, for people.
    pub title: String,
    /// The tools of its new instructions, in their order.
    pub tools: Vec<String>,
}

/// The names that the task of a batch and its runs were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreatedBatch {
    /// The task's.
    pub task_id: Option<String>,
    /// Its runs', in the order of the tools.
    pub run_ids: Vec<String>,
}

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval<'a> {
    /// It may run, if it is what has this digest.
    Given {
        /// Of the batch and its plan, worked out anew from what was shown.
        digest: &'a str,
    },
    /// It must not run.
    Refused,
}

/// A person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalDecision<'a> {
    /// What.
    pub approval: Approval<'a>,
    /// Whose, as the trail names them.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It holds.
    Made,
    /// The batch does not wait for one any more.
    Stale(BatchStatus),
    /// What was approved is not what would run; it still waits.
    Differs,
}

/// A name for a batch, ascending with time: `batch_01J…`.
pub fn new_id() -> String {
    tasks::named("batch")
}

/// Keeps a batch, and makes its task.
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
            new.message.clone(),
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

/// What the trail says of a new batch: its name, its digest, why it begins as it does.
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

/// Has a person's decision hold, once. One that comes after the time for it expires the batch instead.
///
/// # Errors
///
/// `NotFound`: there is no such batch.
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

/// What the trail says of a batch whose time went by.
const NOT_DECIDED_IN_TIME: &str = "nobody decided in time";

/// Expires batches whose time for a decision is over, the oldest first and at most `limit`; answers their names.
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

/// Has a batch that waits for its turn run. Its runs begin one by one, by [`tasks::change_run`].
///
/// # Errors
///
/// `NotFound`: there is no such batch, or it has nothing to do.
pub fn begin(conn: &mut SqliteConnection, batch_id: &str, now: WallMs) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| set_status(conn, batch_id, BatchStatus::Running, "", now))
}

/// Ends a batch that runs: `executed`, and its task by what became of the runs.
///
/// # Errors
///
/// `NotFound`: there is no such batch, or it has nothing to do.
pub fn finish(conn: &mut SqliteConnection, batch_id: &str, now: WallMs) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| set_status(conn, batch_id, BatchStatus::Executed, "", now))
}

/// Notes what became of the results of a batch.
///
/// # Errors
///
/// `NotFound`: there is no such batch.
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

/// Has a batch and its task enter a status. One without a task has ended as it began.
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

/// The line about a batch that has no task.
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
