//! The journal of browser requests: those under way from memory, finished ones from the store, written behind.

use super::{life::Phase, request::ResponseMode};
use crate::{
    clock::WallMs,
    policy::Admission,
    store::{
        self, Later, Store, StoreError,
        requests::{self, RequestRow},
    },
};
use serde::Serialize;
use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

/// Most bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 1 << 10;

/// One request, as the journal shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its place in the order of arrival.
    #[serde(skip)]
    pub number: i64,
    /// Its id.
    pub request_id: Arc<str>,
    /// Its platform.
    pub platform: Arc<str>,
    /// Who performed it, once that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Arc<str>>,
    /// Its method.
    pub method: Cow<'static, str>,
    /// Its path, cut when it is very long.
    pub path: String,
    /// Whether it had a path of its own or a prompt.
    pub request_mode: Cow<'static, str>,
    /// How the answer was wanted.
    pub response_mode: Cow<'static, str>,
    /// How far it got.
    pub phase: Cow<'static, str>,
    /// `success`, `failure` or `cancelled`; `null` while it runs.
    pub outcome: Option<Cow<'static, str>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Cow<'static, str>>,
    /// The app's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// When it came, in Unix milliseconds.
    pub requested_at: WallMs,
    /// When the policy let it go, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted_at: Option<WallMs>,
    /// When the app began to answer, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_at: Option<WallMs>,
    /// When it ended, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Waited for a slot.
    pub queue_delay_ms: i64,
    /// Waited for the back-off to end.
    pub backoff_delay_ms: i64,
    /// Waited for room in the platform's window.
    pub rate_limit_delay_ms: i64,
    /// Waited at random.
    pub jitter_delay_ms: i64,
    /// Events passed on.
    pub event_count: i64,
    /// Bytes of the answer, or of its events.
    pub bytes: i64,
}

/// What an exchange knows about itself.
pub(super) struct Facts<'a> {
    pub(super) number: i64,
    pub(super) request: &'a super::Request,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) phase: Phase,
    pub(super) outcome: Option<&'static str>,
    pub(super) error_code: Option<Cow<'static, str>>,
    pub(super) status: Option<u16>,
    pub(super) requested_at: WallMs,
    pub(super) admission: Option<&'a Admission>,
    pub(super) first_byte_at: Option<WallMs>,
    pub(super) finished_at: Option<WallMs>,
    pub(super) event_count: u64,
    pub(super) bytes: u64,
}

impl Facts<'_> {
    pub(super) fn entry(self) -> Entry {
        let call = &self.request.call;
        let delay = |of: fn(&Admission) -> i64| self.admission.map_or(0, of);
        let response_mode = match self.request.mode {
            ResponseMode::Buffered => "buffered",
            ResponseMode::Sse => "sse",
        };
        Entry {
            number: self.number,
            request_id: self.request.id.shared(),
            platform: self.request.platform.shared(),
            client_id: self.client_id,
            method: call.method.clone(),
            path: call.path[..call.path.floor_char_boundary(PATH_BYTES_MAX)].to_owned(),
            request_mode: Cow::Borrowed(super::API_REQUEST),
            response_mode: Cow::Borrowed(response_mode),
            phase: Cow::Borrowed(self.phase.name()),
            outcome: self.outcome.map(Cow::Borrowed),
            error_code: self.error_code,
            status: self.status.map(i32::from),
            requested_at: self.requested_at,
            admitted_at: self.admission.map(|a| a.admitted_at),
            first_byte_at: self.first_byte_at,
            finished_at: self.finished_at,
            queue_delay_ms: delay(|a| a.queue_delay_ms),
            backoff_delay_ms: delay(|a| a.backoff_delay_ms),
            rate_limit_delay_ms: delay(|a| a.rate_limit_delay_ms),
            jitter_delay_ms: delay(|a| a.jitter_delay_ms),
            event_count: i64::try_from(self.event_count).unwrap_or(i64::MAX),
            bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
        }
    }
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this platform.
    pub platform: Option<String>,
    /// Performed by this client.
    pub client_id: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// Older than this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        is(&self.platform, Some(&*entry.platform))
            && is(&self.client_id, entry.client_id.as_deref())
            && is(&self.outcome, entry.outcome.as_deref())
            && self.before.is_none_or(|before| entry.number < before)
    }
}

/// A part of the journal, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next older part begins, when there is one.
    pub next_before: Option<i64>,
}

/// Where entries go and come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Option<(Store, Later)>,
    numbers: Arc<AtomicI64>,
}

impl Journal {
    /// A journal in the store; what a crash left unfinished there becomes `interrupted`.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    pub async fn open(store: Store, later: Later, now: WallMs) -> Result<Self, StoreError> {
        let last = store
            .transact(move |conn| {
                requests::interrupt_unfinished(conn, now)?;
                requests::last_id(conn)
            })
            .await?;
        Ok(Journal { kept: Some((store, later)), numbers: Arc::new(AtomicI64::new(last + 1)) })
    }

    /// A journal that keeps nothing.
    pub fn off() -> Self {
        Journal { kept: None, numbers: Arc::new(AtomicI64::new(1)) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.kept.is_some()
    }

    pub(super) fn next_number(&self) -> i64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Writes an entry behind; a later one of the same number takes its place.
    pub(super) fn record(&self, entry: Entry) {
        if let Some((_, later)) = &self.kept {
            later.request(row(entry));
        }
    }

    /// A part of the journal; `live`: those under way.
    pub(super) async fn page(&self, live: Vec<Entry>, filter: Filter) -> Result<Page, StoreError> {
        let numbers: std::collections::HashSet<_> = live.iter().map(|entry| entry.number).collect();
        let mut entries: Vec<_> = live.into_iter().filter(|entry| filter.takes(entry)).collect();
        if let Some((store, later)) = &self.kept {
            later.flush().await?;
            // Rows of those under way are older than what memory knows; more are read to make up for them.
            let limit = i64::try_from(filter.limit + numbers.len() + 1).unwrap_or(i64::MAX);
            let wanted = store::requests::Filter {
                platform: filter.platform.clone(),
                client_id: filter.client_id.clone(),
                outcome: filter.outcome.clone(),
                before: filter.before,
                limit,
            };
            let rows = store.run(move |conn| requests::list(conn, &wanted)).await?;
            entries.extend(rows.into_iter().filter(|row| !numbers.contains(&row.id)).map(from_row));
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        let more = entries.len() > filter.limit;
        entries.truncate(filter.limit);
        let next_before = entries.last().filter(|_| more).map(|last| last.number);
        Ok(Page { entries, next_before })
    }

    /// The newest finished entry of that id.
    pub(super) async fn latest(&self, request_id: &str) -> Result<Option<Entry>, StoreError> {
        let Some((store, later)) = &self.kept else { return Ok(None) };
        later.flush().await?;
        let request_id = request_id.to_owned();
        let row = store.run(move |conn| requests::latest(conn, &request_id)).await?;
        Ok(row.map(from_row))
    }
}

fn row(entry: Entry) -> RequestRow {
    RequestRow {
        id: entry.number,
        request_id: entry.request_id,
        platform: entry.platform,
        client_id: entry.client_id,
        method: entry.method,
        path: entry.path,
        request_mode: entry.request_mode,
        response_mode: entry.response_mode,
        phase: entry.phase,
        outcome: entry.outcome,
        error_code: entry.error_code,
        status: entry.status,
        requested_at: entry.requested_at,
        admitted_at: entry.admitted_at,
        first_byte_at: entry.first_byte_at,
        finished_at: entry.finished_at,
        queue_delay_ms: entry.queue_delay_ms,
        backoff_delay_ms: entry.backoff_delay_ms,
        rate_limit_delay_ms: entry.rate_limit_delay_ms,
        jitter_delay_ms: entry.jitter_delay_ms,
        event_count: entry.event_count,
        bytes: entry.bytes,
    }
}

fn from_row(row: RequestRow) -> Entry {
    Entry {
        number: row.id,
        request_id: row.request_id,
        platform: row.platform,
        client_id: row.client_id,
        method: row.method,
        path: row.path,
        request_mode: row.request_mode,
        response_mode: row.response_mode,
        phase: row.phase,
        outcome: row.outcome,
        error_code: row.error_code,
        status: row.status,
        requested_at: row.requested_at,
        admitted_at: row.admitted_at,
        first_byte_at: row.first_byte_at,
        finished_at: row.finished_at,
        queue_delay_ms: row.queue_delay_ms,
        backoff_delay_ms: row.backoff_delay_ms,
        rate_limit_delay_ms: row.rate_limit_delay_ms,
        jitter_delay_ms: row.jitter_delay_ms,
        event_count: row.event_count,
        bytes: row.bytes,
    }
}
