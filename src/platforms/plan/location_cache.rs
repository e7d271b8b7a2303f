//! Cache of the locations that prompts went to recently, so that the next prompt need not look them up. A value; time
//! is a parameter.
//!
//! An entry belongs to one client, its login and the location that the caller named. Using an entry does not prolong
//! it: after [`CACHE_TTL`] the app is asked again.

use super::{AppId, Conversation, Organization, RequestedLocation, ResolvedLocation};
use crate::ids::ClientId;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// Lifetime of an entry.
pub const CACHE_TTL: Duration = Duration::from_secs(60);

/// Most entries of one client: one per organization that callers name, and one for none.
const PER_CLIENT_MAX: usize = 16;

/// A cached location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLocation {
    /// Organization of the prompt.
    pub organization: Organization,
    /// Conversation, unless the caller names another; absent if none was chosen yet.
    pub conversation: Option<Conversation>,
}

/// Cached locations of all clients.
#[derive(Debug)]
pub struct LocationCache {
    clients_max: usize,
    clients: HashMap<ClientId, ClientCache>,
}

#[derive(Debug)]
struct ClientCache {
    fingerprint: Option<String>,
    entries: Vec<CacheEntry>,
}

#[derive(Debug)]
struct CacheEntry {
    asked: Option<AppId>,
    known: CachedLocation,
    until: Instant,
}

impl LocationCache {
    /// Creates an empty cache for at most `clients_max` clients.
    pub fn new(clients_max: usize) -> Self {
        assert!(clients_max > 0, "a cache that may hold nothing is none");
        LocationCache { clients_max, clients: HashMap::new() }
    }

    /// Returns the cached location for what the caller named, if the client still has the same login.
    pub fn known(
        &self,
        client: &ClientId,
        fingerprint: Option<&str>,
        asked: &RequestedLocation,
        now: Instant,
    ) -> Option<CachedLocation> {
        let client = self.clients.get(client).filter(|client| client.fingerprint.as_deref() == fingerprint)?;
        let entries =
            client.entries.iter().find(|entries| entries.asked == asked.organization_id && now < entries.until)?;
        Some(entries.known.clone())
    }

    /// Stores a location. An existing entry keeps its values until it expires.
    pub fn keep(
        &mut self,
        client_id: &ClientId,
        fingerprint: Option<&str>,
        asked: &RequestedLocation,
        chosen: &ResolvedLocation,
        now: Instant,
    ) {
        self.set_fingerprint(client_id, fingerprint);
        if !self.clients.contains_key(client_id) {
            self.make_room(now);
        }
        let client = self.clients.entry(client_id.clone());
        let client =
            client.or_insert_with(|| ClientCache { fingerprint: fingerprint.map(str::to_owned), entries: Vec::new() });
        client.entries.retain(|entries| now < entries.until);
        // A conversation that the caller named was not chosen and is not cached.
        let conversation = asked.conversation_id.is_none().then(|| chosen.conversation.clone());
        match client.entries.iter_mut().find(|entries| entries.asked == asked.organization_id) {
            Some(entries) if entries.known.organization.organization_id == chosen.organization.organization_id => {
                entries.known.conversation = entries.known.conversation.take().or(conversation);
            }
            Some(_) => {}
            None => {
                if client.entries.len() == PER_CLIENT_MAX {
                    client.entries.remove(0); // the oldest
                }
                let known = CachedLocation { organization: chosen.organization.clone(), conversation };
                client.entries.push(CacheEntry { asked: asked.organization_id.clone(), known, until: now + CACHE_TTL });
            }
        }
    }

    /// Sets the client's login; entries of another login are dropped.
    pub fn set_fingerprint(&mut self, client: &ClientId, fingerprint: Option<&str>) {
        if self.clients.get(client).is_some_and(|client| client.fingerprint.as_deref() != fingerprint) {
            self.clients.remove(client);
        }
    }

    /// Handles the status of an answer: 401, 403 and 404 invalidate the client's entries.
    pub fn answered(&mut self, client: &ClientId, status: u16) {
        if matches!(status, 401 | 403 | 404) {
            self.forget(client);
        }
    }

    /// Drops the entries of a client.
    pub fn forget(&mut self, client: &ClientId) {
        self.clients.remove(client);
    }

    /// Makes room for another client: expired clients are dropped first, then the one whose entries expire first.
    fn make_room(&mut self, now: Instant) {
        if self.clients.len() < self.clients_max {
            return;
        }
        self.clients.retain(|_, client| client.ends_at().is_some_and(|end| now < end));
        if self.clients.len() < self.clients_max {
            return;
        }
        let first = self.clients.iter().min_by_key(|(_, client)| client.ends_at()).map(|(id, _)| id.clone());
        if let Some(first) = first {
            self.clients.remove(&first);
        }
    }
}

impl ClientCache {
    fn ends_at(&self) -> Option<Instant> {
        self.entries.iter().map(|entries| entries.until).max()
    }
}

#[cfg(test)]
mod tests;
