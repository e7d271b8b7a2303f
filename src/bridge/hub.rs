//! The door to the bridge: who is connected, who is asked, how it is shown. A handle over shared state; the work is done
//! by one [`Connection`] per client.

use super::{
    assignment::{Assignment, Dispatched, Gone, Report},
    connection::{Connection, Dispatch, Handshake, Out, Stop, View},
    directory::{Crowded, Directory, Link, NoClient, Template},
    events::Disconnected,
    messages::FinalMessages,
    meter::Meter,
    pairing::Pairings,
    settings::{Bridge, LoginState, Pairing},
    view::{BridgeView, Identity},
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
pub type Client = Link<Addr<Connection>>;

/// What the bridge is made of.
#[derive(Debug)]
pub struct Setup {
    /// Section `bridge`.
    pub settings: Arc<Bridge>,
    /// Section `login_state`.
    pub login_state: LoginState,
    /// What peers are told about the daemon.
    pub identity: Identity,
    /// The platforms.
    pub registry: Arc<PlatformRegistry>,
    /// The mode, which clients are told and may change.
    pub system: SystemControl,
    /// Wall time.
    pub clock: Clock,
    /// Where what happens is told.
    pub events: EventBus,
    /// Where what clients tell is kept, written behind.
    pub later: WriteBehind,
    /// Where messages are counted.
    pub metrics: metrics::Wire,
    /// Who is known here.
    pub pairings: Pairings,
    /// Who does something with final messages.
    pub final_messages: Arc<dyn FinalMessages>,
}

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    setup: Setup,
    /// The registry as `hello_ack` carries it, written once.
    platforms: RawJson,
    directory: Mutex<Directory<Addr<Connection>>>,
    sockets: TaskTracker,
    /// For connections that the directory does not know: those without a `hello`.
    stopping: CancellationToken,
    /// Counts arrivals and departures.
    epoch: AtomicU64,
    /// Rings at each arrival.
    arrivals: Notify,
}

impl Hub {
    /// A bridge without clients.
    pub fn new(setup: Setup) -> Self {
        let platforms = RawJson::of(&setup.registry.all().iter().map(|p| &**p).collect::<Vec<_>>());
        let directory = Mutex::new(Directory::new(setup.settings.max_clients));
        let shared = Shared {
            setup,
            platforms,
            directory,
            sockets: TaskTracker::new(),
            stopping: CancellationToken::new(),
            epoch: AtomicU64::new(0),
            arrivals: Notify::new(),
        };
        Hub { shared: Arc::new(shared) }
    }

    /// Starts the connection behind a new socket, on the calling arbiter.
    pub fn connect(&self, meter: Arc<Meter>, socket: Recipient<Out>, handshake: Handshake) -> Addr<Connection> {
        let is_vouched_for = handshake.is_own_user || self.settings().pairing == Pairing::Required;
        Connection::new(self.clone(), meter, socket, handshake, is_vouched_for, self.shared.sockets.token()).start()
    }

    /// Who performs a request for `platform`.
    pub fn select(&self, platform: &PlatformName, named: Option<&ClientId>) -> Result<Client, NoClient> {
        let selected = self.directory().select(platform.as_str(), named);
        selected.map_err(|none| self.or_unpaired(none, named))
    }

    /// The named client, else the active one.
    pub(super) fn named_or_active(&self, named: Option<&ClientId>) -> Result<Client, NoClient> {
        let found = match named {
            Some(named) => self.directory().get(named).cloned().ok_or(NoClient::NotConnected),
            None => self.directory().active().cloned().ok_or(NoClient::NoneConnected),
        };
        found.map_err(|none| self.or_unpaired(none, named))
    }

    /// Tells a client that is not there from one that is at the door.
    fn or_unpaired(&self, none: NoClient, named: Option<&ClientId>) -> NoClient {
        if named.is_some_and(|named| self.door().has_waiting(named)) { NoClient::Unpaired } else { none }
    }

    /// Grows whenever a client comes or goes: what was selected in the same epoch is still connected as it was.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Relaxed)
    }

    /// Hands a request to a client; everything that becomes of it is reported to `to`, its end in any case.
    pub fn dispatch(
        &self,
        client: &Client,
        id: &RequestId,
        platform: &PlatformName,
        frame: ByteString,
        to: Recipient<Report>,
    ) -> Dispatched {
        let assignment = Assignment::new(to);
        // Bounded by the requests in flight. A connection that is gone drops the message, and the assignment in it
        // reports that.
        client.to.do_send(Dispatch { id: id.clone(), platform: platform.clone(), frame, assignment });
        Dispatched { connection: client.to.clone(), id: id.clone(), over: false }
    }

    /// Everybody, as the operator sees them; texts of final messages only when asked for.
    pub async fn view(&self, with_text: bool) -> BridgeView {
        let (clients, active) = {
            let directory = self.directory();
            (directory.all(), directory.active().map(|link| link.client_id.clone()))
        };
        let asked = clients.into_iter().map(|client| client.to.send(View { with_text }));
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
        let lost_after = WallMs::try_from(self.shared.setup.login_state.lost_after_ms).unwrap_or(WallMs::MAX);
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
    pub fn prompt_accepted(&self, client: &Client, platform: &PlatformName) {
        let mut directory = self.directory();
        if directory.template_of(&client.client_id, platform.as_str()).is_some() {
            let who = (&client.client_id, &client.connection_id);
            directory.template(who, platform, Some(Template::Accepted));
        }
    }

    /// Whether prompts are known to be taken by a platform: some apps bind a send to one-time tokens, and never do.
    pub fn takes_prompts(&self, platform: &PlatformName) -> bool {
        self.directory().takes_prompts(platform.as_str())
    }

    /// Closes every socket with 1001; what they perform fails with `service_stopped`. Newcomers are closed too.
    pub fn stop(&self) {
        self.shared.sockets.close();
        self.shared.stopping.cancel();
        for client in self.directory().all() {
            client.to.do_send(Stop); // bounded: once a connection
        }
    }

    /// Waits until every socket is closed, once [`stop`](Self::stop) was called.
    pub async fn stopped(&self) {
        self.shared.sockets.wait().await;
    }

    /// What peers are told about the daemon.
    pub fn identity(&self) -> &Identity {
        &self.shared.setup.identity
    }

    /// Section `bridge`.
    pub fn settings(&self) -> &Arc<Bridge> {
        &self.shared.setup.settings
    }

    pub(super) fn metrics(&self) -> &metrics::Wire {
        &self.shared.setup.metrics
    }

    pub(super) fn door(&self) -> &Pairings {
        &self.shared.setup.pairings
    }

    pub(super) fn clock(&self) -> Clock {
        self.shared.setup.clock
    }

    pub(super) fn system(&self) -> &SystemControl {
        &self.shared.setup.system
    }

    /// The platforms.
    pub fn registry(&self) -> &PlatformRegistry {
        &self.shared.setup.registry
    }

    pub(super) fn platforms(&self) -> &RawJson {
        &self.shared.platforms
    }

    pub(super) fn events(&self) -> &EventBus {
        &self.shared.setup.events
    }

    pub(super) fn later(&self) -> &WriteBehind {
        &self.shared.setup.later
    }

    pub(super) fn final_messages(&self) -> &dyn FinalMessages {
        &*self.shared.setup.final_messages
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

    pub(super) fn directory(&self) -> MutexGuard<'_, Directory<Addr<Connection>>> {
        // Nothing panics between two changes of the directory, so what a panicking thread left is whole.
        self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client spoke of a request that another connection performs, or nobody.
    pub(super) fn count_foreign_report(&self) {
        self.metrics().rejected("foreign_request");
    }

    /// Enters a client; it leaves when what is returned is dropped.
    pub(super) fn enter(&self, link: Client) -> Result<(Presence, Option<Client>), Crowded> {
        let (client_id, connection_id) = (link.client_id.clone(), link.connection_id.clone());
        let replaced = self.directory().arrive(link)?;
        let presence = Presence { hub: self.clone(), client_id, connection_id, left: Gone::Disconnected };
        self.shared.epoch.fetch_add(1, Relaxed);
        self.shared.arrivals.notify_waiters();
        Ok((presence, replaced))
    }
}

/// A client's entry in the directory, for as long as this lives.
#[derive(Debug)]
pub(super) struct Presence {
    hub: Hub,
    pub(super) client_id: ClientId,
    pub(super) connection_id: ConnectionId,
    left: Gone,
}

impl Presence {
    /// It is over, for this reason.
    pub(super) fn leave(mut self, gone: Gone) {
        self.left = gone;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.hub.directory().leave(&self.client_id, &self.connection_id);
        self.hub.shared.epoch.fetch_add(1, Relaxed);
        let told = Disconnected {
            client_id: self.client_id.clone(),
            connection_id: self.connection_id.clone(),
            reason: self.left.code(),
            at: self.hub.clock().now_ms(),
        };
        self.hub.events().publish("client_disconnected", told);
    }
}

/// Kept by a connection until its socket is closed.
pub(super) type SocketToken = TaskTrackerToken;
