//! Reads login records: selects the stored rows and merges them into a page.

use super::{
    login_status::{LoginAgeLimits, LoginStatus, LoginStatusCounts},
    merge::{RecordSources, RecordSummary, merge},
    record::LoginRecord,
};
use crate::{
    bridge::BridgeView,
    clock::Clock,
    store::{
        LoginStateSettings, Store, StoreError, WriteBehind,
        logins::{self, OtherLogins, StoredLogin},
    },
};
use std::sync::Arc;

pub use crate::api::records::RecordFilter;

/// Default number of stored records per page, of clients that are not connected.
pub const LIMIT_DEFAULT: usize = 1_000;
/// Largest page size.
pub const LIMIT_MAX: usize = 10_000;
/// Most stored endpoints in one answer, for connected and for other clients each; some megabytes.
const ENDPOINTS_MAX: usize = 20_000;

impl RecordFilter {
    pub(super) fn matches(&self, platform: &str, account: Option<&str>) -> bool {
        self.matches_platform(platform) && self.account.as_deref().is_none_or(|wanted| account == Some(wanted))
    }

    pub(super) fn matches_platform(&self, platform: &str) -> bool {
        self.platform.as_deref().is_none_or(|wanted| wanted == platform)
    }

    pub(super) fn matches_client(&self, client_id: &str) -> bool {
        self.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
    }
}

/// Reads records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecordReader {
    store: Store,
    write_behind: WriteBehind,
    ages: LoginAgeLimits,
    host: Arc<str>,
    clock: Clock,
}

/// The data of a page, which the records borrow from.
#[derive(Debug, Default)]
pub struct RecordPage {
    filter: RecordFilter,
    connected: Vec<StoredLogin>,
    others: Vec<StoredLogin>,
    /// Counts of all matching records of other clients.
    counts: LoginStatusCounts,
    error: Option<String>,
    next_before: Option<i64>,
    empty: bool,
}

impl RecordReader {
    /// Creates a reader. `host`: host name shown in the records.
    pub fn new(
        store: Store,
        write_behind: WriteBehind,
        settings: &LoginStateSettings,
        host: &str,
        clock: Clock,
    ) -> Self {
        RecordReader { store, write_behind, ages: settings.into(), host: host.into(), clock }
    }

    /// Reads the stored part of a page. If the store cannot be read, live records are still shown.
    pub async fn read(&self, bridge: &BridgeView, filter: RecordFilter) -> RecordPage {
        let empty = filter.host.as_deref().is_some_and(|host| host != &*self.host);
        let mut page = RecordPage { filter, empty, ..RecordPage::default() };
        if empty {
            return page;
        }
        self.write_behind.flush_for_reading().await;
        match self.rows(bridge, &page.filter).await {
            Ok((connected, others, counts)) => {
                page.others = others.logins;
                page.next_before = others.next_before;
                page.connected = connected;
                page.counts = counts;
            }
            Err(error) => page.error = Some(error.to_string()),
        }
        page
    }

    async fn rows(
        &self,
        bridge: &BridgeView,
        filter: &RecordFilter,
    ) -> Result<(Vec<StoredLogin>, logins::LoginPage, LoginStatusCounts), StoreError> {
        let clients: Vec<_> = bridge.clients.iter().map(|client| client.client_id.shared()).collect();
        let wanted = logins::LoginFilter {
            platform: filter.platform.clone(),
            account: filter.account.clone(),
            client_id: filter.client_id.clone(),
        };
        let lost_before = self.ages.lost_before(self.clock.now_ms());
        let (status, before) = (filter.status, filter.before);
        let room = logins::LoginPageLimits { logins: filter.limit, endpoints: ENDPOINTS_MAX };
        // A further page counts connected clients without showing them.
        let of_connected = if before.is_some() { 0 } else { ENDPOINTS_MAX };
        self.store
            .read(move |conn| {
                let connected = logins::of_clients(conn, &wanted, &clients, of_connected)?;
                let of_them = match status {
                    // Clients that are not connected have no fresh logins.
                    Some(LoginStatus::Fresh) => {
                        return Ok((connected, logins::LoginPage::default(), LoginStatusCounts::default()));
                    }
                    Some(LoginStatus::Stale) => Some(logins::OfflineLoginStatus::Stale),
                    Some(LoginStatus::Lost) => Some(logins::OfflineLoginStatus::Lost),
                    None => None,
                };
                let apart = OtherLogins { filter: &wanted, but: &clients, lost_before };
                let others = logins::of_others(conn, &apart, of_them, before, room)?;
                let counted = logins::count_others(conn, &apart)?;
                let mut counts = LoginStatusCounts::default();
                for (of, number) in [(LoginStatus::Stale, counted.stale), (LoginStatus::Lost, counted.lost)] {
                    if status.is_none_or(|status| status == of) {
                        counts.add(of, usize::try_from(number).unwrap_or_default());
                    }
                }
                Ok((connected, others, counts))
            })
            .await
    }

    /// Returns the records of a page, sorted by platform, client and account, and the summary of all matching records.
    pub fn records<'a>(
        &'a self,
        page: &'a RecordPage,
        bridge: &'a BridgeView,
    ) -> (Vec<LoginRecord<'a>>, RecordSummary) {
        if page.empty {
            return (Vec::new(), RecordSummary::default());
        }
        let sources = RecordSources {
            bridge,
            connected: &page.connected,
            others: &page.others,
            host: &self.host,
            ages: self.ages,
            now: self.clock.now_ms(),
        };
        let (records, mut summary) = merge(sources, &page.filter, page.filter.before.is_some());
        summary.status_counts.add(LoginStatus::Stale, page.counts.stale);
        summary.status_counts.add(LoginStatus::Lost, page.counts.lost);
        summary.persisted_only_records += page.counts.total();
        summary.matched_records += page.counts.total();
        summary.persisted_error = page.error.clone();
        (records, summary)
    }
}

impl RecordPage {
    /// Returns the filter.
    pub fn filter(&self) -> &RecordFilter {
        &self.filter
    }

    /// Returns the position of the next page, if there is one.
    pub fn next_before(&self) -> Option<i64> {
        self.next_before
    }
}

#[cfg(test)]
mod tests;
