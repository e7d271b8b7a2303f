//! The door to the bridge: who is connected, who is asked, how it is shown. A handle over shared state; the work is done
//! by one [`Connection`] per client.

use super::{
    assignment::{Assignment, AssignmentEvent, DisconnectReason, DispatchHandle},
    connection::{Connection, DispatchRequest, GetClientView, SocketCommand, SocketPeer, StopConnection},
    directory::{ClientDirectory, ClientLink, NoClient, PromptTemplate, TooManyClients},
    events::ClientDisconnected,
    final_messages::FinalMessageSink,
    meter::SocketMeter,
    pairing::Pairings,
    settings::{BridgeSettings, LoginStateSettings, PairingMode},
    view::{BridgeView, DaemonIdentity},
};
use crate::{
    clock::{Clock, WallMs},
    events::EventBus,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
    platforms::registry::PlatformRegistry,
    store::WriteBehind,
    system::SystemControl,
    telemetry::metrics,
    wire::RawJson,
};
use actix::prelude::*;
use bytestring::ByteString;
use futures_util::future::join_all;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::Notify;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// A connected client.
pub type ConnectedClient = ClientLink<Addr<Connection>>;

/// What the bridge is made of.
#[derive(Debug)]
pub struct BridgeParts {
    /// Section `bridge`.
    pub settings: Arc<BridgeSettings>,
    /// Section `login_state`.
    pub login_state: LoginStateSettings,
    /// What peers are told about the daemon.
    pub identity: DaemonIdentity,
    /// The platforms.
    pub registry: Arc<PlatformRegistry>,
    /// The mode, which clients are told and may change.
    pub system: SystemControl,
    /// Wall time.
    pub clock: Clock,
    /// Where what happens is told.
    pub events: EventBus,
    /// Where what clients tell is kept, written behind.
    pub write_behind: WriteBehind,
    /// Where messages are counted.
    pub metrics: metrics::WireMetrics,
    /// Who is known here.
    pub pairings: Pairings,
    /// Who does something with final messages.
    pub final_messages: Arc<dyn FinalMessageSink>,
}

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BridgeHub {
    shared: Arc<BridgeShared>,
}

#[derive(Debug)]
struct BridgeShared {
    parts: BridgeParts,
    /// The registry as `hello_ack` carries it, written once.
    platforms: RawJson,
    directory: Mutex<ClientDirectory<Addr<Connection>>>,
    sockets: TaskTracker,
    /// For connections that the directory does not know: those without a `hello`.
    stopping: CancellationToken,
    /// Counts arrivals and departures.
    epoch: AtomicU64,
    /// Rings at each arrival.
    arrivals: Notify,
}

impl BridgeHub {
    /// A bridge without clients.
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

    /// Starts the connection behind a new socket, on the calling arbiter.
    pub fn connect(
        &self,
        meter: Arc<SocketMeter>,
        socket: Recipient<SocketCommand>,
        peer: SocketPeer,
    ) -> Addr<Connection> {
        let has_verified_owner = peer.is_own_user || self.settings().pairing == PairingMode::Required;
        Connection::new(self.clone(), meter, socket, peer, has_verified_owner, self.shared.sockets.token()).start()
    }

    /// Who performs a request for `platform`.
    pub fn select(&self, platform: &PlatformName, named: Option<&ClientId>) -> Result<ConnectedClient, NoClient> {
        let selected = self.directory().select(platform.as_str(), named);
        selected.map_err(|none| self.unpaired_if_waiting(none, named))
    }

    /// The named client, else the active one.
    pub(super) fn named_or_active(&self, named: Option<&ClientId>) -> Result<ConnectedClient, NoClient> {
        let found = match named {
            Some(named) => self.directory().get(named).cloned().ok_or(NoClient::NotConnected),
            None => self.directory().active().cloned().ok_or(NoClient::NoneConnected),
        };
        found.map_err(|none| self.unpaired_if_waiting(none, named))
    }

    /// Tells a client that is not there from one that is at the door.
    fn unpaired_if_waiting(&self, none: NoClient, named: Option<&ClientId>) -> NoClient {
        if named.is_some_and(|named| self.pairing().has_waiting(named)) { NoClient::Unpaired } else { none }
    }

    /// Grows whenever a client comes or goes: what was selected in the same epoch is still connected as it was.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Relaxed)
    }

    /// Hands a request to a client; everything that becomes of it is reported to `to`, its end in any case.
    pub fn dispatch(
        &self,
        client: &ConnectedClient,
        id: &RequestId,
        platform: &PlatformName,
        frame: ByteString,
        to: Recipient<AssignmentEvent>,
    ) -> DispatchHandle {
        let assignment = Assignment::new(to);
        // Bounded by the requests in flight. A connection that is gone drops the message, and the assignment in it
        // reports that.
        client.to.do_send(DispatchRequest { id: id.clone(), platform: platform.clone(), frame, assignment });
        DispatchHandle { connection: client.to.clone(), id: id.clone(), is_settled: false }
    }

    /// Everybody, as the operator sees them; texts of final messages only when asked for.
    pub async fn view(&self, with_text: bool) -> BridgeView {
        let (clients, active) = {
            let directory = self.directory();
            (directory.all(), directory.active().map(|link| link.client_id.clone()))
        };
        let asked = clients.into_iter().map(|client| client.to.send(GetClientView { with_text }));
        let views = join_all(asked).await.into_iter().filter_map(Result::ok).flatten().collect();
        BridgeView::new(views, active.as_ref(), self.identity())
    }

    /// How many are connected, and which one is active.
    pub fn count(&self) -> (usize, Option<ClientId>) {
        let directory = self.directory();
        (directory.len(), directory.active().map(|link| link.client_id.clone()))
    }

    /// The clients with a login for a platform that is not lost, sorted by name.
    pub fn logged_in(&self, platform: &PlatformName) -> Vec<ClientId> {
        let lost_after = WallMs::try_from(self.shared.parts.login_state.lost_after_ms).unwrap_or(WallMs::MAX);
        let seen_since = self.clock().now_ms().saturating_sub(lost_after);
        self.directory().logged_in(platform.as_str(), seen_since)
    }

    /// The fingerprint of a client's login for a platform; nothing without a login that is not lost.
    pub fn fingerprint(&self, client: &ClientId, platform: &PlatformName) -> Option<Option<String>> {
        self.directory().fingerprint(client, platform.as_str())
    }

    /// Whether a client has learned how a prompt is sent to a platform.
    pub fn has_template(&self, client: &ClientId, platform: &PlatformName) -> bool {
        self.directory().template_of(client, platform.as_str()).is_some()
    }

    /// The app has taken a prompt that a client sent as it had learned to.
    pub fn record_accepted_prompt(&self, client: &ConnectedClient, platform: &PlatformName) {
        let mut directory = self.directory();
        if directory.template_of(&client.client_id, platform.as_str()).is_some() {
            let who = (&client.client_id, &client.connection_id);
            directory.record_template(who, platform, Some(PromptTemplate::Accepted));
        }
    }

    /// Whether prompts are known to be taken by a platform: some apps bind a send to one-time tokens, and never do.
    pub fn accepts_prompts(&self, platform: &PlatformName) -> bool {
        self.directory().accepts_prompts(platform.as_str())
    }

    /// Closes every socket with 1001; what they perform fails with `service_stopped`. Newcomers are closed too.
    pub fn stop(&self) {
        self.shared.sockets.close();
        self.shared.stopping.cancel();
        for client in self.directory().all() {
            client.to.do_send(StopConnection); // bounded: once a connection
        }
    }

    /// Waits until every socket is closed, once [`stop`](Self::stop) was called.
    pub async fn stopped(&self) {
        self.shared.sockets.wait().await;
    }

    /// What peers are told about the daemon.
    pub fn identity(&self) -> &DaemonIdentity {
        &self.shared.parts.identity
    }

    /// Section `bridge`.
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

    /// The platforms.
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
        // Nothing panics between two changes of the directory, so what a panicking thread left is whole.
        self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client spoke of a request that another connection performs, or nobody.
    pub(super) fn count_foreign_report(&self) {
        self.metrics().rejected("foreign_request");
    }

    /// Enters a client; it leaves when what is returned is dropped.
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

/// A client's entry in the directory, for as long as this lives.
#[derive(Debug)]
pub(super) struct ClientRegistration {
    hub: BridgeHub,
    pub(super) client_id: ClientId,
    pub(super) connection_id: ConnectionId,
    reason: DisconnectReason,
}

impl ClientRegistration {
    /// It is over, for this reason.
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
            reason: self.reason.code(),
            at: self.hub.clock().now_ms(),
        };
        self.hub.events().publish("client_disconnected", event);
    }
}

/// Kept by a connection until its socket is closed.
pub(super) type SocketToken = TaskTrackerToken;
