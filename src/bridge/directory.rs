//! Who is connected, who is active, and who is asked: a value without actors. `T` is the way to a client.

use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName},
    wire::Freshness,
};

/// The connected clients.
#[derive(Debug)]
pub(super) struct ClientDirectory<T> {
    clients: foldhash::HashMap<ClientId, ClientEntry<T>>,
    /// Counts hellos and credentials, so that "came last" needs no clock.
    arrival_count: u64,
    active: Option<ClientId>,
    max: usize,
}

#[derive(Debug)]
struct ClientEntry<T> {
    link: ClientLink<T>,
    hello_at: u64,
    logins: Vec<ClientLogin>,
    /// For which it has learned how a prompt is sent.
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

/// How far a client knows how a prompt is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PromptTemplate {
    /// It has seen it done.
    Learned,
    /// The app has taken one that it sent.
    Accepted,
}

/// What a client told of a login.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportedLogin<'a> {
    pub(super) account: Option<&'a str>,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) last_seen_at: WallMs,
    pub(super) freshness: Freshness,
}

/// A connected client and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLink<T> {
    /// Who.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// The way.
    pub to: T,
}

/// Why there is nobody to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClient {
    /// Nobody is connected.
    #[error("no Firefox is connected")]
    NoneConnected,
    /// The named one is not connected.
    #[error("the named client is not connected")]
    NotConnected,
    /// The named one waits for pairing.
    #[error("the named client waits for pairing")]
    Unpaired,
}

/// As many clients as the daemon takes are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyClients;

impl<T: Clone> ClientDirectory<T> {
    pub(super) fn new(max: usize) -> Self {
        ClientDirectory { clients: foldhash::HashMap::default(), arrival_count: 0, active: None, max }
    }

    /// How many are connected.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// A client said `hello`; it is the active one now. Answers the connection that it replaces.
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

    /// The entry of a client, for that connection of it alone: one that was replaced has nothing to say any more.
    fn entry_of(&mut self, client: &ClientId, connection: &ConnectionId) -> Option<&mut ClientEntry<T>> {
        self.clients.get_mut(client).filter(|entry| entry.link.connection_id == *connection)
    }

    /// A client said `hello` again; it is the active one now.
    pub(super) fn repeat_hello(&mut self, client: &ClientId, connection: &ConnectionId) {
        self.arrival_count += 1;
        let event = self.arrival_count;
        if let Some(entry) = self.entry_of(client, connection) {
            entry.hello_at = event;
            self.active = Some(client.clone());
        }
    }

    /// A connection ended. One that was replaced is known no more.
    pub(super) fn unregister(&mut self, client: &ClientId, connection: &ConnectionId) {
        if self.clients.get(client).is_some_and(|entry| entry.link.connection_id == *connection) {
            self.clients.remove(client);
            if self.active.as_ref() == Some(client) {
                self.active =
                    self.clients.values().max_by_key(|e| e.hello_at).map(|entry| entry.link.client_id.clone());
            }
        }
    }

    /// A client has seen a login.
    pub(super) fn record_login(
        &mut self,
        (client, connection): (&ClientId, &ConnectionId),
        platform: &PlatformName,
        reported: ReportedLogin<'_>,
    ) {
        self.arrival_count += 1;
        let reported_at = self.arrival_count;
        let Some(entry) = self.entry_of(client, connection) else { return };
        // Whose login it was may become known only later; then it is the same one.
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

    /// A client says how far it knows how a prompt is sent.
    pub(super) fn record_template(
        &mut self,
        (client, connection): (&ClientId, &ConnectionId),
        platform: &PlatformName,
        reported: Option<PromptTemplate>,
    ) {
        let Some(entry) = self.entry_of(client, connection) else { return };
        let before = entry.templates.iter().position(|(known, _)| known == platform);
        let before = before.map(|place| entry.templates.swap_remove(place).1);
        // What was seen here is not forgotten because the client does not say it.
        if let Some(reported) = reported {
            let kept = before.filter(|before| *before == PromptTemplate::Accepted).unwrap_or(reported);
            entry.templates.push((platform.clone(), kept));
        }
    }

    /// The fingerprint of the login that a client told last, if it has one that is not lost.
    pub(super) fn fingerprint(&self, client: &ClientId, platform: &str) -> Option<Option<String>> {
        let logins = self.clients.get(client)?.logins.iter();
        let usable = logins.filter(|login| !login.is_lost && login.platform.as_str() == platform);
        usable.max_by_key(|login| login.reported_at).map(|login| login.fingerprint.clone())
    }

    /// How far a client knows how a prompt is sent.
    pub(super) fn template_of(&self, client: &ClientId, platform: &str) -> Option<PromptTemplate> {
        let known = &self.clients.get(client)?.templates;
        known.iter().find(|(name, _)| name.as_str() == platform).map(|(_, template)| *template)
    }

    /// Whether the app has taken a prompt of any client.
    pub(super) fn accepts_prompts(&self, platform: &str) -> bool {
        self.clients.keys().any(|client| self.template_of(client, platform) == Some(PromptTemplate::Accepted))
    }

    /// Who performs a request: the named client; else the active one if it has a login for the platform; else the one
    /// whose login for it was told last; else the active one. A login reported lost does not count.
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

    /// A connected client.
    pub(super) fn get(&self, client: &ClientId) -> Option<&ClientLink<T>> {
        self.clients.get(client).map(|entry| &entry.link)
    }

    /// The connection of a client.
    #[cfg(test)]
    pub(super) fn connection_of(&self, client: &ClientId) -> Option<ConnectionId> {
        self.get(client).map(|link| link.connection_id.clone())
    }

    /// The active client.
    pub(super) fn active(&self) -> Option<&ClientLink<T>> {
        self.active.as_ref().and_then(|id| self.clients.get(id)).map(|entry| &entry.link)
    }

    /// Everybody, sorted by name.
    pub(super) fn all(&self) -> Vec<ClientLink<T>> {
        let mut all: Vec<_> = self.clients.values().map(|entry| entry.link.clone()).collect();
        all.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        all
    }

    /// The clients with a login for a platform that was seen since `seen_since` and not reported is_lost, sorted by name.
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
