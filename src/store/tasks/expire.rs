//! Deletes tasks that ended long ago, and before them their runs.

use crate::{
    clock::WallMs,
    store::{StoreError, retention::SweepProgress},
};
use diesel::SqliteConnection;

/// Deletes up to `rows` runs of tasks that ended before `cutoff`.
pub(in crate::store) fn expire_runs(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    // In this order, so that no run of a younger task is looked at.
    let delete = "DELETE FROM runs WHERE id IN (SELECT runs.id FROM tasks CROSS JOIN runs \
                  ON runs.task_id = tasks.task_id WHERE tasks.finished_at < ? LIMIT ?)";
    SweepProgress::of_delete(conn, delete, cutoff, rows)
}

/// Deletes up to `rows` tasks that ended before `cutoff`.
pub(in crate::store) fn expire(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let delete = "DELETE FROM tasks WHERE id IN \
                  (SELECT id FROM tasks WHERE finished_at < ? ORDER BY finished_at LIMIT ?)";
    SweepProgress::of_delete(conn, delete, cutoff, rows)
}
