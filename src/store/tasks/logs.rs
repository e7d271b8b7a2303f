//! The log of what happened to tasks, read. Its rows are a chain of hashes.

use super::{RowPage, newest_page};
use crate::{
    clock::WallMs,
    store::{StoreError, schema::task_logs as logs},
};
use diesel::prelude::*;
use serde::Serialize;

/// A line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Insertable, Serialize)]
#[diesel(table_name = logs)]
pub struct LogRow {
    /// Number, ascending without a gap.
    #[serde(rename = "number")]
    pub id: i64,
    /// Name, derived from the number.
    pub log_id: String,
    /// Task that the line is about.
    pub task_id: String,
    /// Run that the line is about.
    pub run_id: Option<String>,
    /// Time, in Unix milliseconds.
    pub at: WallMs,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// Name of the event.
    pub event: String,
    /// Description for people; may contain results of a run, so it is shown to bearers of the token only.
    pub message: String,
    /// Hash of this line and its predecessor, in hexadecimal digits.
    pub hash: String,
    /// Hash of the preceding line of any task; absent for the first.
    pub previous_hash: Option<String>,
}

/// Filter for lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Task of the lines.
    pub task_id: String,
    /// Only this run.
    pub run_id: Option<String>,
    /// Only lines with a smaller number.
    pub before: Option<i64>,
    /// Most lines to return.
    pub limit: usize,
}

/// Returns the newest lines that match the filter.
pub fn list(conn: &mut SqliteConnection, filter: &LogFilter) -> Result<RowPage<LogRow>, StoreError> {
    let of_task = logs::table.filter(logs::task_id.eq(&filter.task_id));
    newest_page!(conn, filter, of_task, logs, [run_id = &filter.run_id])
}
