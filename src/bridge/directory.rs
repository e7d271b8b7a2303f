//! The directory of connected clients: which one is active and which one performs a request. A value without actors; `T`
//! is the address of a client's connection.

use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName},
    wire::Freshness,
};

#[derive(Debug)]
pub(super) struct ClientDirectory<T> {
    clients: foldhash::HashMap<ClientId, ClientEntry<T>>,
    /// Number of hellos and credentials so far; orders them without a clock.
    arrival_count: u64,
    active: Option<ClientId>,
    max: usize,
}

#[derive(Debug)]
struct ClientEntry<T> {
    link: ClientLink<T>,
    hello_at: u64,
    logins: Vec<ClientLogin>,
    /// Platforms with a learned prompt template.
    templates: Vec<(PlatformName, PromptTemplate)>,
}

#[derive(Debug)]
struct ClientLogin {
    platform: PlatformName,
    account: Option<String>,
    fingerprint: Option<String>,
    reported_at: u64,
    last_seen_at: WallMs,
    is_lost: bool,
}

/// State of a client's prompt template for a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PromptTemplate {
    /// The client observed how the page sends a prompt.
    Learned,
    /// The app accepted a prompt that was sent with the template.
    Accepted,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedLogin<'a> {
    pub(super) account: Option<&'a str>,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) last_seen_at: WallMs,
    pub(super) freshness: Freshness,
}

/// A connected client and the address of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLink<T> {
    /// Client.
    pub client_id: ClientId,
    /// Connection.
    pub connection_id: ConnectionId,
    /// Address.
    pub to: T,
}

/// Why no client can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClient {
    /// No client is connected.
    #[error("no Firefox is connected")]
    NoneConnected,
    /// The named client is not connected.
    #[error("the named client is not connected")]
    NotConnected,
    /// The named client waits for pairing.
    #[error("the named client waits for pairing")]
    Unpaired,
}

/// `bridge.max_clients` are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyClients;

impl<T: Clone> ClientDirectory<T> {
    pub(super) fn new(max: usize) -> Self {
        ClientDirectory { clients: foldhash::HashMap::default(), arrival_count: 0, active: None, max }
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Registers a client as the active one. Returns the connection that it replaces.
    pub(super) fn register(&mut self, link: ClientLink<T>) -> Result<Option<ClientLink<T>>, TooManyClients> {
        if self.clients.len() >= self.max && !self.clients.contains_key(&link.client_id) {
            return Err(TooManyClients);
        }
        self.arrival_count += 1;
        self.active = Some(link.client_id.clone());
        let entry =
            ClientEntry { link: link.clone(), hello_at: self.arrival_count, logins: Vec::new(), templates: Vec::new() };
        let before = self.clients.insert(link.client_id.clone(), entry);
        Ok(before.map(|entry| entry.link).filter(|old| old.connection_id != link.connection_id))
    }

    /// Returns the entry of a client, unless another connection has replaced `connection`.
    fn entry_of(&mut self, client: &ClientId, connection: &ConnectionId) -> Option<&mut ClientEntry<T>> {
        self.clients.get_mut(client).filter(|entry| entry.link.connection_id == *connection)
    }

    /// Makes a client that repeated its `hello` the active one.
    pub(super) fn repeat_hello(&mut self, client: &ClientId, connection: &ConnectionId) {
        self.arrival_count += 1;
        let event = self.arrival_count;
        if let Some(entry) = self.entry_of(client, connection) {
            entry.hello_at = event;
            self.active = Some(client.clone());
        }
    }

    /// Removes a client whose connection ended; does nothing for a replaced connection.
    pub(super) fn unregister(&mut self, client: &ClientId, connection: &ConnectionId) {
        if self.clients.get(client).is_some_and(|entry| entry.link.connection_id == *connection) {
            self.clients.remove(client);
            if self.active.as_ref() == Some(client) {
                self.active =
                    self.clients.values().max_by_key(|e| e.hello_at).map(|entry| entry.link.client_id.clone());
            }
        }
    }

    pub(super) fn record_login(
        &mut self,
        (client, connection): (&ClientId, &ConnectionId),
        platform: &PlatformName,
        reported: ReportedLogin<'_>,
    ) {
        self.arrival_count += 1;
        let reported_at = self.arrival_count;
        let Some(entry) = self.entry_of(client, connection) else { return };
        // A login whose account was unknown is the same login once the account is known.
        let same = |login: &ClientLogin| login.account.is_none() || login.account.as_deref() == reported.account;
        entry.logins.retain(|login| login.platform != *platform || !same(login));
        if entry.logins.len() >= super::session::ENTRIES_MAX.get() {
            entry.logins.remove(0);
        }
        entry.logins.push(ClientLogin {
            platform: platform.clone(),
            account: reported.account.map(str::to_owned),
            fingerprint: reported.fingerprint.map(str::to_owned),
            reported_at,
            last_seen_at: reported.last_seen_at,
            is_lost: reported.freshness == Freshness::Lost,
        });
    }

    /// Records the state of a client's prompt template; `None` removes it.
    pub(super) fn record_template(
        &mut self,
        (client, connection): (&ClientId, &ConnectionId),
        platform: &PlatformName,
        reported: Option<PromptTemplate>,
    ) {
        let Some(entry) = self.entry_of(client, connection) else { return };
        let before = entry.templates.iter().position(|(known, _)| known == platform);
        let before = before.map(|place| entry.templates.swap_remove(place).1);
        // A client may not know that a prompt was accepted; the daemon observed it.
        if let Some(reported) = reported {
            let kept = before.filter(|before| *before == PromptTemplate::Accepted).unwrap_or(reported);
            entry.templates.push((platform.clone(), kept));
        }
    }

    /// Returns the fingerprint of the login that a client reported last; `None` without a login that is not lost.
    pub(super) fn fingerprint(&self, client: &ClientId, platform: &str) -> Option<Option<String>> {
        let logins = self.clients.get(client)?.logins.iter();
        let usable = logins.filter(|login| !login.is_lost && login.platform.as_str() == platform);
        usable.max_by_key(|login| login.reported_at).map(|login| login.fingerprint.clone())
    }

    pub(super) fn template_of(&self, client: &ClientId, platform: &str) -> Option<PromptTemplate> {
        let known = &self.clients.get(client)?.templates;
        known.iter().find(|(name, _)| name.as_str() == platform).map(|(_, template)| *template)
    }

    /// Returns whether the app has accepted a prompt of any client.
    pub(super) fn accepts_prompts(&self, platform: &str) -> bool {
        self.clients.keys().any(|client| self.template_of(client, platform) == Some(PromptTemplate::Accepted))
    }

    /// Selects the client that performs a request: the named one; otherwise the active one if it has a login for the platform;
    /// otherwise the one that reported such a login last; otherwise the active one. A lost login does not count.
    pub(super) fn select(&self, platform: &str, named: Option<&ClientId>) -> Result<ClientLink<T>, NoClient> {
        if let Some(named) = named {
            return self.clients.get(named).map(|entry| entry.link.clone()).ok_or(NoClient::NotConnected);
        }
        let active = self.active.as_ref().and_then(|id| self.clients.get(id)).ok_or(NoClient::NoneConnected)?;
        let reported = |entry: &ClientEntry<T>| {
            entry.logins.iter().filter(|l| !l.is_lost && l.platform.as_str() == platform).map(|l| l.reported_at).max()
        };
        if reported(active).is_some() {
            return Ok(active.link.clone());
        }
        let last = self.clients.values().filter_map(|e| reported(e).map(|at| (at, e))).max_by_key(|(at, _)| *at);
        Ok(last.map_or(active, |(_, entry)| entry).link.clone())
    }

    pub(super) fn get(&self, client: &ClientId) -> Option<&ClientLink<T>> {
        self.clients.get(client).map(|entry| &entry.link)
    }

    #[cfg(test)]
    pub(super) fn connection_of(&self, client: &ClientId) -> Option<ConnectionId> {
        self.get(client).map(|link| link.connection_id.clone())
    }

    pub(super) fn active(&self) -> Option<&ClientLink<T>> {
        self.active.as_ref().and_then(|id| self.clients.get(id)).map(|entry| &entry.link)
    }

    /// Returns all clients, sorted by id.
    pub(super) fn all(&self) -> Vec<ClientLink<T>> {
        let mut all: Vec<_> = self.clients.values().map(|entry| entry.link.clone()).collect();
        all.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        all
    }

    /// Returns the clients with a login for a platform that was seen since `seen_since` and is not lost, sorted by id.
    pub(super) fn logged_in(&self, platform: &str, seen_since: WallMs) -> Vec<ClientId> {
        let has = |login: &ClientLogin| {
            !login.is_lost && login.platform.as_str() == platform && login.last_seen_at >= seen_since
        };
        let mut ids: Vec<_> = self
            .clients
            .values()
            .filter(|entry| entry.logins.iter().any(has))
            .map(|entry| entry.link.client_id.clone())
            .collect();
        ids.sort();
        ids
    }
}

#[cfg(test)]
mod tests;
