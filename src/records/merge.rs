//! Merges the reports of connected clients and stored rows into records and counts. Pure.

use super::{
    login_status::{LoginAgeLimits, LoginSighting},
    reader::RecordFilter,
    record::{LiveState, LoginRecord, PersistedState, RecordView},
};
use crate::{
    bridge::{BridgeView, ClientView, CredentialEntry, HookEntry},
    clock::WallMs,
    store::logins::StoredLogin,
};
use std::{borrow::Cow, collections::BTreeMap};

pub use crate::api::records::{RecordSummary, RuntimeCounts};

#[derive(Clone, Copy, Debug)]
pub(super) struct RecordSources<'a> {
    pub(super) bridge: &'a BridgeView,
    /// Stored rows of connected clients.
    pub(super) connected: &'a [StoredLogin],
    /// Stored rows of other clients to be shown.
    pub(super) others: &'a [StoredLogin],
    pub(super) host: &'a str,
    pub(super) ages: LoginAgeLimits,
    pub(super) now: WallMs,
}

#[derive(Default)]
struct RecordParts<'a> {
    client: Option<&'a ClientView>,
    credentials: Option<&'a CredentialEntry>,
    hooks: Option<&'a HookEntry>,
    row: Option<&'a StoredLogin>,
}

/// (platform, client, account), the sort order of records.
type RecordKey<'a> = (&'a str, &'a str, Option<&'a str>);

/// Returns the records to show, sorted, and the counts of live records and of connected clients. Other stored records
/// are counted by the caller. `page`: whether this is a further page, which shows other clients only.
pub(super) fn merge<'a>(
    sources: RecordSources<'a>,
    filter: &RecordFilter,
    page: bool,
) -> (Vec<LoginRecord<'a>>, RecordSummary) {
    let mut parts: BTreeMap<RecordKey<'a>, RecordParts<'a>> = BTreeMap::new();
    let mut summary = RecordSummary::default();
    for client in &sources.bridge.clients {
        if filter.matches_client(client.client_id.as_str()) {
            collect(client, filter, &mut parts);
            count_tabs(client, filter, &mut summary.runtime_counts);
        }
    }
    let connected = sources.bridge.clients.iter().map(|client| (client.client_id.as_str(), client));
    let connected: foldhash::HashMap<_, _> = connected.collect();
    for row in sources.connected {
        let part = parts.entry(key(row)).or_default();
        part.row = Some(row);
        part.client = connected.get(row.client_id.as_str()).copied();
    }
    let mut records = Vec::with_capacity(parts.len() + sources.others.len());
    for (key, part) in parts {
        let record = sources.record(key, &part);
        if filter.status.is_some_and(|wanted| wanted != record.status) {
            continue;
        }
        summary.status_counts.add(record.status, 1);
        match record.live {
            Some(_) => summary.active_records += 1,
            None => summary.persisted_only_records += 1,
        }
        if !page {
            records.push(record);
        }
    }
    summary.matched_records = summary.status_counts.total();
    let others = sources
        .others
        .iter()
        .map(|row| sources.record(key(row), &RecordParts { row: Some(row), ..RecordParts::default() }));
    // A record may have become lost since the store was read.
    records.extend(others.filter(|record| filter.status.is_none_or(|wanted| wanted == record.status)));
    records.sort_by(|a, b| (&a.platform, &a.client_id, &a.account).cmp(&(&b.platform, &b.client_id, &b.account)));
    (records, summary)
}

fn key(row: &StoredLogin) -> RecordKey<'_> {
    (&row.platform, &row.client_id, row.account.as_deref())
}

fn collect<'a>(client: &'a ClientView, filter: &RecordFilter, parts: &mut BTreeMap<RecordKey<'a>, RecordParts<'a>>) {
    let mut part = |platform: &'a str, account: Option<&'a str>, add: &dyn Fn(&mut RecordParts<'a>)| {
        if filter.matches(platform, account) {
            let part = parts.entry((platform, client.client_id.as_str(), account)).or_default();
            part.client = Some(client);
            add(part);
        }
    };
    for entry in &client.session.credentials {
        part(&entry.platform, entry.account.as_deref(), &|part| part.credentials = Some(entry));
    }
    for entry in &client.session.request_hooks {
        part(&entry.platform, entry.account.as_deref(), &|part| part.hooks = Some(entry));
    }
}

fn count_tabs(client: &ClientView, filter: &RecordFilter, counts: &mut RuntimeCounts) {
    for tab in client.session.shell_runtime.iter().filter(|tab| filter.matches_platform(&tab.platform)) {
        counts.actual += usize::from(tab.actual.exists);
        counts.desired += usize::from(tab.desired.exists);
        counts.drift += usize::from(!tab.drift.aligned);
    }
}

impl<'a> RecordSources<'a> {
    fn record(&self, (platform, client_id, account): RecordKey<'a>, part: &RecordParts<'a>) -> LoginRecord<'a> {
        let is_live = part.credentials.is_some() || part.hooks.is_some();
        let sighting = LoginSighting {
            connected: part.client.is_some(),
            last_seen_at: part.credentials.map(|c| c.last_seen_at).or_else(|| part.row?.last_seen_at),
            reported: part.credentials.map(|c| c.freshness).or_else(|| part.row?.freshness),
        };
        LoginRecord {
            platform: platform.into(),
            client_id: client_id.into(),
            account: account.map(Cow::Borrowed),
            host: self.host.into(),
            status: self.ages.status(sighting, self.now),
            view: match (is_live, part.row) {
                (true, Some(_)) => RecordView::ActiveAndPersisted,
                (true, None) => RecordView::ActiveOnly,
                (false, _) => RecordView::PersistedOnly,
            },
            is_active_client: self.bridge.active_client_id.as_ref().is_some_and(|id| id.as_str() == client_id),
            live: part.client.filter(|_| is_live).map(|client| LiveState {
                connection_id: Cow::Borrowed(&client.connection_id),
                credentials: part.credentials.map(Cow::Borrowed),
                request_hooks: part.hooks.map(Cow::Borrowed),
                shell_runtime: client
                    .session
                    .shell_runtime
                    .iter()
                    .find(|tab| tab.platform == platform)
                    .map(Cow::Borrowed),
            }),
            persisted: part.row.map(PersistedState::from),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
