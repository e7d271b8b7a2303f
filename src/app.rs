//! The composition root: creates the parts of the daemon, connects them, and stops them in order.
//!
//! Order of a stop: stop accepting connections, start no instruction, end every request with its last frame, let commands
//! finish or end them, record the results of instructions, end the event streams, close the sockets with 1001, write the
//! queued rows, stop the servers. All steps together are bounded by `server.shutdown_timeout_ms`.

mod startup;
mod store_identity;

pub(crate) use startup::host_setup;

use crate::{
    bridge::{self, DaemonIdentity, WS_PATH},
    clock::Clock,
    config::Config,
    events, heap,
    host::{self, HostOperations},
    http::{self, CoreServices, Facts, Features, ServerCore, ServerHandle},
    instructions, policy, records, relay,
    relay::RequestJournal,
    runs::OperationRecorder,
    state_folder::{Announcement, StateError, StateFolder, TokenError},
    store::{OpenError, Retention, Store, StoreError, WriteBehind},
    system::SystemControl,
    telemetry::metrics::Metrics,
    watchdog::Watchdog,
};
use startup::{
    exit_on_thread_death, listen, mark_interrupted_work, quarantine_if_damaged, warn_about_instructions, watch_threads,
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Set to 1: requests are not recorded in the journal. For measuring its cost.
const NO_JOURNAL: &str = "BAA_BENCH_NO_JOURNAL";

/// Maximum time for readers of events to receive the last ones.
const EVENT_READERS_TIMEOUT: Duration = Duration::from_secs(1);

/// Minimum time for the sockets to close, even if commands took all of the shutdown timeout.
const SOCKET_CLOSE_MIN: Duration = Duration::from_millis(500);
/// Minimum time for writing the queued rows.
const STORE_FLUSH_MIN: Duration = Duration::from_secs(2);
/// Minimum time for the store to move its log into the database.
const STORE_CLOSE_MIN: Duration = Duration::from_secs(1);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens on the address.
    #[error("address {0} is in use")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The configured value is not an address.
    #[error("server.listen is not an address")]
    NoAddress,
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A damaged database cannot be moved aside.
    #[error("database {path} cannot be moved aside: {source}")]
    Quarantine {
        /// Path of the database.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("no thread can be started: {0}")]
    Thread(io::Error),
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Store(#[from] StoreError),
}

/// How to handle a damaged database at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedDatabase {
    /// The start fails; the database stays unchanged.
    Refuse,
    /// The database is moved aside and a new one is created; instructions are off until the operator enables them.
    Quarantine,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    core: Arc<ServerCore>,
    /// Server of the main listener, then of the read-only one.
    servers: Vec<ServerHandle>,
    store: Store,
    write_behind: WriteBehind,
    shutdown_timeout: Duration,
    watchdog: Watchdog,
    _announcement: Announcement,
    /// Dropped last, since it holds the lock of the folder.
    _state: StateFolder,
}

impl Daemon {
    /// Starts a daemon on a state folder. It serves on threads of its own.
    ///
    /// # Errors
    ///
    /// A part cannot be started; nothing is left running.
    pub async fn start(config: &Config, state_dir: &Path, on_damage: DamagedDatabase) -> Result<Self, StartError> {
        host::limits::raise_open_file_limit();
        host::limits::survive_file_size_limit();
        host::limits::protect_process();
        heap::use_single_arena();
        let clock = Clock::System;
        if let Some(warning) = config.local_trust_warning() {
            tracing::warn!("{warning}; remove auth.local_trust or set it to \"none\"");
        }
        let state = StateFolder::open(state_dir)?;
        let address = config.server.address().ok_or(StartError::NoAddress)?;
        let listening = listen(config, address)?;
        let read_only = config.server.status_address().map(|address| listen(config, address)).transpose()?;
        let token = state.live_token(&config.auth)?;
        let database = config.store.file(state.path());
        if on_damage == DamagedDatabase::Quarantine {
            quarantine_if_damaged(&database, state.path(), clock)?;
        }
        let registry = Arc::new(config.registry());
        let metrics = Metrics::new(registry.names());
        let store = Store::open(&database, &config.store)?.timed(metrics.store.clone());
        store_identity::verify_store_identity(&store, state.path()).await?;
        warn_about_instructions(config, state.path());
        let write_behind = WriteBehind::start(store.clone(), &config.store, &config.login_state);
        let journal = if std::env::var_os(NO_JOURNAL).is_some_and(|on| on == "1") {
            tracing::warn!("{NO_JOURNAL} is set: requests are not recorded");
            RequestJournal::off()
        } else {
            RequestJournal::open(store.clone(), write_behind.clone(), clock.now_ms()).await?
        };

        let identity = identity(config, listening.address, clock);
        // A later process assigns higher ids, see `EventBus::new`.
        let first_id = u64::try_from(identity.started_at).unwrap_or_default().saturating_mul(1_000);
        let events = events::EventBus::new(first_id, config.server.events_kept);
        let system = SystemControl::open(store.clone(), events.clone(), clock, config.node.clone()).await?;
        let pairings = bridge::Pairings::open(store.clone(), &config.bridge, events.clone(), clock).await?;
        mark_interrupted_work(&store, clock).await;
        let retry = Duration::from_millis(config.store.retry_ms);
        let instructions = instructions::InstructionHub::new(instructions::InstructionParts {
            settings: config.instructions.clone(),
            operator_sandbox: config.host_ops.sandbox,
            state_dir: state.path().to_owned(),
            store: store.clone(),
            retry,
            system: system.clone(),
            events: events.clone(),
            clock,
            metrics: metrics.instructions.clone(),
        });
        let bridge = bridge::BridgeHub::new(bridge::BridgeParts {
            pairings,
            settings: Arc::new(config.bridge.clone()),
            login_state: config.login_state.clone(),
            identity: identity.clone(),
            registry: Arc::clone(&registry),
            system: system.clone(),
            clock,
            events: events.clone(),
            write_behind: write_behind.clone(),
            metrics: metrics.wire.clone(),
            final_messages: Arc::new(instructions.clone()),
        });
        let policy = policy::PolicyHub::new(policy::PolicyParts {
            settings: Arc::new(config.policy.clone()),
            clock,
            events: events.clone(),
            memory: policy::PolicyMemory::open(&store, write_behind.clone(), clock, config.policy.max_targets).await?,
            observer: policy::PolicyObserver::counting(metrics.policy.clone()),
        });
        let relay = relay::RelayHub::new(relay::RelayParts {
            bridge: bridge.clone(),
            policy: policy.clone(),
            journal,
            events: events.clone(),
            system: system.clone(),
            clock,
            requests_max: config.server.max_requests,
            stall: Duration::from_millis(config.server.sse_stall_timeout_ms),
            metrics: metrics.relay.clone(),
        });
        let records = records::RecordReader::new(
            store.clone(),
            write_behind.clone(),
            &config.login_state,
            &config.node.host,
            clock,
        );
        let services = CoreServices {
            bridge,
            relay,
            policy,
            system,
            host: HostOperations::new(host_setup(config, state.path())),
            operations: OperationRecorder::new(store.clone(), clock, retry, config.instructions.result_max_bytes),
            instructions: instructions.clone(),
            registry: Arc::clone(&registry),
            records,
            events,
            routes: http::ROUTES,
            features: Features::of(config),
            facts: Facts::of(config),
            server: config.server.clone(),
            store: store.clone(),
            write_behind: write_behind.clone(),
            metrics,
        };
        let core = Arc::new(ServerCore::new(services, &config.codex, &config.auth, token, &listening));
        let execute = Arc::new(http::LocalExecutor::new(Arc::downgrade(&core)));
        instructions.start(instructions::InstructionServices { execute, relay: core.relay.clone(), registry });
        let watchdog = Watchdog::start(Duration::from_millis(config.server.watchdog_timeout_ms), exit_on_thread_death)
            .map_err(StartError::Thread)?;
        let address = listening.address;
        let running = http::run(listening, Arc::clone(&core), &watchdog)
            .map_err(|source| StartError::Listen { address, source })?;
        let mut servers = vec![running];
        if let Some(listening) = read_only {
            let address = listening.address;
            let running = http::run_read_only(listening, Arc::clone(&core), &watchdog)
                .map_err(|source| StartError::Listen { address, source })?;
            servers.push(running);
            tracing::info!(http = %format!("http://{address}"), "serving the status, read-only");
        }
        let announcement = state.announce(&identity.local_api_base, &identity.ws_url, identity.started_at)?;
        Retention::start(store.clone(), &config.store, clock);
        core.host.sweep();
        tracing::info!(http = identity.local_api_base, ws = identity.ws_url, version = crate::VERSION, "serving");
        watch_threads(&watchdog, &store, &write_behind);
        heap::trim_periodically(Duration::from_millis(config.server.memory_look_ms));
        let shutdown_timeout = Duration::from_millis(config.server.shutdown_timeout_ms);
        Ok(Daemon {
            core,
            servers,
            store,
            write_behind,
            shutdown_timeout,
            watchdog,
            _announcement: announcement,
            _state: state,
        })
    }

    /// Returns its addresses, names and start time.
    pub fn identity(&self) -> &DaemonIdentity {
        self.core.bridge.identity()
    }

    /// Stops the daemon in order.
    pub async fn stop(self) {
        self.watchdog.disarm();
        let until = Instant::now() + self.shutdown_timeout;
        let late = |step: &str| tracing::warn!(step, "did not end in time");
        tracing::info!("stopping");
        for server in &self.servers {
            server.pause();
        }
        self.core.instructions.stop();
        self.core.relay.stop();
        if timeout_at(until, self.core.relay.stopped()).await.is_err() {
            late("requests");
        }
        self.core.host.close(until).await;
        if timeout_at(until.max(Instant::now() + STORE_FLUSH_MIN), self.core.instructions.stopped()).await.is_err() {
            late("instructions");
        }
        self.core.events.close();
        self.core.bridge.stop();
        if timeout_at(until.max(Instant::now() + SOCKET_CLOSE_MIN), self.core.bridge.stopped()).await.is_err() {
            late("sockets");
        }
        if timeout_at(until.max(Instant::now() + STORE_FLUSH_MIN), self.core.policy.persist()).await.is_err() {
            late("policy");
        }
        self.close_store(until).await;
        // A reader that does not read is not waited for any longer.
        if timeout_at(until.min(Instant::now() + EVENT_READERS_TIMEOUT), self.core.events.closed()).await.is_err() {
            late("readers of events");
        }
        for server in &self.servers {
            server.stop().await;
        }
        tracing::info!("stopped");
    }

    /// Writes the queued rows and closes the store, each with a minimum time of its own, so that what callers received is not
    /// lost. Closes the store even if the rows cannot be written.
    async fn close_store(&self, until: Instant) {
        let lost = |reason: String| {
            tracing::error!(reason, rows = self.write_behind.waiting(), "queued rows of the store are lost");
        };
        match timeout_at(until.max(Instant::now() + STORE_FLUSH_MIN), self.write_behind.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lost(error.to_string()),
            Err(_) => lost("the rows could not be written in time".to_owned()),
        }
        match timeout_at(until.max(Instant::now() + STORE_CLOSE_MIN), self.store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store was not closed cleanly"),
            Err(_) => tracing::warn!(step = "store", "did not end in time"),
        }
    }
}

fn identity(config: &Config, listening: SocketAddr, clock: Clock) -> DaemonIdentity {
    DaemonIdentity {
        host: config.node.host.clone(),
        identity: config.node.id.clone(),
        ws_path: WS_PATH,
        ws_url: format!("ws://{listening}{WS_PATH}"),
        local_api_base: format!("http://{listening}"),
        started_at: clock.now_ms(),
    }
}
