//! Lets go of batches that ended long ago. Their keys stay.

use crate::{
    clock::WallMs,
    store::{
        StoreError,
        query::{Bind, Statement},
        retention::Swept,
    },
};
use diesel::{RunQueryDsl, SqliteConnection};

/// Deletes `rows` batches that ended before `cutoff`.
pub(in crate::store) fn expire(conn: &mut SqliteConnection, cutoff: WallMs, rows: i64) -> Result<Swept, StoreError> {
    let delete = "DELETE FROM instruction_batches WHERE id IN \
                  (SELECT id FROM instruction_batches WHERE finished_at < ? ORDER BY finished_at LIMIT ?)";
    let deleted = Statement::<()>::new(delete, [Bind::Int(cutoff), Bind::Int(rows)]).execute(conn)?;
    Ok(Swept { deleted, next: (deleted > 0).then_some(0) })
}
