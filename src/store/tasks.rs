//! Tasks of the daemon, the runs they consist of, and the log of their status changes.
//!
//! ```text
//! queued ◄── pending_approval ──► rejected, expired
//!    │
//!    ├──► running ──► succeeded, failed, interrupted
//!    └─────┴──────► cancelled
//! ```
//!
//! Lists are newest first; pages continue before a row's number, which ascends in order of arrival.

use super::{StoreError, audit::AuditLevel, query::queryable, schema::tasks};
pub use crate::api::{
    system::WorkCounts,
    tasks::{Task, TaskSource},
};
use crate::{api::paging::PageInfo, clock::WallMs};
use diesel::prelude::*;

pub mod logs;
mod recover;
pub mod runs;
mod write;

#[cfg(test)]
mod tests;

pub(super) use recover::abandon;
pub use recover::{InterruptedWork, interrupt};
pub use write::{CreatedTask, NewTask, StatusChange, TaskKind, change, change_run, create, end_run, finish};
pub(super) use write::{advance, named};

/// Deletes tasks that ended before a time; see [`super::retention::SweepProgress::of_delete`].
pub(super) const EXPIRE: &str =
    "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE finished_at < ? ORDER BY finished_at LIMIT ?)";

/// Deletes runs of tasks that ended before a time. In this order, so that no run of a younger task is read.
pub(super) const EXPIRE_RUNS: &str = "DELETE FROM runs WHERE id IN (SELECT runs.id FROM tasks CROSS JOIN runs \
    ON runs.task_id = tasks.task_id WHERE tasks.finished_at < ? LIMIT ?)";

/// Status of a task or a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray, strum::VariantNames,
)]
#[expect(missing_docs, reason = "each is what its name says")]
#[strum(serialize_all = "snake_case")]
pub enum TaskStatus {
    Queued,
    PendingApproval,
    Running,
    Succeeded,
    Failed,
    Rejected,
    Expired,
    Interrupted,
    Cancelled,
}

impl TaskStatus {
    /// Returns the stored name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns whether the status is final.
    pub fn is_final(self) -> bool {
        !matches!(self, TaskStatus::Queued | TaskStatus::PendingApproval | TaskStatus::Running)
    }

    /// Returns whether `next` may follow this status.
    pub fn may_become(self, next: TaskStatus) -> bool {
        use TaskStatus::{
            Cancelled, Expired, Failed, Interrupted, PendingApproval, Queued, Rejected, Running, Succeeded,
        };
        match self {
            PendingApproval => matches!(next, Queued | Rejected | Expired | Cancelled),
            Queued => matches!(next, Running | Cancelled),
            Running => matches!(next, Succeeded | Failed | Interrupted | Cancelled),
            Succeeded | Failed | Rejected | Expired | Interrupted | Cancelled => false,
        }
    }

    /// Returns the trail's words for entering the status.
    pub fn words(self) -> &'static str {
        match self {
            TaskStatus::Queued => "waits for its turn",
            TaskStatus::PendingApproval => "waits for approval",
            TaskStatus::Running => "began",
            TaskStatus::Succeeded => "succeeded",
            TaskStatus::Failed => "failed",
            TaskStatus::Rejected => "was rejected",
            TaskStatus::Expired => "expired",
            TaskStatus::Interrupted => "was interrupted",
            TaskStatus::Cancelled => "was cancelled",
        }
    }

    /// Returns the severity of entering the status.
    pub(super) fn level(self) -> AuditLevel {
        match self {
            TaskStatus::Interrupted => AuditLevel::Error,
            TaskStatus::Failed | TaskStatus::Rejected | TaskStatus::Expired | TaskStatus::Cancelled => AuditLevel::Warn,
            TaskStatus::Queued | TaskStatus::PendingApproval | TaskStatus::Running | TaskStatus::Succeeded => {
                AuditLevel::Info
            }
        }
    }

    /// Reads a stored status.
    pub(super) fn stored(name: &str) -> Result<Self, StoreError> {
        name.parse().map_err(|_| StoreError::Database(format!("{name:?} is no status")))
    }
}

queryable! { Task {
    id: i64, task_id: String, kind: String, status: String, title: String, created_at: WallMs,
    started_at: Option<WallMs>, finished_at: Option<WallMs>, source: TaskSource, run_count: i64,
} }
queryable! { TaskSource {
    platform: Option<String>, conversation_id: Option<String>, assistant_message_id: Option<String>,
    client_id: Option<String>, caller: Option<String>,
} }

/// Returns the columns of a source with their values.
macro_rules! source_values {
    ($source:expr) => {{
        let source = $source;
        (
            tasks::platform.eq(&source.platform),
            tasks::conversation_id.eq(&source.conversation_id),
            tasks::assistant_message_id.eq(&source.assistant_message_id),
            tasks::client_id.eq(&source.client_id),
            tasks::caller.eq(&source.caller),
        )
    }};
}
use source_values;

/// Filter for tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only this status.
    pub status: Option<TaskStatus>,
    /// Only tasks with a smaller number.
    pub before: Option<i64>,
    /// Most tasks to return.
    pub limit: usize,
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPage<T> {
    /// Rows of the page, newest first.
    pub rows: Vec<T>,
    /// Value of `before` for the next page, if there is one.
    pub next_before: Option<i64>,
}

impl<T> RowPage<T> {
    /// Returns what a list says beside its entries.
    pub fn page_info(&self) -> PageInfo {
        PageInfo { count: self.rows.len(), next_before: self.next_before }
    }

    /// Creates a page from rows that were queried with [`one_more`] than `limit`.
    pub(super) fn cut(mut rows: Vec<T>, limit: usize, number: impl Fn(&T) -> i64) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_before = rows.last().filter(|_| more).map(number);
        RowPage { rows, next_before }
    }
}

/// Returns the query limit that shows whether there is another page.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Loads the newest rows of a query: those below `before`, up to `limit`, that match every given value.
macro_rules! newest_page {
    ($conn:expr, $filter:expr, $query:expr, $table:ident, [$($column:ident = $value:expr),*]) => {{
        let filter = $filter;
        let mut query =
            $query.order($table::id.desc()).limit($crate::store::tasks::one_more(filter.limit)).into_boxed();
        $(
            if let Some(value) = $value {
                query = query.filter($table::$column.eq(value));
            }
        )*
        if let Some(before) = filter.before {
            query = query.filter($table::id.lt(before));
        }
        Ok($crate::store::tasks::RowPage::cut(query.load($conn)?, filter.limit, |row| row.id))
    }};
}
pub(super) use newest_page;

/// The columns of a [`Task`], in the order of its fields.
macro_rules! columns {
    () => {
        (
            tasks::id,
            tasks::task_id,
            tasks::kind,
            tasks::status,
            tasks::title,
            tasks::created_at,
            tasks::started_at,
            tasks::finished_at,
            (tasks::platform, tasks::conversation_id, tasks::assistant_message_id, tasks::client_id, tasks::caller),
            tasks::run_count,
        )
    };
}

/// Returns the newest tasks that match the filter.
pub fn list(conn: &mut SqliteConnection, filter: &TaskFilter) -> Result<RowPage<Task>, StoreError> {
    let status = filter.status.map(TaskStatus::name);
    newest_page!(conn, filter, tasks::table.select(columns!()), tasks, [status = status])
}

/// Returns a task by id.
pub fn one(conn: &mut SqliteConnection, task_id: &str) -> Result<Option<Task>, StoreError> {
    Ok(tasks::table.select(columns!()).filter(tasks::task_id.eq(task_id)).first(conn).optional()?)
}

/// Returns the counts of open work.
pub fn work(conn: &mut SqliteConnection) -> Result<WorkCounts, StoreError> {
    let queued = tasks::table.filter(tasks::status.eq(TaskStatus::Queued.name())).count();
    Ok(WorkCounts { active_runs: runs::running(conn)?, queued_tasks: queued.get_result(conn)? })
}
