//! What a crash left behind: whatever ran then may have had effects and does not run again.

use super::{Status, change, change_run, write::run_ids};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        schema::{runs, tasks},
        worker::savepoint,
    },
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};

/// What was found running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// Tasks.
    pub task_ids: Vec<String>,
    /// Runs of them that had begun: each may have had effects.
    pub run_ids: Vec<String>,
    /// Runs of them that never began.
    pub unstarted: usize,
}

/// At the start of the daemon: what still runs, by the tables, is `interrupted`; a run of such a task that had not begun
/// is `cancelled`. Tasks that wait stay as they are.
pub fn interrupt(conn: &mut SqliteConnection, now: WallMs) -> Result<Interrupted, StoreError> {
    savepoint(conn, |conn| {
        // As the index says it: a bound parameter would not show that it fits.
        let running = runs::table.filter(sql::<Bool>("status = 'running'")).order(runs::id);
        let mut found = Interrupted { run_ids: running.select(runs::run_id).load(conn)?, ..Interrupted::default() };
        let running = tasks::table.filter(tasks::status.eq(Status::Running.name())).order(tasks::id);
        found.task_ids = running.select(tasks::task_id).load(conn)?;
        for run_id in &found.run_ids {
            change_run(conn, run_id, Status::Interrupted, "the daemon ended while it ran", now)?;
        }
        for task_id in &found.task_ids {
            for run_id in run_ids(conn, task_id)? {
                let change = change_run(conn, &run_id, Status::Cancelled, "the daemon ended before its turn", now)?;
                found.unstarted += usize::from(change == super::Change::Made);
            }
            change(conn, task_id, Status::Interrupted, "the daemon ended while it ran", now)?;
        }
        Ok(found)
    })
}
