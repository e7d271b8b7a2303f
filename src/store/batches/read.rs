//! Reads batches. Lists are newest first and omit the plans.

use super::{BatchFilter, BatchOrigin, BatchStatus, BatchSummary, DeliveryStatus, StoredBatch, batches};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        tasks::{RowPage, newest_page},
    },
};
use diesel::prelude::*;

/// The columns of a [`BatchSummary`], in the order of its fields.
macro_rules! columns {
    () => {
        (
            batches::id,
            batches::batch_id,
            batches::task_id,
            batches::status,
            batches::origin,
            (batches::platform, batches::conversation_id, batches::assistant_message_id, batches::client_id),
            batches::created_at,
            batches::finished_at,
            (batches::expires_at, batches::decided_at, batches::decided_by, batches::reason),
            batches::delivery,
            batches::digest,
        )
    };
}

/// Returns the newest batches that match the filter.
pub fn list(conn: &mut SqliteConnection, filter: &BatchFilter) -> Result<RowPage<BatchSummary>, StoreError> {
    let (status, all) = (filter.status.map(BatchStatus::name), batches::table.select(columns!()));
    newest_page!(conn, filter, all, batches, [status = status, platform = &filter.platform])
}

/// Returns a batch with its plan.
pub fn one(conn: &mut SqliteConnection, batch_id: &str) -> Result<Option<StoredBatch>, StoreError> {
    let columns = (columns!(), batches::plan, batches::rejection);
    Ok(batches::table.select(columns).filter(batches::batch_id.eq(batch_id)).first(conn).optional()?)
}

/// Returns the oldest queued batch; `live`: whether observed ones are included.
pub fn next_queued(conn: &mut SqliteConnection, live: bool) -> Result<Option<StoredBatch>, StoreError> {
    let columns = (columns!(), batches::plan, batches::rejection);
    let queued = batches::table.filter(batches::status.eq(BatchStatus::Queued.name()));
    let mut queued = queued.select(columns).order(batches::id).into_boxed();
    if !live {
        queued = queued.filter(batches::origin.eq(BatchOrigin::Http.name()));
    }
    Ok(queued.first(conn).optional()?)
}

/// Returns the ids of running batches.
pub fn running(conn: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let running = batches::table.filter(batches::status.eq(BatchStatus::Running.name()));
    Ok(running.select(batches::batch_id).order(batches::id).load(conn)?)
}

/// Returns the number of batches that wait for approval or for their turn.
pub fn waiting(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let waiting = [BatchStatus::PendingApproval.name(), BatchStatus::Queued.name()];
    Ok(batches::table.filter(batches::status.eq_any(waiting)).count().get_result(conn)?)
}

/// Returns the earliest time at which an approval expires.
pub fn next_expiry(conn: &mut SqliteConnection) -> Result<Option<WallMs>, StoreError> {
    let pending = batches::table.filter(batches::status.eq(BatchStatus::PendingApproval.name()));
    Ok(pending.select(diesel::dsl::min(batches::expires_at)).first(conn)?)
}

/// Returns the number of batches of a conversation that ended since then and were delivered, or failed to be.
pub fn deliveries(
    conn: &mut SqliteConnection,
    platform: &str,
    conversation_id: &str,
    since: WallMs,
) -> Result<i64, StoreError> {
    let tried = [DeliveryStatus::Delivered.name(), DeliveryStatus::Failed.name()];
    let ended = batches::table.filter(batches::finished_at.is_not_null()).filter(batches::finished_at.ge(since));
    let of_conversation = ended
        .filter(batches::platform.eq(platform))
        .filter(batches::conversation_id.eq(conversation_id))
        .filter(batches::delivery.eq_any(tried));
    Ok(of_conversation.count().get_result(conn)?)
}

/// Returns the newest batch of a message; batches of known instructions only come last.
pub fn of_message(
    conn: &mut SqliteConnection,
    platform: &str,
    conversation_id: Option<&str>,
    assistant_message_id: &str,
) -> Result<Option<BatchSummary>, StoreError> {
    let of_message = batches::table
        .filter(batches::assistant_message_id.eq(assistant_message_id))
        .filter(batches::platform.eq(platform))
        .filter(batches::conversation_id.is(conversation_id));
    let last = batches::status.eq(BatchStatus::DuplicateOnly.name());
    Ok(of_message.select(columns!()).order((last, batches::id.desc())).first(conn).optional()?)
}
