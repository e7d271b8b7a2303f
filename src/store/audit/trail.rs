//! Read-only access to the trail from outside the daemon, whether a daemon runs or not.

use super::{AuditVerdict, verify};
use crate::store::{
    StoreError,
    batches::{self, BatchSummary},
    open::{self, OpenError},
    schema::{instruction_batches, runs, task_logs},
    tasks::{
        self, RowPage, Task,
        logs::{self, LogRow},
        one_more,
        runs::RunRow,
    },
    worker::snapshot,
};
use diesel::prelude::*;
use serde::Serialize;
use std::path::Path;

/// Most lines and runs shown of a task.
const SHOWN_MAX: usize = 1_000;

/// A database opened for reading its trail.
pub struct AuditTrail {
    conn: SqliteConnection,
}

/// A task, or a batch without one, with its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditSubject {
    /// Its batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSummary>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Its runs, in order.
    pub runs: Vec<RunRow>,
    /// Its lines, oldest first.
    pub logs: Vec<LogRow>,
}

impl AuditTrail {
    /// Opens an existing database.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has no trail.
    pub fn open(path: &Path, busy_timeout_ms: u64) -> Result<Self, OpenError> {
        open::observer(path, busy_timeout_ms).map(|conn| AuditTrail { conn })
    }

    /// Verifies the whole chain.
    pub fn verify(&mut self) -> Result<AuditVerdict, StoreError> {
        snapshot(&mut self.conn, verify)
    }

    /// Returns the newest lines, newest first.
    pub fn lines(&mut self, before: Option<i64>, limit: usize) -> Result<RowPage<LogRow>, StoreError> {
        let newest = task_logs::table.order(task_logs::id.desc()).limit(one_more(limit));
        let newest = newest.filter(task_logs::id.lt(before.unwrap_or(i64::MAX)));
        Ok(RowPage::cut(newest.load(&mut self.conn)?, limit, |row: &LogRow| row.id))
    }

    /// Returns the subject named by a task, run, batch or line id.
    pub fn subject(&mut self, name: &str) -> Result<Option<AuditSubject>, StoreError> {
        snapshot(&mut self.conn, |conn| subject(conn, name))
    }
}

impl std::fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

fn subject(conn: &mut SqliteConnection, name: &str) -> Result<Option<AuditSubject>, StoreError> {
    let task_id = task_id(conn, name)?;
    let task = tasks::one(conn, &task_id)?;
    let of_task = instruction_batches::table.filter(instruction_batches::task_id.eq(&task_id));
    let batch: Option<String> = of_task.select(instruction_batches::batch_id).first(conn).optional()?;
    let batch = batches::one(conn, batch.as_deref().unwrap_or(&task_id))?.map(|batch| batch.row);
    let of_task = runs::table.filter(runs::task_id.eq(&task_id)).order(runs::position);
    let runs: Vec<RunRow> = of_task.limit(SHOWN_MAX as i64).load(conn)?;
    let filter = logs::LogFilter { task_id, run_id: None, before: None, limit: SHOWN_MAX };
    let mut logs = logs::list(conn, &filter)?.rows;
    logs.reverse();
    let there = task.is_some() || batch.is_some() || !logs.is_empty();
    Ok(there.then_some(AuditSubject { batch, task, runs, logs }))
}

/// The task that a name belongs to; of a batch without one the batch, and else the name itself.
fn task_id(conn: &mut SqliteConnection, name: &str) -> Result<String, StoreError> {
    let of_batch = instruction_batches::table.filter(instruction_batches::batch_id.eq(name));
    let of_batch = of_batch.select(instruction_batches::task_id).first::<Option<String>>(conn).optional()?;
    if let Some(task_id) = of_batch.flatten() {
        return Ok(task_id);
    }
    let of_run = runs::table.filter(runs::run_id.eq(name)).select(runs::task_id);
    if let Some(task_id) = of_run.first(conn).optional()? {
        return Ok(task_id);
    }
    let of_line = task_logs::table.filter(task_logs::log_id.eq(name)).select(task_logs::task_id);
    Ok(of_line.first(conn).optional()?.unwrap_or_else(|| name.to_owned()))
}
