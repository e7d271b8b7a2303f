//! Recovery of interrupted batches, which may have had effects and do not run again, and deletion of old ones.

use super::{BatchStatus, batches, write::task_of};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        audit::{self, AuditEntry, AuditLevel},
        tasks::{self, InterruptedWork},
        worker::savepoint,
    },
};
use diesel::prelude::*;

/// Marks running batches, tasks and runs as `interrupted`, at the start of the daemon; see [`tasks::interrupt`].
pub fn interrupt(conn: &mut SqliteConnection, now: WallMs) -> Result<InterruptedWork, StoreError> {
    savepoint(conn, |conn| {
        let running = batches::table.filter(batches::status.eq(BatchStatus::Running.name()));
        let interrupted = (batches::status.eq(BatchStatus::Interrupted.name()), batches::finished_at.eq(now));
        diesel::update(running).set(interrupted).execute(conn)?;
        tasks::interrupt(conn, now)
    })
}

/// Abandons a queued or running batch: the batch, its task and the started run become `interrupted`, other runs
/// `cancelled`. A missing or differently ended task does not prevent this. Returns whether the batch was queued or
/// running.
///
/// # Errors
///
/// `NotFound`: the batch does not exist.
pub fn abandon(conn: &mut SqliteConnection, batch_id: &str, why: &str, now: WallMs) -> Result<bool, StoreError> {
    savepoint(conn, |conn| {
        let task_id = task_of(conn, batch_id)?;
        let open = [BatchStatus::Queued.name(), BatchStatus::Running.name()];
        let open = batches::table.filter(batches::batch_id.eq(batch_id)).filter(batches::status.eq_any(open));
        let interrupted = (batches::status.eq(BatchStatus::Interrupted.name()), batches::finished_at.eq(now));
        if diesel::update(open).set(interrupted).execute(conn)? == 0 {
            return Ok(false);
        }
        let ended = task_id.as_deref().map_or(Err(StoreError::NotFound), |id| tasks::abandon(conn, id, why, now));
        match ended {
            Err(StoreError::NotFound) => {
                let (level, message) = (AuditLevel::Warn, format!("interrupted, without a task: {why}"));
                let entry = AuditEntry {
                    task_id: batch_id,
                    run_id: None,
                    at: now,
                    level,
                    event: "interrupted",
                    message: &message,
                };
                audit::append(conn, &entry)?;
            }
            ended => drop(ended?),
        }
        Ok(true)
    })
}
