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
    pub(super) routes: &'static [Route],
    pub(super) features: Features,
    pub(super) facts: Facts,
    /// The client of codexd, if one is configured.
    pub codex: Option<CodexdClient>,
    pub(super) origin_policy: Arc<OriginPolicy>,
    pub(super) authenticator: Authenticator,
    /// The packaged extension, built on the first request for it.
    pub(super) xpi: OnceLock<Bytes>,
    pub(super) started_at: Instant,
}

/// The parts that a [`ServerCore`] is made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "each field's type says what it is")]
pub struct ServerCoreParts {
    pub bridge: bridge::BridgeHub,
    pub relay: relay::RelayHub,
    pub policy: policy::PolicyHub,
    pub events: events::EventBus,
    pub system: SystemControl,
    pub host: HostOperations,
    pub operations: OperationRecorder,
    pub instructions: instructions::InstructionHub,
    pub registry: Arc<PlatformRegistry>,
    pub records: records::RecordReader,
    pub routes: &'static [Route],
    pub features: Features,
    pub facts: Facts,
    pub codex: CodexSettings,
    pub server: ServerSettings,
    pub auth: AuthSettings,
    pub token: LiveToken,
    pub store: Store,
    pub write_behind: WriteBehind,
    pub metrics: Metrics,
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
            origin_policy: Arc::new(OriginPolicy::new(&parts.server, listening)),
            authenticator: Authenticator::new(parts.token, trust, SessionStore::new(&parts.auth, address.port())),
            bridge: parts.bridge,
            relay: parts.relay,
            policy: parts.policy,
            events: parts.events,
            system: parts.system,
            host: parts.host,
            operations: parts.operations,
            instructions: parts.instructions,
            registry: parts.registry,
            records: parts.records,
            routes: parts.routes,
            features: parts.features,
            facts: parts.facts,
            codex: CodexdClient::new(&parts.codex),
            server: parts.server,
            store: parts.store,
            write_behind: parts.write_behind,
            metrics: parts.metrics,
            xpi: OnceLock::new(),
            started_at: Instant::now(),
        }
    }
}
