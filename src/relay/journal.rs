//! Journal of browser requests: running ones from memory, finished ones from the store.

pub use crate::api::journal::{JournalEntry, JournalPage};
use crate::{
    api::paging::PageInfo,
    clock::WallMs,
    store::{self, Store, StoreError, WriteBehind, requests},
    wire::without_values,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

/// Most bytes of a path that are stored.
const PATH_BYTES_MAX: usize = 1 << 10;

/// Returns the stored part of a path: its beginning, without the values of its query.
pub(super) fn kept_path(path: &str) -> String {
    let path = without_values(path);
    path[..path.floor_char_boundary(PATH_BYTES_MAX)].to_owned()
}

/// Filter for journal entries.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    /// Only this platform.
    pub platform: Option<String>,
    /// Only this client.
    pub client_id: Option<String>,
    /// Only this outcome.
    pub outcome: Option<String>,
    /// Only entries with a smaller number.
    pub before: Option<i64>,
    /// Most entries to return.
    pub limit: usize,
}

impl JournalFilter {
    fn matches(&self, entry: &JournalEntry) -> bool {
        let is = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        is(&self.platform, Some(&*entry.platform))
            && is(&self.client_id, entry.client_id.as_deref())
            && is(&self.outcome, entry.outcome.as_deref())
            && self.before.is_none_or(|before| entry.id < before)
    }
}

/// Handle to the journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestJournal {
    storage: Option<(Store, WriteBehind)>,
    numbers: Arc<AtomicI64>,
}

impl RequestJournal {
    /// Opens the stored journal. Entries that a crash left unfinished become `interrupted`.
    pub async fn open(store: Store, write_behind: WriteBehind, now: WallMs) -> Result<Self, StoreError> {
        let last = store
            .transact(move |conn| {
                requests::interrupt_unfinished(conn, now)?;
                requests::last_id(conn)
            })
            .await?;
        Ok(RequestJournal { storage: Some((store, write_behind)), numbers: Arc::new(AtomicI64::new(last + 1)) })
    }

    /// Creates a journal that stores nothing.
    pub fn off() -> Self {
        RequestJournal { storage: None, numbers: Arc::new(AtomicI64::new(1)) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.storage.is_some()
    }

    pub(super) fn next_number(&self) -> i64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Writes an entry behind; it replaces an earlier one with the same number.
    pub(super) fn record(&self, entry: JournalEntry) {
        if let Some((_, write_behind)) = &self.storage {
            write_behind.request(entry);
        }
    }

    /// Returns a page that includes the given live entries. Entries that cannot be written at the moment are missing.
    pub(super) async fn page(&self, live: Vec<JournalEntry>, filter: JournalFilter) -> Result<JournalPage, StoreError> {
        let Some((store, write_behind)) = &self.storage else {
            return Ok(merge_page(live, requests::RequestList::default(), &filter));
        };
        write_behind.flush_for_reading().await;
        // The stored rows of live requests are outdated and replaced, so more rows are read to make up for them.
        let limit = i64::try_from(filter.limit + live.len() + 1).unwrap_or(i64::MAX);
        let wanted = store::requests::RequestFilter {
            platform: filter.platform.clone(),
            client_id: filter.client_id.clone(),
            outcome: filter.outcome.clone(),
            before: filter.before,
            limit,
        };
        let stored = store.read(move |conn| requests::list(conn, &wanted, requests::WALK_MAX)).await?;
        Ok(merge_page(live, stored, &filter))
    }

    /// Returns the newest finished entry of a request id.
    pub(super) async fn latest(&self, request_id: &str) -> Result<Option<JournalEntry>, StoreError> {
        let Some((store, write_behind)) = &self.storage else { return Ok(None) };
        write_behind.flush_for_reading().await;
        let request_id = request_id.to_owned();
        store.read_now(move |conn| requests::latest(conn, &request_id)).await
    }
}

/// Merges live and stored entries into one page.
fn merge_page(live: Vec<JournalEntry>, stored: requests::RequestList, filter: &JournalFilter) -> JournalPage {
    let numbers: std::collections::HashSet<_> = live.iter().map(|entry| entry.id).collect();
    let mut requests: Vec<_> = live.into_iter().filter(|entry| filter.matches(entry)).collect();
    requests.extend(stored.rows.into_iter().filter(|row| !numbers.contains(&row.id)));
    // Live entries below the end of the walk belong to the following pages.
    requests.retain(|entry| stored.walked_to.is_none_or(|floor| entry.id >= floor));
    requests.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    let more = requests.len() > filter.limit;
    requests.truncate(filter.limit);
    let next_before = if more { requests.last().map(|last| last.id) } else { stored.walked_to };
    JournalPage { page_info: PageInfo { count: requests.len(), next_before }, requests }
}

#[cfg(test)]
mod tests;
