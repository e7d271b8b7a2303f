//! The services of the daemon that the HTTP handlers use.

use super::{
    authenticator::Authenticator,
    describe::Facts,
    listener::BoundListener,
    origin_policy::OriginPolicy,
    route::{Features, Route},
    session_store::SessionStore,
    settings::{AuthSettings, LocalTrust, ServerSettings},
};
use crate::{
    bridge,
    codex::{CodexdClient, settings::CodexSettings},
    events,
    host::{HostOperations, limits},
    instructions,
    platforms::registry::PlatformRegistry,
    policy, records, relay,
    runs::OperationRecorder,
    state_folder::LiveToken,
    store::{Store, WriteBehind},
    system::SystemControl,
    telemetry::metrics::Metrics,
};
use bytes::Bytes;
use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};
use tokio::time::Instant;

/// The services that the handlers use.
#[derive(Debug)]
pub struct CoreServices {
    /// The connected Firefox clients.
    pub bridge: bridge::BridgeHub,
    /// The browser requests.
    pub relay: relay::RelayHub,
    /// Rate limits, back-off and circuits.
    pub policy: policy::PolicyHub,
    /// The event bus.
    pub events: events::EventBus,
    /// The mode and the name of this node.
    pub system: SystemControl,
    /// Commands and files of this machine.
    pub host: HostOperations,
    /// Records the host operations that callers requested directly.
    pub operations: OperationRecorder,
    /// Instructions in the messages of models.
    pub instructions: instructions::InstructionHub,
    /// The registered platforms.
    pub registry: Arc<PlatformRegistry>,
    /// The login records.
    pub records: records::RecordReader,
    /// The whole table of routes, served or not.
    pub routes: &'static [Route],
    /// Features that the configuration enables.
    pub features: Features,
    /// Facts that descriptions contain.
    pub facts: Facts,
    /// Section `server`.
    pub server: ServerSettings,
    /// The database.
    pub store: Store,
    /// Queue of rows for the database.
    pub write_behind: WriteBehind,
    /// The metrics of all modules.
    pub metrics: Metrics,
}

/// What all workers share: the services, and what the server itself keeps.
#[derive(Debug)]
pub struct ServerCore {
    services: CoreServices,
    /// The client of codexd, if one is configured.
    pub codex: Option<CodexdClient>,
    pub(super) origin_policy: Arc<OriginPolicy>,
    pub(super) authenticator: Authenticator,
    /// The packaged extension, built on the first request for it.
    pub(super) xpi: OnceLock<Bytes>,
    pub(super) started_at: Instant,
}

impl Deref for ServerCore {
    type Target = CoreServices;

    fn deref(&self) -> &CoreServices {
        &self.services
    }
}

impl ServerCore {
    /// Creates the core of the daemon behind `listening`; lowers `server.max_connections` to what the limit of open
    /// files allows.
    pub fn new(
        mut services: CoreServices,
        codex: &CodexSettings,
        auth: &AuthSettings,
        token: LiveToken,
        listening: &BoundListener,
    ) -> Self {
        let server = &mut services.server;
        let (asked, within) = (server.max_connections, server.connections_within(limits::open_file_limit()));
        if within < asked {
            tracing::warn!(
                asked,
                within,
                "server.max_connections was lowered to fit the limit of open files; raise that limit to allow more"
            );
            server.max_connections = within;
        }
        let address = listening.address;
        let trust = if address.ip().is_loopback() { auth.local_trust } else { LocalTrust::None };
        ServerCore {
            origin_policy: Arc::new(OriginPolicy::new(server, listening)),
            authenticator: Authenticator::new(token, trust, SessionStore::new(auth, address.port())),
            codex: CodexdClient::new(codex),
            services,
            xpi: OnceLock::new(),
            started_at: Instant::now(),
        }
    }
}
