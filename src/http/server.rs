//! The listener and its server: limits of connections and heads, one application per worker over the same daemon.

use super::{
    callers::{Callers, Peer},
    connections::Connections,
    describe::Facts,
    listening::Listening,
    origins::Origins,
    route::Features,
    routes,
    sessions::Sessions,
    settings::{Auth, LocalTrust, Server},
};
use crate::{
    bridge,
    codex::{Codexd, settings::Codex},
    events,
    host::Host,
    instructions,
    line::Line,
    platforms::registry::Registry,
    policy, records, relay,
    runs::Operations,
    state_folder::LiveToken,
    store::{Later, Store},
    system::System,
    telemetry::metrics::Metrics,
    watchdog::Watchdog,
};
use actix_web::{
    App, HttpServer,
    dev::{self, Extensions},
    rt::net::TcpStream,
    web,
};
use bytes::Bytes;
use std::{
    any::Any,
    io,
    os::fd::AsFd,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::Instant;

/// How a running server is paused and stopped; given out here so that only the edge names its library.
pub use actix_web::dev::ServerHandle;

/// Bytes of an answer that are gathered before more of it is asked for; a stream whose reader does not read keeps about
/// this much beside what its own limits allow.
const WRITE_BUFFER_BYTES: usize = 8 << 10;
/// How old the time may be by which the HTTP library sets the deadline of a head: it reads the clock twice a second.
const CLOCK_STEP: Duration = Duration::from_millis(500);

/// What the routes work on. Shared by all workers.
#[derive(Debug)]
pub struct Core {
    /// The clients.
    pub bridge: bridge::Hub,
    /// The requests.
    pub relay: relay::Hub,
    /// The policy.
    pub policy: policy::Hub,
    /// What happens.
    pub events: events::Bus,
    /// The mode and the name of this node.
    pub system: System,
    /// Commands and files of this machine.
    pub host: Host,
    /// Where those are written down that a caller asked for by hand.
    pub operations: Operations,
    /// What models ask for.
    pub instructions: instructions::Hub,
    /// The platforms.
    pub registry: Arc<Registry>,
    /// Who is logged in where.
    pub records: records::Reader,
    pub(super) features: Features,
    pub(super) facts: Facts,
    /// The codexd, when one is configured.
    pub codex: Option<Codexd>,
    pub(super) server: Server,
    pub(super) origins: Arc<Origins>,
    pub(super) callers: Callers,
    pub(super) store: Store,
    pub(super) later: Later,
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
    pub relay: relay::Hub,
    pub policy: policy::Hub,
    pub events: events::Bus,
    pub system: System,
    pub host: Host,
    pub operations: Operations,
    pub instructions: instructions::Hub,
    pub registry: Arc<Registry>,
    pub records: records::Reader,
    pub features: Features,
    pub facts: Facts,
    pub codex: Codex,
    pub server: Server,
    pub auth: Auth,
    pub token: LiveToken,
    pub store: Store,
    pub later: Later,
    pub metrics: Metrics,
}

impl Core {
    /// The daemon that listens there.
    pub fn new(parts: Parts, listening: &Listening) -> Self {
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

/// Serves, each worker watched. Signals are the caller's business.
///
/// # Errors
///
/// The listener cannot be used.
pub fn run(listening: Listening, core: Arc<Core>, watchdog: Watchdog) -> io::Result<dev::Server> {
    let connections = core.server.max_connections - core.server.status_connections();
    let server = core.server.clone();
    serve(listening, &server, connections, move |config| {
        // Called on each worker's own thread.
        watchdog.watch("http worker");
        routes::configure(config, &core);
    })
}

/// Serves the few routes of the read-only listener, on a part of the connections that there may be.
///
/// # Errors
///
/// The listener cannot be used.
pub fn run_read_only(listening: Listening, core: Arc<Core>, watchdog: Watchdog) -> io::Result<dev::Server> {
    let origins = Arc::new(Origins::new(&core.server, &listening));
    let server = core.server.clone();
    let connections = server.status_connections();
    serve(listening, &server, connections, move |config| {
        watchdog.watch("status worker");
        routes::read_only::configure(config, &core, &origins);
    })
}

fn serve(
    listening: Listening,
    server: &Server,
    connections_max: usize,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<dev::Server> {
    let workers = server.workers.max(1);
    let (head, stop) = (server.head_timeout_ms, server.shutdown_timeout_ms);
    let app = move || App::new().configure(&configure);
    // Held for as long as anybody can connect.
    let twin = listening.twin;
    let connections = Arc::<Connections>::default();
    Arc::clone(&connections).watch(server.idle_max() + CLOCK_STEP);
    let remember = move |connection: &dyn Any, extensions: &mut Extensions| {
        let _ = &twin;
        remember(&connections, connection, extensions);
    };
    Ok(HttpServer::new(app)
        .workers(workers)
        .max_connections(connections_max.div_ceil(workers))
        .keep_alive(Duration::from_millis(server.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(head) + CLOCK_STEP)
        // A caller that is gone must be noticed at once: its request is cancelled.
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .shutdown_timeout(stop.div_ceil(1_000))
        .disable_signals()
        .on_connect(remember)
        .listen(listening.listener)?
        .run())
}

/// Notes whose connection it is, and keeps a second handle of it: the way to cut it when its peer does not read.
fn remember(connections: &Arc<Connections>, connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let (Ok(address), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let line = stream.as_fd().try_clone_to_owned().ok().map(|fd| Line::new(fd.into()));
    extensions.insert(Peer::new(connections.enter(line), address, local));
}
