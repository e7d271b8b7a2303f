//! What the routes work on: the daemon as the edge knows it.

use super::{
    callers::Callers,
    describe::Facts,
    listening::Listening,
    origins::Origins,
    route::Features,
    sessions::Sessions,
    settings::{Auth, LocalTrust, Server},
};
use crate::{
    bridge,
    codex::{Codexd, settings::Codex},
    events,
    host::{Host, limits},
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
use std::sync::{Arc, OnceLock};
use tokio::time::Instant;

/// What the routes work on. Shared by all workers.
#[derive(Debug)]
pub struct Core {
    /// The clients.
    pub bridge: bridge::Hub,
    /// The requests.
    pub relay: relay::RelayHub,
    /// The policy.
    pub policy: policy::PolicyHub,
    /// What happens.
    pub events: events::EventBus,
    /// The mode and the name of this node.
    pub system: SystemControl,
    /// Commands and files of this machine.
    pub host: Host,
    /// Where those are written down that a caller asked for by hand.
    pub operations: OperationRecorder,
    /// What models ask for.
    pub instructions: instructions::InstructionHub,
    /// The platforms.
    pub registry: Arc<PlatformRegistry>,
    /// Who is logged in where.
    pub records: records::RecordReader,
    pub(super) features: Features,
    pub(super) facts: Facts,
    /// The codexd, when one is configured.
    pub codex: Option<Codexd>,
    pub(super) server: Server,
    pub(super) origins: Arc<Origins>,
    pub(super) callers: Callers,
    pub(super) store: Store,
    pub(super) later: WriteBehind,
    pub(super) metrics: Metrics,
    /// The extension as one file, once somebody asked for it.
    pub(super) xpi: OnceLock<Bytes>,
    /// Since when it serves.
    pub(super) since: Instant,
}

/// What a [`Core`] is made of.
#[derive(Debug)]
#[expect(missing_docs, reason = "each field's type says what it is")]
pub struct Parts {
    pub bridge: bridge::Hub,
    pub relay: relay::RelayHub,
    pub policy: policy::PolicyHub,
    pub events: events::EventBus,
    pub system: SystemControl,
    pub host: Host,
    pub operations: OperationRecorder,
    pub instructions: instructions::InstructionHub,
    pub registry: Arc<PlatformRegistry>,
    pub records: records::RecordReader,
    pub features: Features,
    pub facts: Facts,
    pub codex: Codex,
    pub server: Server,
    pub auth: Auth,
    pub token: LiveToken,
    pub store: Store,
    pub later: WriteBehind,
    pub metrics: Metrics,
}

impl Core {
    /// The daemon that listens there.
    pub fn new(mut parts: Parts, listening: &Listening) -> Self {
        let (asked, within) = (parts.server.max_connections, parts.server.connections_within(limits::open_files()));
        if within < asked {
            tracing::warn!(
                asked,
                within,
                "the system gives too few open files for server.max_connections; raise its limit"
            );
            parts.server.max_connections = within;
        }
        let address = listening.address;
        let trust = if address.ip().is_loopback() { parts.auth.local_trust } else { LocalTrust::None };
        Core {
            origins: Arc::new(Origins::new(&parts.server, listening)),
            callers: Callers::new(parts.token, trust, Sessions::new(&parts.auth, address.port())),
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
            features: parts.features,
            facts: parts.facts,
            codex: Codexd::new(&parts.codex),
            server: parts.server,
            store: parts.store,
            later: parts.later,
            metrics: parts.metrics,
            xpi: OnceLock::new(),
            since: Instant::now(),
        }
    }
}
