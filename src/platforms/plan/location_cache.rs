//! Where prompts went a moment ago, so that the next one need not ask again. A value; time is a parameter.
//!
//! What is known belongs to one client, to the login it was found with and to what the caller named. Using it does not
//! prolong it: after [`CACHE_TTL`] the app is asked again, however busy a client is.

use super::{AppId, Conversation, Organization, RequestedLocation, ResolvedLocation};
use crate::ids::ClientId;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// How long a choice counts.
pub const CACHE_TTL: Duration = Duration::from_secs(60);

/// Most choices of one client: one for each organization that callers name, and one for none.
const PER_CLIENT_MAX: usize = 16;

/// What is known of where a prompt goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLocation {
    /// To this organization.
    pub organization: Organization,
    /// To this conversation, unless the caller names another; nothing when none was chosen yet.
    pub conversation: Option<Conversation>,
}

/// The choices of every client.
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
    /// Nothing known yet, and never of more than `clients_max` clients.
    pub fn new(clients_max: usize) -> Self {
        assert!(clients_max > 0, "a cache that may hold nothing is none");
        LocationCache { clients_max, clients: HashMap::new() }
    }

    /// What is known of where `asked` leads for this client with this login.
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

    /// Keeps where a prompt goes. What is known already stays as it is, until its time is over.
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
        // One that the caller named was not chosen: it counts for this request alone.
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

    /// The client told which login it has: what was found with another one is dropped.
    pub fn set_fingerprint(&mut self, client: &ClientId, fingerprint: Option<&str>) {
        if self.clients.get(client).is_some_and(|client| client.fingerprint.as_deref() != fingerprint) {
            self.clients.remove(client);
        }
    }

    /// A step of this client was answered with this status: 401, 403 and 404 say that what is known is no longer so.
    pub fn answered(&mut self, client: &ClientId, status: u16) {
        if matches!(status, 401 | 403 | 404) {
            self.forget(client);
        }
    }

    /// Drops what is known of a client.
    pub fn forget(&mut self, client: &ClientId) {
        self.clients.remove(client);
    }

    /// For one more client: those of whom nothing counts any more go, then the one whose choices end first.
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
