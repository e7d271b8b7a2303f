//! Reads the runs of tasks.

use super::{RowPage, newest_page};
use crate::{
    clock::WallMs,
    store::{StoreError, schema::runs},
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use serde::Serialize;

/// A step of a task. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Serialize)]
#[cfg_attr(test, derive(Insertable), diesel(table_name = runs))]
pub struct RunRow {
    /// Number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Id of the run.
    pub run_id: String,
    /// Id of its task.
    pub task_id: String,
    /// Index within the task.
    #[serde(rename = "index")]
    pub position: i64,
    /// See [`TaskStatus`](super::TaskStatus).
    pub status: String,
    /// Tool that it runs.
    pub tool: String,
    /// Time of its start.
    pub started_at: Option<WallMs>,
    /// Time of its end.
    pub finished_at: Option<WallMs>,
    /// Result as JSON; shown to bearers of the token only.
    pub result: Option<String>,
}

/// Filter for runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only this task.
    pub task_id: Option<String>,
    /// Only runs with a smaller number.
    pub before: Option<i64>,
    /// Most runs to return.
    pub limit: usize,
}

/// Returns the newest runs that match the filter.
pub fn list(conn: &mut SqliteConnection, filter: &RunFilter) -> Result<RowPage<RunRow>, StoreError> {
    newest_page!(conn, filter, runs::table, runs, [task_id = &filter.task_id])
}

/// Returns the runs of a task, in order.
pub fn of_task(conn: &mut SqliteConnection, task_id: &str) -> Result<Vec<RunRow>, StoreError> {
    Ok(runs::table.filter(runs::task_id.eq(task_id)).order(runs::position).load(conn)?)
}

/// Returns the number of running runs.
pub(super) fn running(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    // Written as in the index; a bound parameter would prevent its use.
    Ok(runs::table.filter(sql::<Bool>("status = 'running'")).count().get_result(conn)?)
}
