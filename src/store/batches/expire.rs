//! Deletes batches that ended long ago. Their keys are kept.

use crate::{
    clock::WallMs,
    store::{StoreError, retention::SweepProgress},
};
use diesel::SqliteConnection;

/// Deletes up to `rows` batches that ended before `cutoff`.
pub(in crate::store) fn expire(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let delete = "DELETE FROM instruction_batches WHERE id IN \
                  (SELECT id FROM instruction_batches WHERE finished_at < ? ORDER BY finished_at LIMIT ?)";
    SweepProgress::of_delete(conn, delete, cutoff, rows)
}
