//! The bridge's handle for the rest of the daemon: connects sockets, selects clients, dispatches requests, shows the state.
//! One [`Connection`] per client does the work.

use super::{
    assignment::{Assignment, AssignmentEvent, DisconnectReason, DispatchHandle},
    connection::{Connection, DispatchRequest, GetClientView, SocketCommand, SocketPeer, StopConnection},
    directory::{ClientDirectory, ClientLink, NoClient, PromptTemplate, TooManyClients},
    events::ClientDisconnected,
    final_messages::FinalMessageSink,
    meter::SocketMeter,
    pairing::Pairings,
    settings::{BridgeSettings, PairingMode},
    view::{BridgeView, DaemonIdentity},
};
use crate::{
    clock::{Clock, WallMs},
    events::EventBus,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
    platforms::registry::PlatformRegistry,
    store::{LoginStateSettings, WriteBehind},
    system::SystemControl,
    telemetry::metrics,
    wire::RawJson,
};
use actix::prelude::*;
use bytestring::ByteString;
use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::Notify;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// A connected client with the address of its connection.
pub type ConnectedClient = ClientLink<Addr<Connection>>;

/// Dependencies of the bridge.
#[derive(Debug)]
pub struct BridgeParts {
    /// Section `bridge`.
    pub settings: Arc<BridgeSettings>,
    /// Section `login_state`.
    pub login_state: LoginStateSettings,
    /// The daemon as its peers see it.
    pub identity: DaemonIdentity,
    /// Registered platforms.
    pub registry: Arc<PlatformRegistry>,
    /// The daemon's mode, which clients see and may change.
    pub system: SystemControl,
    /// Wall time.
    pub clock: Clock,
    /// Bus that the bridge publishes its events on.
    pub events: EventBus,
    /// Queue of the rows of reported logins and messages.
    pub write_behind: WriteBehind,
    /// Counters of messages.
    pub metrics: metrics::WireMetrics,
    /// Paired and waiting clients.
    pub pairings: Pairings,
    /// Receiver of final messages.
    pub final_messages: Arc<dyn FinalMessageSink>,
}

/// A handle of the bridge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BridgeHub {
    shared: Arc<BridgeShared>,
}

#[derive(Debug)]
struct BridgeShared {
    parts: BridgeParts,
    /// The registry as `hello_ack` contains it, serialized once.
    platforms: RawJson,
    directory: Mutex<ClientDirectory<Addr<Connection>>>,
    sockets: TaskTracker,
    /// Stops connections that are not in the directory: those without an accepted `hello`.
    stopping: CancellationToken,
    /// Number of registrations and removals of clients.
    epoch: AtomicU64,
    /// Notified at each registration.
    arrivals: Notify,
}

impl BridgeHub {
    /// Creates a bridge without clients.
    pub fn new(parts: BridgeParts) -> Self {
        let platforms = RawJson::of(&parts.registry.all().iter().map(|p| &**p).collect::<Vec<_>>());
        let directory = Mutex::new(ClientDirectory::new(parts.settings.max_clients));
        let shared = BridgeShared {
            parts,
            platforms,
            directory,
            sockets: TaskTracker::new(),
            stopping: CancellationToken::new(),
            epoch: AtomicU64::new(0),
            arrivals: Notify::new(),
        };
        BridgeHub { shared: Arc::new(shared) }
    }

    /// Starts the connection of a new socket, on the calling arbiter.
    pub fn connect(
        &self,
        meter: Arc<SocketMeter>,
        socket: Recipient<SocketCommand>,
        peer: SocketPeer,
    ) -> Addr<Connection> {
        let has_verified_owner = peer.is_own_user || self.settings().pairing == PairingMode::Required;
        Connection::new(self.clone(), meter, socket, peer, has_verified_owner, self.shared.sockets.token()).start()
    }

    /// Selects the client that performs a request for `platform`; see `ClientDirectory::select`.
    pub fn select(&self, platform: &PlatformName, named: Option<&ClientId>) -> Result<ConnectedClient, NoClient> {
        let selected = self.directory().select(platform.as_str(), named);
        selected.map_err(|none| self.unpaired_if_waiting(none, named))
    }

    /// Returns the named client, otherwise the active one.
    pub(super) fn named_or_active(&self, named: Option<&ClientId>) -> Result<ConnectedClient, NoClient> {
        let found = match named {
            Some(named) => self.directory().get(named).cloned().ok_or(NoClient::NotConnected),
            None => self.directory().active().cloned().ok_or(NoClient::NoneConnected),
        };
        found.map_err(|none| self.unpaired_if_waiting(none, named))
    }

    /// Replaces the error if the named client waits for pairing.
    fn unpaired_if_waiting(&self, none: NoClient, named: Option<&ClientId>) -> NoClient {
        if named.is_some_and(|named| self.pairing().has_waiting(named)) { NoClient::Unpaired } else { none }
    }

    /// Returns a number that grows with every registration and removal: within one epoch a selected client remains connected.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Relaxed)
    }

    /// Dispatches a request to a client. `to` receives the reports, and in any case the end of the request.
    pub fn dispatch(
        &self,
        client: &ConnectedClient,
        id: &RequestId,
        platform: &PlatformName,
        frame: ByteString,
        to: Recipient<AssignmentEvent>,
    ) -> DispatchHandle {
        let assignment = Assignment::new(to);
        // Bounded by the requests in flight. A connection that has ended drops the message, and the assignment in it
        // reports the disconnect.
        client.to.do_send(DispatchRequest { id: id.clone(), platform: platform.clone(), frame, assignment });
        DispatchHandle { connection: client.to.clone(), id: id.clone(), is_settled: false }
    }

    /// Returns all clients, as the operator sees them; texts of final messages only if `with_text`.
    pub async fn view(&self, with_text: bool) -> BridgeView {
        let (clients, active) = {
            let directory = self.directory();
            (directory.all(), directory.active().map(|link| link.client_id.clone()))
        };
        let views = clients.into_iter().map(|client| client.to.send(GetClientView { with_text }));
        let views = join_all(views).await.into_iter().filter_map(Result::ok).flatten().collect();
        BridgeView::new(views, active.as_ref(), self.identity())
    }

    /// Returns the number of connected clients and the active one.
    pub fn count(&self) -> (usize, Option<ClientId>) {
        let directory = self.directory();
        (directory.len(), directory.active().map(|link| link.client_id.clone()))
    }

    /// Returns the clients with a login for a platform that is not lost, sorted by id.
    pub fn logged_in(&self, platform: &PlatformName) -> Vec<ClientId> {
        let lost_after = WallMs::try_from(self.shared.parts.login_state.lost_after_ms).unwrap_or(WallMs::MAX);
        let seen_since = self.clock().now_ms().saturating_sub(lost_after);
        self.directory().logged_in(platform.as_str(), seen_since)
    }

    /// Returns the fingerprint of a client's login for a platform; `None` without a login that is not lost.
    pub fn fingerprint(&self, client: &ClientId, platform: &PlatformName) -> Option<Option<String>> {
        self.directory().fingerprint(client, platform.as_str())
    }

    /// Returns whether a client has a prompt template for a platform.
    pub fn has_template(&self, client: &ClientId, platform: &PlatformName) -> bool {
        self.directory().template_of(client, platform.as_str()).is_some()
    }

    /// Records that the app accepted a prompt which the client sent with its template.
    pub fn record_accepted_prompt(&self, client: &ConnectedClient, platform: &PlatformName) {
        let mut directory = self.directory();
        if directory.template_of(&client.client_id, platform.as_str()).is_some() {
            let who = (&client.client_id, &client.connection_id);
            directory.record_template(who, platform, Some(PromptTemplate::Accepted));
        }
    }

    /// Returns whether the app has accepted a prompt that was sent with a template. Some apps never do: they require one-time
    /// tokens.
    pub fn accepts_prompts(&self, platform: &PlatformName) -> bool {
        self.directory().accepts_prompts(platform.as_str())
    }

    /// Closes all sockets with 1001, new ones included; their requests fail with `service_stopped`.
    pub fn stop(&self) {
        self.shared.sockets.close();
        self.shared.stopping.cancel();
        for client in self.directory().all() {
            client.to.do_send(StopConnection); // bounded: once per connection
        }
    }

    /// Waits until all sockets are closed, after [`stop`](Self::stop).
    pub async fn stopped(&self) {
        self.shared.sockets.wait().await;
    }

    /// Returns the daemon as its peers see it.
    pub fn identity(&self) -> &DaemonIdentity {
        &self.shared.parts.identity
    }

    /// Returns section `bridge` of the configuration.
    pub fn settings(&self) -> &Arc<BridgeSettings> {
        &self.shared.parts.settings
    }

    pub(super) fn metrics(&self) -> &metrics::WireMetrics {
        &self.shared.parts.metrics
    }

    pub(super) fn pairing(&self) -> &Pairings {
        &self.shared.parts.pairings
    }

    pub(super) fn clock(&self) -> Clock {
        self.shared.parts.clock
    }

    pub(super) fn system(&self) -> &SystemControl {
        &self.shared.parts.system
    }

    /// Returns the registered platforms.
    pub fn registry(&self) -> &PlatformRegistry {
        &self.shared.parts.registry
    }

    pub(super) fn platforms(&self) -> &RawJson {
        &self.shared.platforms
    }

    pub(super) fn events(&self) -> &EventBus {
        &self.shared.parts.events
    }

    pub(super) fn write_behind(&self) -> &WriteBehind {
        &self.shared.parts.write_behind
    }

    pub(super) fn final_messages(&self) -> &dyn FinalMessageSink {
        &*self.shared.parts.final_messages
    }

    pub(super) fn arrivals(&self) -> &Notify {
        &self.shared.arrivals
    }

    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.sockets.is_closed()
    }

    pub(super) fn directory(&self) -> MutexGuard<'_, ClientDirectory<Addr<Connection>>> {
        self.shared.directory.lock()
    }

    /// Counts a report about a request that this connection does not perform.
    pub(super) fn count_foreign_report(&self) {
        self.metrics().rejected("foreign_request");
    }

    /// Registers a client, until the returned registration is dropped. Also returns the connection that it replaces.
    pub(super) fn register(
        &self,
        link: ConnectedClient,
    ) -> Result<(ClientRegistration, Option<ConnectedClient>), TooManyClients> {
        let (client_id, connection_id) = (link.client_id.clone(), link.connection_id.clone());
        let replaced = self.directory().register(link)?;
        let registration =
            ClientRegistration { hub: self.clone(), client_id, connection_id, reason: DisconnectReason::SocketClosed };
        self.shared.epoch.fetch_add(1, Relaxed);
        self.shared.arrivals.notify_waiters();
        Ok((registration, replaced))
    }
}

/// A client's entry in the directory; removes it when dropped.
#[derive(Debug)]
pub(super) struct ClientRegistration {
    hub: BridgeHub,
    pub(super) client_id: ClientId,
    pub(super) connection_id: ConnectionId,
    reason: DisconnectReason,
}

impl ClientRegistration {
    /// Removes the entry, with the reason for the event.
    pub(super) fn unregister(mut self, gone: DisconnectReason) {
        self.reason = gone;
    }
}

impl Drop for ClientRegistration {
    fn drop(&mut self) {
        self.hub.directory().unregister(&self.client_id, &self.connection_id);
        self.hub.shared.epoch.fetch_add(1, Relaxed);
        let event = ClientDisconnected {
            client_id: self.client_id.clone(),
            connection_id: self.connection_id.clone(),
            reason: self.reason.code().name(),
            at: self.hub.clock().now_ms(),
        };
        self.hub.events().publish("client_disconnected", event);
    }
}

/// Held by a connection until its socket is closed.
pub(super) type SocketToken = TaskTrackerToken;
