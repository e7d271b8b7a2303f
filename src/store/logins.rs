//! Login state as reported by clients: logins and the endpoints used by their pages, one row per login.
//!
//! Credentials and endpoints are reported separately, so a row is written part by part; a missing part stays unchanged.
//! Endpoints accumulate over time. Both tables are limited per client when they are written.

mod read;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use crate::{clock::WallMs, store::settings::LoginStateSettings, wire::Freshness};

pub use crate::api::records::StoredEndpoint;
use std::{collections::HashMap, sync::Arc};

pub use read::{
    LoginFilter, LoginPage, LoginPageLimits, OfflineLoginCounts, OfflineLoginStatus, OtherLogins, StoredLogin,
    count_others, of_clients, of_others,
};
pub use write::write_all;
pub(super) use write::{expire, expire_endpoints};

/// Key of a login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginKey {
    /// Client.
    pub client_id: Arc<str>,
    /// Platform.
    pub platform: Arc<str>,
    /// Account, if the page shows it.
    pub account: Option<Arc<str>>,
}

/// Report about a login; a missing part stays unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// The login.
    pub key: LoginKey,
    /// Time of the report, in Unix milliseconds.
    pub told_at: WallMs,
    /// Credentials.
    pub credentials: Option<CredentialPart>,
    /// Endpoints.
    pub endpoints: Option<EndpointPart>,
}

/// Credentials of a login: names and counts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPart {
    /// Salted digest, computed by the extension.
    pub credential_fingerprint: Option<String>,
    /// Judgement of the extension.
    pub freshness: Freshness,
    /// Number of headers.
    pub header_count: i64,
    /// Time of capture, in Unix milliseconds.
    pub captured_at: WallMs,
    /// Time of last use, in Unix milliseconds.
    pub last_seen_at: WallMs,
}

/// Endpoints of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPart {
    /// Salted digest of the credential in use.
    pub credential_fingerprint: Option<String>,
    /// Currently known endpoints; earlier ones are kept.
    pub endpoints: Vec<StoredEndpoint>,
    /// Time of the last change, in Unix milliseconds.
    pub updated_at: WallMs,
    /// Whether a prompt template was learned.
    pub prompt_template: bool,
}

/// Limits of stored logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Most logins of a client.
    pub max_accounts: usize,
    /// Most endpoints of a login.
    pub max_endpoints: usize,
}

impl From<&LoginStateSettings> for LoginLimits {
    fn from(settings: &LoginStateSettings) -> Self {
        LoginLimits { max_accounts: settings.max_accounts, max_endpoints: settings.max_endpoints }
    }
}

impl LoginRow {
    /// Merges the parts that only an older row of the same login has.
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

    /// Drops the endpoints beyond the limit, those unseen for the longest time first.
    pub(super) fn bound(&mut self, limits: &LoginLimits) {
        let Some(EndpointPart { endpoints, .. }) = &mut self.endpoints else { return };
        if endpoints.len() > limits.max_endpoints {
            let mut seen: Vec<_> = endpoints.iter().map(|endpoint| endpoint.last_seen_at).enumerate().collect();
            // Of endpoints seen at the same time, the last reported are kept, as in the table.
            seen.sort_by_key(|(at, seen)| std::cmp::Reverse((*seen, *at)));
            seen.truncate(limits.max_endpoints);
            let stay: std::collections::HashSet<_> = seen.into_iter().map(|(at, _)| at).collect();
            let mut at = 0..;
            endpoints.retain(|_| at.next().is_some_and(|at| stay.contains(&at)));
        }
    }
}

impl StoredEndpoint {
    fn same(&self, other: &StoredEndpoint) -> bool {
        self.path == other.path && self.method == other.method
    }

    fn join(&mut self, other: &StoredEndpoint) {
        self.first_seen_at = self.first_seen_at.min(other.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }
}

/// Merges two lists in the order of first arrival.
fn union(mut older: Vec<StoredEndpoint>, newer: Vec<StoredEndpoint>) -> Vec<StoredEndpoint> {
    // Fast path: a client usually repeats the same list.
    if older.len() == newer.len() && older.iter().zip(&newer).all(|(older, newer)| older.same(newer)) {
        older.iter_mut().zip(&newer).for_each(|(older, newer)| older.join(newer));
        return older;
    }
    let known: HashMap<_, _> =
        older.iter().enumerate().map(|(at, row)| ((row.method.clone(), row.path.clone()), at)).collect();
    for endpoint in newer {
        let name = (endpoint.method, endpoint.path);
        match known.get(&name) {
            Some(&at) => older[at].join(&StoredEndpoint { method: String::new(), path: String::new(), ..endpoint }),
            None => older.push(StoredEndpoint { method: name.0, path: name.1, ..endpoint }),
        }
    }
    older
}
