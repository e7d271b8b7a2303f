//! Writes tasks and runs: every status change is a line of the audit trail, in the same transaction.
//!
//! Each function is atomic; changes that belong together go into one [`Store::transact`](crate::store::Store).

use super::{TaskSource, TaskStatus, source_values};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        audit::{self, AuditEntry},
        schema::{runs, tasks},
        worker::savepoint,
    },
};
use diesel::prelude::*;

/// Kind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TaskKind {
    /// The instructions of a message.
    InstructionBatch,
    /// An operation requested by a caller.
    HostOperation,
}

impl TaskKind {
    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A task to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Kind of the task.
    pub kind: TaskKind,
    /// Initial status of the task and its runs.
    pub status: TaskStatus,
    /// Title for people.
    pub title: String,
    /// Origin of the task.
    pub source: TaskSource,
    /// Tools of its runs, in order.
    pub tools: Vec<String>,
}

/// Ids of a created task and its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTask {
    /// Id of the task.
    pub task_id: String,
    /// Ids of the runs, in order.
    pub run_ids: Vec<String>,
}

/// Outcome of a status change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// The status was changed.
    Made,
    /// The change may not follow this status, which stays.
    Refused(TaskStatus),
}

/// Creates a task and its runs; `why` goes into the trail.
pub fn create(conn: &mut SqliteConnection, new: &NewTask, why: &str, now: WallMs) -> Result<CreatedTask, StoreError> {
    savepoint(conn, |conn| {
        let task_id = named("task");
        let run_count = i64::try_from(new.tools.len()).unwrap_or(i64::MAX);
        let row = (
            tasks::task_id.eq(&task_id),
            tasks::kind.eq(new.kind.name()),
            tasks::status.eq(new.status.name()),
            tasks::title.eq(&new.title),
            tasks::created_at.eq(now),
            tasks::started_at.eq((new.status == TaskStatus::Running).then_some(now)),
            tasks::finished_at.eq(new.status.is_final().then_some(now)),
            source_values!(&new.source),
            tasks::run_count.eq(run_count),
        );
        diesel::insert_into(tasks::table).values(row).execute(conn)?;
        log(conn, LogSubject { task_id: &task_id, run: None }, new.status, why, now)?;
        // The runs of a running task are queued.
        let status = if new.status == TaskStatus::Running { TaskStatus::Queued } else { new.status };
        let mut run_ids = Vec::with_capacity(new.tools.len());
        for (position, tool) in (0_i64..).zip(&new.tools) {
            let run_id = named("run");
            let row = (
                runs::run_id.eq(&run_id),
                runs::task_id.eq(&task_id),
                runs::position.eq(position),
                runs::status.eq(status.name()),
                runs::tool.eq(tool),
                runs::finished_at.eq(status.is_final().then_some(now)),
            );
            diesel::insert_into(runs::table).values(row).execute(conn)?;
            log(conn, LogSubject { task_id: &task_id, run: Some((&run_id, tool)) }, status, "", now)?;
            run_ids.push(run_id);
        }
        Ok(CreatedTask { task_id, run_ids })
    })
}

/// Returns a new id, ascending with time: `task_01J…`.
pub(in crate::store) fn named(kind: &str) -> String {
    format!("{kind}_{}", ulid::Ulid::generate())
}

/// Changes the status of a task, but not of its runs; `why` goes into the trail.
///
/// # Errors
///
/// `NotFound`: the task does not exist.
pub fn change(
    conn: &mut SqliteConnection,
    task_id: &str,
    to: TaskStatus,
    why: &str,
    now: WallMs,
) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| {
        let task = tasks::table.filter(tasks::task_id.eq(task_id));
        let from: String = task.select(tasks::status).first(conn)?;
        let (started, finished) = match permitted(&from, to, now)? {
            Ok(times) => times,
            Err(from) => return Ok(StatusChange::Refused(from)),
        };
        let times = (started.map(|at| tasks::started_at.eq(at)), finished.map(|at| tasks::finished_at.eq(at)));
        diesel::update(task).set((tasks::status.eq(to.name()), times.0, times.1)).execute(conn)?;
        log(conn, LogSubject { task_id, run: None }, to, why, now)?;
        Ok(StatusChange::Made)
    })
}

/// Changes the status of a run; `why` goes into the trail.
///
/// # Errors
///
/// `NotFound`: the run does not exist.
pub fn change_run(
    conn: &mut SqliteConnection,
    run_id: &str,
    to: TaskStatus,
    why: &str,
    now: WallMs,
) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| {
        let run = runs::table.filter(runs::run_id.eq(run_id));
        let columns = (runs::status, runs::task_id, runs::tool);
        let (from, task_id, tool): (String, String, String) = run.select(columns).first(conn)?;
        let (started, finished) = match permitted(&from, to, now)? {
            Ok(times) => times,
            Err(from) => return Ok(StatusChange::Refused(from)),
        };
        let times = (started.map(|at| runs::started_at.eq(at)), finished.map(|at| runs::finished_at.eq(at)));
        diesel::update(run).set((runs::status.eq(to.name()), times.0, times.1)).execute(conn)?;
        log(conn, LogSubject { task_id: &task_id, run: Some((run_id, &tool)) }, to, why, now)?;
        Ok(StatusChange::Made)
    })
}

/// Times that a status change sets: of the start and of the end.
type ChangeTimes = (Option<WallMs>, Option<WallMs>);

/// Checks a change of the stored status `from`, and returns the times that it sets, or the status that refuses it.
fn permitted(from: &str, to: TaskStatus, now: WallMs) -> Result<Result<ChangeTimes, TaskStatus>, StoreError> {
    let from = TaskStatus::stored(from)?;
    let times = ((to == TaskStatus::Running).then_some(now), to.is_final().then_some(now));
    Ok(if from.may_become(to) { Ok(times) } else { Err(from) })
}

/// Ends a run with its result as JSON; the trail has the SHA-256 of the result.
///
/// # Errors
///
/// `NotFound`: the run does not exist.
pub fn end_run(
    conn: &mut SqliteConnection,
    run_id: &str,
    to: TaskStatus,
    result: &str,
    now: WallMs,
) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| {
        let why = format!("result sha256:{}", audit::digest(result.as_bytes()));
        let change = change_run(conn, run_id, to, &why, now)?;
        if change == StatusChange::Made {
            let run = runs::table.filter(runs::run_id.eq(run_id));
            diesel::update(run).set(runs::result.eq(result)).execute(conn)?;
        }
        Ok(change)
    })
}

/// Ends a running task: it succeeded when all its runs did.
///
/// # Errors
///
/// `NotFound`: the task does not exist.
pub fn finish(conn: &mut SqliteConnection, task_id: &str, now: WallMs) -> Result<StatusChange, StoreError> {
    let others = runs::table.filter(runs::task_id.eq(task_id)).filter(runs::status.ne(TaskStatus::Succeeded.name()));
    let others: i64 = others.count().get_result(conn)?;
    match others {
        0 => change(conn, task_id, TaskStatus::Succeeded, "", now),
        others => change(conn, task_id, TaskStatus::Failed, &format!("runs that did not succeed: {others}"), now),
    }
}

/// Changes the status of a task, and of its runs where permitted.
pub(in crate::store) fn advance(
    conn: &mut SqliteConnection,
    task_id: &str,
    to: TaskStatus,
    why: &str,
    now: WallMs,
) -> Result<StatusChange, StoreError> {
    savepoint(conn, |conn| {
        let change = change(conn, task_id, to, why, now)?;
        if change == StatusChange::Made {
            for run_id in run_ids(conn, task_id)? {
                change_run(conn, &run_id, to, "", now)?;
            }
        }
        Ok(change)
    })
}

/// Returns the ids of a task's runs, in order.
pub(super) fn run_ids(conn: &mut SqliteConnection, task_id: &str) -> Result<Vec<String>, StoreError> {
    let of_task = runs::table.filter(runs::task_id.eq(task_id)).order(runs::position);
    Ok(of_task.select(runs::run_id).load(conn)?)
}

/// Subject of a line.
#[derive(Clone, Copy)]
struct LogSubject<'a> {
    task_id: &'a str,
    /// Id and tool of the run.
    run: Option<(&'a str, &'a str)>,
}

fn log(
    conn: &mut SqliteConnection,
    subject: LogSubject<'_>,
    to: TaskStatus,
    why: &str,
    at: WallMs,
) -> Result<(), StoreError> {
    let mut message = format!("{} {}", subject.run.map_or("the task", |(_, tool)| tool), to.words());
    if !why.is_empty() {
        message.push_str(": ");
        message.push_str(why);
    }
    let run_id = subject.run.map(|(run_id, _)| run_id);
    let entry =
        AuditEntry { task_id: subject.task_id, run_id, at, level: to.level(), event: to.name(), message: &message };
    audit::append(conn, &entry).map(drop)
}
