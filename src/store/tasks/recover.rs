//! Recovery of interrupted tasks, which may have had effects and do not run again, and deletion of old ones.

use super::{StatusChange, TaskStatus, change, change_run, write::run_ids};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        schema::{runs, tasks},
        worker::savepoint,
    },
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};

/// Reason in the trail for what a crash interrupted.
const ENDED: &str = "the daemon ended while it ran";

/// Work that was found running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterruptedWork {
    /// Ids of the tasks.
    pub task_ids: Vec<String>,
    /// Ids of their started runs, which may have had effects.
    pub run_ids: Vec<String>,
    /// Number of their runs that never started.
    pub unstarted: usize,
}

/// At the start of the daemon: what still runs, by the tables, is `interrupted`; a run of such a task that had not begun
/// is `cancelled`. Tasks that wait stay as they are.
pub fn interrupt(conn: &mut SqliteConnection, now: WallMs) -> Result<InterruptedWork, StoreError> {
    savepoint(conn, |conn| {
        // Written as in the index; a bound parameter would prevent its use.
        let running = runs::table.filter(sql::<Bool>("status = 'running'")).order(runs::id);
        let mut found =
            InterruptedWork { run_ids: running.select(runs::run_id).load(conn)?, ..InterruptedWork::default() };
        let running = tasks::table.filter(tasks::status.eq(TaskStatus::Running.name())).order(tasks::id);
        found.task_ids = running.select(tasks::task_id).load(conn)?;
        for run_id in &found.run_ids {
            change_run(conn, run_id, TaskStatus::Interrupted, ENDED, now)?;
        }
        for task_id in &found.task_ids {
            found.unstarted += abandon(conn, task_id, ENDED, now)?;
        }
        Ok(found)
    })
}

/// A task that runs is `interrupted`, and so is a run of it that had begun; one that had not is `cancelled`. Answers how
/// many had not.
pub(in crate::store) fn abandon(
    conn: &mut SqliteConnection,
    task_id: &str,
    why: &str,
    now: WallMs,
) -> Result<usize, StoreError> {
    let mut unstarted = 0;
    for run_id in run_ids(conn, task_id)? {
        if change_run(conn, &run_id, TaskStatus::Interrupted, why, now)? != StatusChange::Made {
            let before = format!("{why}, before its turn");
            unstarted +=
                usize::from(change_run(conn, &run_id, TaskStatus::Cancelled, &before, now)? == StatusChange::Made);
        }
    }
    change(conn, task_id, TaskStatus::Interrupted, why, now)?;
    Ok(unstarted)
}
