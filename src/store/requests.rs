//! The journal of browser requests: one row a request, numbered by the daemon in order of arrival.
//!
//! A row is written whole each time, so the newest version of a row is the only one that counts.

use super::{StoreError, query::queryable, retention::SweepProgress, schema::browser_requests as journal};
pub use crate::api::journal::JournalEntry;
use crate::clock::WallMs;
use diesel::{prelude::*, sqlite::Sqlite};
use std::borrow::Cow;

mod write;

#[cfg(test)]
pub(crate) mod tests;

pub use write::write_all;

queryable! { JournalEntry {
    id: i64, request_id: String => request_id.into(), platform: String => platform.into(),
    client_id: Option<String> => client_id.map(Into::into), method: Text, path: String, request_mode: Text,
    response_mode: Text, phase: Text, outcome: Option<Text>, error_code: Option<Text>, status: Option<i32>,
    requested_at: WallMs, admitted_at: Option<WallMs>, first_byte_at: Option<WallMs>, finished_at: Option<WallMs>,
    queue_delay_ms: i64, backoff_delay_ms: i64, rate_limit_delay_ms: i64, jitter_delay_ms: i64, event_count: i64,
    bytes: i64,
} waiting: None }

type Text = Cow<'static, str>;

/// Filter for journal rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only this platform.
    pub platform: Option<String>,
    /// Only this client.
    pub client_id: Option<String>,
    /// Only this outcome.
    pub outcome: Option<String>,
    /// Only rows with a smaller number.
    pub before: Option<i64>,
    /// Most rows to return.
    pub limit: i64,
}

/// Most numbers that a filtered list examines, which takes about ten milliseconds; otherwise a rare match would read
/// the whole journal.
pub const WALK_MAX: i64 = 20_000;

/// Rows of the journal, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestList {
    /// The rows.
    pub rows: Vec<JournalEntry>,
    /// The row at which the walk stopped, if older rows may match too.
    pub walked_to: Option<i64>,
}

impl RequestFilter {
    fn is_narrowing(&self) -> bool {
        self.platform.is_some() || self.client_id.is_some() || self.outcome.is_some()
    }
}

/// Returns the newest matching rows, newest first; a narrowing filter examines the next `walk` numbers only.
pub fn list(conn: &mut SqliteConnection, filter: &RequestFilter, walk: i64) -> Result<RequestList, StoreError> {
    if !filter.is_narrowing() {
        return Ok(RequestList { rows: listed(filter, None).load(conn)?, walked_to: None });
    }
    let newest = journal::table.select(journal::id).order(journal::id.desc()).into_boxed();
    let newest = below(newest, filter.before).first::<i64>(conn).optional()?;
    let Some(newest) = newest else { return Ok(RequestList::default()) };
    let floor = newest.saturating_sub(walk.max(1) - 1);
    let rows: Vec<JournalEntry> = listed(filter, Some(floor)).load(conn)?;
    let full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= filter.limit);
    let older = journal::table.select(journal::id).filter(journal::id.lt(floor)).limit(1);
    let older = if full { None } else { older.first::<i64>(conn).optional()? };
    Ok(RequestList { rows, walked_to: older.map(|_| floor) })
}

type Boxed<'a, T> = journal::BoxedQuery<'a, Sqlite, T>;

fn listed(filter: &RequestFilter, floor: Option<i64>) -> Boxed<'_, journal::SqlType> {
    let query = journal::table.order(journal::id.desc()).limit(filter.limit).into_boxed();
    let mut query = below(query, filter.before);
    if let Some(platform) = &filter.platform {
        query = query.filter(journal::platform.eq(platform));
    }
    if let Some(client_id) = &filter.client_id {
        query = query.filter(journal::client_id.eq(client_id));
    }
    if let Some(outcome) = &filter.outcome {
        query = query.filter(journal::outcome.eq(outcome));
    }
    match floor {
        Some(floor) => query.filter(journal::id.ge(floor)),
        None => query,
    }
}

fn below<T>(query: Boxed<'_, T>, before: Option<i64>) -> Boxed<'_, T> {
    match before {
        Some(before) => query.filter(journal::id.lt(before)),
        None => query,
    }
}

/// Returns the newest row of a request id, which may have been used more than once.
pub fn latest(conn: &mut SqliteConnection, request_id: &str) -> Result<Option<JournalEntry>, StoreError> {
    let rows = journal::table.filter(journal::request_id.eq(request_id)).order(journal::id.desc());
    Ok(rows.first(conn).optional()?)
}

/// Returns the highest number, or 0 for an empty journal.
pub fn last_id(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let last: Option<i64> = journal::table.select(diesel::dsl::max(journal::id)).first(conn)?;
    Ok(last.unwrap_or(0))
}

/// Ends rows left unfinished by a crash as `failure` / `interrupted`; returns their number.
pub fn interrupt_unfinished(conn: &mut SqliteConnection, now_ms: WallMs) -> Result<usize, StoreError> {
    let unfinished = diesel::update(journal::table.filter(journal::finished_at.is_null()));
    let ended = unfinished.set((
        journal::phase.eq("done"),
        journal::outcome.eq("failure"),
        journal::error_code.eq("interrupted"),
        journal::finished_at.eq(now_ms),
    ));
    Ok(ended.execute(conn)?)
}

/// Deletes, among the next `rows` rows after `after`, those that finished before `cutoff`.
///
/// Rows are numbered on arrival, so the walk ends when all rows arrived after `cutoff`. A row that arrived after `now` is
/// no evidence: the clock was wrong then, or is now.
pub(super) fn expire(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    now: WallMs,
    after: i64,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let window = journal::table.filter(journal::id.gt(after)).order(journal::id).limit(rows);
    let window: Vec<(i64, WallMs)> = window.select((journal::id, journal::requested_at)).load(conn)?;
    let Some((last, _)) = window.last().copied() else { return Ok(SweepProgress::default()) };
    if window.iter().all(|(_, requested_at)| (cutoff..=now).contains(requested_at)) {
        return Ok(SweepProgress::default());
    }
    let old =
        journal::table.filter(journal::id.gt(after).and(journal::id.le(last))).filter(journal::finished_at.lt(cutoff));
    Ok(SweepProgress { deleted: diesel::delete(old).execute(conn)?, next: Some(last) })
}
