//! Login state: what each client told of its logins and of the endpoints their pages use, one row a login.
//!
//! Credentials and endpoints are told apart from each other, so a row is written part by part: one that is not told
//! stays as it was. Endpoints add up over time. Both tables are bounded for each client where they are written.

mod read;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use crate::{bridge::settings::LoginState, clock::WallMs, wire::Freshness};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};

pub use read::{
    LoginFilter, LoginPage, LoginPageLimits, OfflineLoginCounts, OfflineLoginStatus, OtherLogins, StoredLogin,
    count_others, of_clients, of_others,
};
pub use write::write_all;
pub(super) use write::{expire, expire_endpoints};

/// Which login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginKey {
    /// Of which client.
    pub client_id: Arc<str>,
    /// On which platform.
    pub platform: Arc<str>,
    /// Of which account, where the page shows it.
    pub account: Option<Arc<str>>,
}

/// What was told of a login; an absent part stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// Which login.
    pub key: LoginKey,
    /// When the daemon was told, in Unix milliseconds.
    pub told_at: WallMs,
    /// Its credentials.
    pub credentials: Option<CredentialPart>,
    /// Its endpoints.
    pub endpoints: Option<EndpointPart>,
}

/// The credentials of a login: names and counts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPart {
    /// Salted digest, made by the extension.
    pub credential_fingerprint: Option<String>,
    /// The extension's own judgement.
    pub freshness: Freshness,
    /// How many headers they consist of.
    pub header_count: i64,
    /// In Unix milliseconds.
    pub captured_at: WallMs,
    /// In Unix milliseconds.
    pub last_seen_at: WallMs,
}

/// The endpoints of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPart {
    /// Salted digest of the credential in use.
    pub credential_fingerprint: Option<String>,
    /// Those that are known now; earlier ones stay.
    pub endpoints: Vec<EndpointRow>,
    /// When the list changed, in Unix milliseconds.
    pub updated_at: WallMs,
    /// Whether a prompt template was learned.
    pub prompt_template: bool,
}

/// One endpoint. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointRow {
    /// Its method.
    pub method: String,
    /// Its path, ids replaced by `{id}`.
    pub path: String,
    /// When it was first seen; of several times the smallest counts.
    pub first_seen_at: WallMs,
    /// When it was last seen; of several times the largest counts.
    pub last_seen_at: WallMs,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Logins of a client.
    pub max_accounts: usize,
    /// Endpoints of a login.
    pub max_endpoints: usize,
}

impl From<&LoginState> for LoginLimits {
    fn from(settings: &LoginState) -> Self {
        LoginLimits { max_accounts: settings.max_accounts, max_endpoints: settings.max_endpoints }
    }
}

impl LoginRow {
    /// Takes over what an older row of the same login told and this one does not.
    pub(super) fn absorb(&mut self, older: LoginRow, limits: &LoginLimits) {
        self.credentials = self.credentials.take().or(older.credentials);
        self.endpoints = match (self.endpoints.take(), older.endpoints) {
            (Some(newer), Some(older)) => {
                let endpoints = union(older.endpoints, newer.endpoints);
                Some(EndpointPart { endpoints, ..newer })
            }
            (newer, older) => newer.or(older),
        };
        self.bound(limits);
    }

    /// Lets go of the endpoints beyond the limit, those longest unseen.
    pub(super) fn bound(&mut self, limits: &LoginLimits) {
        let Some(EndpointPart { endpoints, .. }) = &mut self.endpoints else { return };
        if endpoints.len() > limits.max_endpoints {
            let mut seen: Vec<_> = endpoints.iter().map(|endpoint| endpoint.last_seen_at).enumerate().collect();
            // Of those seen at the same time the last told stay, as in the table.
            seen.sort_by_key(|(at, seen)| std::cmp::Reverse((*seen, *at)));
            seen.truncate(limits.max_endpoints);
            let stay: std::collections::HashSet<_> = seen.into_iter().map(|(at, _)| at).collect();
            let mut at = 0..;
            endpoints.retain(|_| at.next().is_some_and(|at| stay.contains(&at)));
        }
    }
}

impl EndpointRow {
    fn same(&self, other: &EndpointRow) -> bool {
        self.path == other.path && self.method == other.method
    }

    fn join(&mut self, other: &EndpointRow) {
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }
}

/// Both lists in the order of first arrival, each endpoint once.
fn union(mut older: Vec<EndpointRow>, newer: Vec<EndpointRow>) -> Vec<EndpointRow> {
    // A client that repeats itself tells the same list.
    if older.len() == newer.len() && older.iter().zip(&newer).all(|(older, newer)| older.same(newer)) {
        older.iter_mut().zip(&newer).for_each(|(older, newer)| older.join(newer));
        return older;
    }
    let known: HashMap<_, _> =
        older.iter().enumerate().map(|(at, row)| ((row.method.clone(), row.path.clone()), at)).collect();
    for endpoint in newer {
        let name = (endpoint.method, endpoint.path);
        match known.get(&name) {
            Some(&at) => older[at].join(&EndpointRow { method: String::new(), path: String::new(), ..endpoint }),
            None => older.push(EndpointRow { method: name.0, path: name.1, ..endpoint }),
        }
    }
    older
}

fn freshness_name(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Fresh => "fresh",
        Freshness::Stale => "stale",
        Freshness::Lost => "lost",
    }
}

fn freshness_named(name: &str) -> Option<Freshness> {
    [Freshness::Fresh, Freshness::Stale, Freshness::Lost].into_iter().find(|known| freshness_name(*known) == name)
}
