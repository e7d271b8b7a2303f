//! The journal of browser requests: one row a request, numbered by the daemon in order of arrival.
//!
//! A row is written whole each time, so the newest version of a row is the only one that counts.

use super::{StoreError, retention::SweepProgress, schema::browser_requests as journal};
use crate::clock::WallMs;
use diesel::{deserialize, prelude::*, sql_types, sqlite::Sqlite};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc};

mod write;

#[cfg(test)]
pub(crate) mod tests;

pub use write::write_all;

/// A browser request in the journal. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Serialize)]
pub struct RequestRow {
    /// The journal number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Id of the request, chosen by the caller or the daemon.
    #[diesel(deserialize_as = SharedText)]
    pub request_id: Arc<str>,
    /// Platform of the request.
    #[diesel(deserialize_as = SharedText)]
    pub platform: Arc<str>,
    /// Client that performs it, once known.
    #[diesel(deserialize_as = OptionalSharedText)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Arc<str>>,
    /// The upstream method, in upper case.
    pub method: Cow<'static, str>,
    /// The upstream path.
    pub path: String,
    /// `api_request` or `<platform>_prompt`.
    pub request_mode: Cow<'static, str>,
    /// `buffered` or `sse`.
    pub response_mode: Cow<'static, str>,
    /// `queued`, `admitted`, `dispatched`, `streaming` or `done`.
    pub phase: Cow<'static, str>,
    /// `success`, `failure` or `cancelled`, once it is done.
    pub outcome: Option<Cow<'static, str>>,
    /// Error code of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Cow<'static, str>>,
    /// The upstream status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// When the request arrived.
    pub requested_at: WallMs,
    /// Time of admission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted_at: Option<WallMs>,
    /// Time of the answer's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_at: Option<WallMs>,
    /// Time of the end; absent while the request runs, or if the daemon died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Milliseconds spent waiting for a slot.
    pub queue_delay_ms: i64,
    /// Milliseconds spent in back-off.
    pub backoff_delay_ms: i64,
    /// Milliseconds spent waiting for the platform's rate window.
    pub rate_limit_delay_ms: i64,
    /// Milliseconds of jitter.
    pub jitter_delay_ms: i64,
    /// Number of stream events.
    pub event_count: i64,
    /// Size of the answer, in bytes.
    pub bytes: i64,
}

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
    pub rows: Vec<RequestRow>,
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
    let rows: Vec<RequestRow> = listed(filter, Some(floor)).load(conn)?;
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
pub fn latest(conn: &mut SqliteConnection, request_id: &str) -> Result<Option<RequestRow>, StoreError> {
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

/// A shared text, as deserialized by diesel.
#[derive(Debug)]
pub struct SharedText(Arc<str>);

impl Queryable<sql_types::Text, Sqlite> for SharedText {
    type Row = String;

    fn build(text: String) -> deserialize::Result<Self> {
        Ok(SharedText(text.into()))
    }
}

impl From<SharedText> for Arc<str> {
    fn from(text: SharedText) -> Self {
        text.0
    }
}

/// An optional shared text, as deserialized by diesel.
#[derive(Debug)]
pub struct OptionalSharedText(Option<Arc<str>>);

impl Queryable<sql_types::Nullable<sql_types::Text>, Sqlite> for OptionalSharedText {
    type Row = Option<String>;

    fn build(text: Option<String>) -> deserialize::Result<Self> {
        Ok(OptionalSharedText(text.map(Arc::from)))
    }
}

impl From<OptionalSharedText> for Option<Arc<str>> {
    fn from(text: OptionalSharedText) -> Self {
        text.0
    }
}
