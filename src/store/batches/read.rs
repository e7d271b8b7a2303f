//! Batches, read. Lists are newest first and leave the plans where they are.

use super::{Batch, BatchRow, Filter, Status, batches};
use crate::store::{
    StoreError,
    tasks::{Page, one_more},
};
use diesel::prelude::*;

/// The columns of a [`BatchRow`], in the order of its fields.
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

/// The newest batches that pass the filter.
pub fn list(conn: &mut SqliteConnection, filter: &Filter) -> Result<Page<BatchRow>, StoreError> {
    let limit = one_more(filter.limit);
    let mut query = batches::table.select(columns!()).order(batches::id.desc()).limit(limit).into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(batches::status.eq(status.name()));
    }
    if let Some(platform) = &filter.platform {
        query = query.filter(batches::platform.eq(platform));
    }
    if let Some(before) = filter.before {
        query = query.filter(batches::id.lt(before));
    }
    Ok(Page::cut(query.load(conn)?, filter.limit, |row| row.id))
}

/// The batch of that name, with its plan.
pub fn one(conn: &mut SqliteConnection, batch_id: &str) -> Result<Option<Batch>, StoreError> {
    let columns = (columns!(), batches::plan, batches::rejection);
    Ok(batches::table.select(columns).filter(batches::batch_id.eq(batch_id)).first(conn).optional()?)
}

/// The batch that came first of those that wait for their turn.
pub fn next_queued(conn: &mut SqliteConnection) -> Result<Option<Batch>, StoreError> {
    let columns = (columns!(), batches::plan, batches::rejection);
    let queued = batches::table.filter(batches::status.eq(Status::Queued.name()));
    Ok(queued.select(columns).order(batches::id).first(conn).optional()?)
}

/// The newest batch of a message.
pub fn of_message(
    conn: &mut SqliteConnection,
    platform: &str,
    conversation_id: Option<&str>,
    assistant_message_id: &str,
) -> Result<Option<BatchRow>, StoreError> {
    let of_message = batches::table
        .filter(batches::assistant_message_id.eq(assistant_message_id))
        .filter(batches::platform.eq(platform))
        .filter(batches::conversation_id.is(conversation_id));
    Ok(of_message.select(columns!()).order(batches::id.desc()).first(conn).optional()?)
}
