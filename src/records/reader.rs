//! Reading the records: which rows are asked of the store, and how they become a page.

use super::{
    merge::{Sources, Summary, merge},
    record::Record,
    status::{Ages, Status, StatusCounts},
};
use crate::{
    bridge::{BridgeView, LoginState},
    clock::Clock,
    store::{
        Later, Store, StoreError,
        logins::{self, Others, StoredLogin},
    },
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Stored records of clients that are not connected, in one answer, unless it is asked for another number.
pub const LIMIT_DEFAULT: usize = 1_000;
/// Most of them.
pub const LIMIT_MAX: usize = 10_000;
/// Stored endpoints in one answer, of connected clients and of the others each: some megabytes.
const ENDPOINTS_MAX: usize = 20_000;

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of this platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Of this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of this host; this daemon knows its own alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// With this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only stored ones, told earlier than this one: the `next_before` of an earlier answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Stored ones of clients that are not connected, at most.
    pub limit: usize,
}

impl Filter {
    pub(super) fn wants(&self, platform: &str, account: Option<&str>) -> bool {
        self.wants_platform(platform) && self.account.as_deref().is_none_or(|wanted| account == Some(wanted))
    }

    pub(super) fn wants_platform(&self, platform: &str) -> bool {
        self.platform.as_deref().is_none_or(|wanted| wanted == platform)
    }

    pub(super) fn wants_client(&self, client_id: &str) -> bool {
        self.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
    }
}

/// Reads records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Store,
    later: Later,
    ages: Ages,
    host: Arc<str>,
    clock: Clock,
}

/// What was read: the records borrow from it.
#[derive(Debug)]
pub struct Page {
    filter: Filter,
    connected: Vec<StoredLogin>,
    others: Vec<StoredLogin>,
    /// Counts of all others that match, shown or not.
    counts: StatusCounts,
    error: Option<String>,
    next_before: Option<i64>,
    empty: bool,
}

impl Reader {
    /// A reader of this daemon's records. `host`: what its records are called by.
    pub fn new(store: Store, later: Later, settings: &LoginState, host: &str, clock: Clock) -> Self {
        Reader { store, later, ages: settings.into(), host: host.into(), clock }
    }

    /// Reads what the store knows beside what is connected. A store that cannot be read hides nothing that is live.
    pub async fn read(&self, bridge: &BridgeView, filter: Filter) -> Page {
        let empty = filter.host.as_deref().is_some_and(|host| host != &*self.host);
        let mut page = Page {
            filter,
            connected: Vec::new(),
            others: Vec::new(),
            counts: StatusCounts::default(),
            error: None,
            next_before: None,
            empty,
        };
        if empty {
            return page;
        }
        self.later.flush_for_reading().await;
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
        filter: &Filter,
    ) -> Result<(Vec<StoredLogin>, logins::Page, StatusCounts), StoreError> {
        let clients: Vec<_> = bridge.clients.iter().map(|client| client.client_id.shared()).collect();
        let wanted = logins::Filter {
            platform: filter.platform.clone(),
            account: filter.account.clone(),
            client_id: filter.client_id.clone(),
        };
        let lost_before = self.ages.lost_before(self.clock.now_ms());
        let (status, before) = (filter.status, filter.before);
        let room = logins::Room { logins: filter.limit, endpoints: ENDPOINTS_MAX };
        // A further page counts the connected ones and does not show them.
        let of_connected = if before.is_some() { 0 } else { ENDPOINTS_MAX };
        self.store
            .read(move |conn| {
                let connected = logins::of_clients(conn, &wanted, &clients, of_connected)?;
                let of_them = match status {
                    // Nobody who is gone is fresh.
                    Some(Status::Fresh) => return Ok((connected, logins::Page::default(), StatusCounts::default())),
                    Some(Status::Stale) => Some(logins::Status::Stale),
                    Some(Status::Lost) => Some(logins::Status::Lost),
                    None => None,
                };
                let apart = Others { filter: &wanted, but: &clients, lost_before };
                let others = logins::of_others(conn, &apart, of_them, before, room)?;
                let counted = logins::count_others(conn, &apart)?;
                let mut counts = StatusCounts::default();
                for (of, number) in [(Status::Stale, counted.stale), (Status::Lost, counted.lost)] {
                    if status.is_none_or(|status| status == of) {
                        counts.add(of, usize::try_from(number).unwrap_or_default());
                    }
                }
                Ok((connected, others, counts))
            })
            .await
    }

    /// The records of a page, sorted by platform, client and account, and the summary of all that match.
    pub fn records<'a>(&'a self, page: &'a Page, bridge: &'a BridgeView) -> (Vec<Record<'a>>, Summary) {
        if page.empty {
            return (Vec::new(), Summary::default());
        }
        let sources = Sources {
            bridge,
            connected: &page.connected,
            others: &page.others,
            host: &self.host,
            ages: self.ages,
            now: self.clock.now_ms(),
        };
        let (records, mut summary) = merge(sources, &page.filter, page.filter.before.is_some());
        summary.status_counts.add(Status::Stale, page.counts.stale);
        summary.status_counts.add(Status::Lost, page.counts.lost);
        summary.persisted_only_records += page.counts.total();
        summary.matched_records += page.counts.total();
        summary.persisted_error = page.error.clone();
        (records, summary)
    }
}

impl Page {
    /// The filters in force.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Where the next older stored records begin, when there are more.
    pub fn next_before(&self) -> Option<i64> {
        self.next_before
    }
}

#[cfg(test)]
mod tests;
