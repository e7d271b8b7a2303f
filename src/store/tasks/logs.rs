//! The log of what happened to tasks, read. Its rows are a chain of hashes.

use super::{RowPage, one_more};
use crate::{
    clock::WallMs,
    store::{StoreError, schema::task_logs as logs},
};
use diesel::prelude::*;
use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable, Serialize)]
#[diesel(table_name = logs)]
pub struct LogRow {
    /// Its number, ascending in order of arrival without a gap.
    #[serde(rename = "number")]
    pub id: i64,
    /// Its name, which tells its number.
    pub log_id: String,
    /// To which task.
    pub task_id: String,
    /// In which run of it.
    pub run_id: Option<String>,
    /// When, in Unix milliseconds.
    pub at: WallMs,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What, as a name.
    pub event: String,
    /// What, for people; may hold what a run returned, so it is for the bearer of the token alone.
    pub message: String,
    /// Of this row and what came before it, in hexadecimal digits.
    pub hash: String,
    /// The `hash` of the row before it, whichever task that belongs to; none for the first.
    pub previous_hash: Option<String>,
}

/// Which rows are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of this task.
    pub task_id: String,
    /// Only of this run.
    pub run_id: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// The newest rows that pass the filter.
pub fn list(conn: &mut SqliteConnection, filter: &LogFilter) -> Result<RowPage<LogRow>, StoreError> {
    let of_task = logs::table.filter(logs::task_id.eq(&filter.task_id));
    let mut query = of_task.order(logs::id.desc()).limit(one_more(filter.limit)).into_boxed();
    if let Some(run_id) = &filter.run_id {
        query = query.filter(logs::run_id.eq(run_id));
    }
    if let Some(before) = filter.before {
        query = query.filter(logs::id.lt(before));
    }
    Ok(RowPage::cut(query.load(conn)?, filter.limit, |row| row.id))
}
