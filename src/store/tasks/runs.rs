//! The runs of tasks, read.

use super::{RowPage, one_more};
use crate::{
    clock::WallMs,
    store::{StoreError, schema::runs},
};
use diesel::{dsl::sql, prelude::*, sql_types::Bool};
use serde::Serialize;

/// A step of a task. All times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Serialize)]
#[cfg_attr(test, derive(Insertable), diesel(table_name = runs))]
pub struct RunRow {
    /// Its number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Its name.
    pub run_id: String,
    /// The task that it belongs to.
    pub task_id: String,
    /// Its place in the task, from 0.
    #[serde(rename = "index")]
    pub position: i64,
    /// See [`TaskStatus`](super::Status).
    pub status: String,
    /// What it runs.
    pub tool: String,
    /// When it began.
    pub started_at: Option<WallMs>,
    /// When it ended.
    pub finished_at: Option<WallMs>,
    /// What it returned, as JSON; for the bearer of the token alone.
    pub result: Option<String>,
}

/// Which runs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only of this task.
    pub task_id: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// The newest runs that pass the filter.
pub fn list(conn: &mut SqliteConnection, filter: &RunFilter) -> Result<RowPage<RunRow>, StoreError> {
    let mut query = runs::table.order(runs::id.desc()).limit(one_more(filter.limit)).into_boxed();
    if let Some(task_id) = &filter.task_id {
        query = query.filter(runs::task_id.eq(task_id));
    }
    if let Some(before) = filter.before {
        query = query.filter(runs::id.lt(before));
    }
    Ok(RowPage::cut(query.load(conn)?, filter.limit, |row| row.id))
}

/// The runs of a task, in their order.
pub fn of_task(conn: &mut SqliteConnection, task_id: &str) -> Result<Vec<RunRow>, StoreError> {
    Ok(runs::table.filter(runs::task_id.eq(task_id)).order(runs::position).load(conn)?)
}

/// How many run.
pub(super) fn running(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    // As the index says it: a bound parameter would not show that it fits.
    Ok(runs::table.filter(sql::<Bool>("status = 'running'")).count().get_result(conn)?)
}
