//! The server: an acceptor and its workers, each worker a thread with its own instance of the application.

use super::{
    ServerCore,
    acceptor::{AcceptedConnection, Acceptor, AcceptorControl},
    authenticator::PeerConnection,
    connection_quota::ConnectionLimits,
    connections::ConnectionTable,
    listener::{BoundListener, OppositeFamilyPort},
    origin_policy::OriginPolicy,
    routes,
    settings::ServerSettings,
    tcp::PacedTcpStream,
};
use crate::watchdog::Watchdog;
use actix_http::{HttpService, Protocol};
use actix_rt::Arbiter;
use actix_service::map_config;
use actix_web::{
    App,
    dev::{AppConfig, Service, ServiceFactory},
    web,
};
use parking_lot::Mutex;
use std::{io, sync::Arc, time::Duration};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Bytes of a response that are buffered before its body is polled again. A stream to a reader that does not read keeps
/// about this much besides its own buffers.
const WRITE_BUFFER_BYTES: usize = 8 << 10;
/// Error of the HTTP library's deadlines for request heads: it reads the clock twice a second.
const CLOCK_GRANULARITY: Duration = Duration::from_millis(500);
/// How often the token file is checked, so that what a replaced token granted ends within a second.
const TOKEN_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The handle of a running server.
#[derive(Debug)]
pub struct ServerHandle {
    control: Arc<AcceptorControl>,
    threads: Mutex<Vec<Arbiter>>,
    /// Keeps the port reserved for as long as the server runs.
    _opposite_port: OppositeFamilyPort,
}

impl ServerHandle {
    /// Stops accepting connections. Open ones stay.
    pub fn pause(&self) {
        self.control.pause();
    }

    /// Ends all connections and joins the threads.
    pub async fn stop(&self) {
        self.control.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in &threads {
            thread.stop();
        }
        let joined = actix_rt::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::error!("a thread of the server ended by a panic");
        }
    }
}

/// Starts the main server, with every worker watched. Signals are left to the caller.
pub fn run(listening: BoundListener, core: Arc<ServerCore>, watchdog: &Watchdog) -> io::Result<ServerHandle> {
    let connections = core.server.max_connections - core.server.status_connections();
    let server = core.server.clone();
    let checked_core = Arc::clone(&core);
    let workers = watchdog.clone();
    let handle = start_server(listening, &server, connections, watchdog, move |config| {
        // Runs on the worker's own thread.
        workers.watch("http worker");
        routes::configure(config, &core);
    })?;
    handle.spawn(async move {
        loop {
            tokio::time::sleep(TOKEN_CHECK_INTERVAL).await;
            checked_core.authenticator.check_token();
        }
    });
    Ok(handle)
}

/// Starts the read-only server, with its share of the connections.
pub fn run_read_only(listening: BoundListener, core: Arc<ServerCore>, watchdog: &Watchdog) -> io::Result<ServerHandle> {
    let origin_policy = Arc::new(OriginPolicy::new(&core.server, &listening));
    let server = core.server.clone();
    let connections = server.status_connections();
    let workers = watchdog.clone();
    start_server(listening, &server, connections, watchdog, move |config| {
        workers.watch("status worker");
        routes::read_only::configure(config, &core, &origin_policy);
    })
}

fn start_server(
    listening: BoundListener,
    server: &ServerSettings,
    connections_max: usize,
    watchdog: &Watchdog,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<ServerHandle> {
    let BoundListener { listener, opposite_port, .. } = listening;
    let connections = Arc::<ConnectionTable>::default();
    let mut threads = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..server.workers.max(1) {
        let (sender, accepted) = unbounded_channel();
        let thread = Arbiter::new();
        let (server, connections, configure) = (server.clone(), Arc::clone(&connections), configure.clone());
        thread.spawn_fn(move || drop(actix_rt::spawn(run_worker(accepted, server, connections, configure))));
        threads.push(thread);
        workers.push(sender);
    }
    let control = Arc::new(AcceptorControl::new(ConnectionLimits {
        connections: connections_max,
        connects_per_second: server.max_foreign_connects_per_second,
        requests_per_second: server.max_foreign_requests_per_second,
    }));
    let (acceptor, watchdog, idle) = (Arbiter::new(), watchdog.clone(), server.idle_max() + CLOCK_GRANULARITY);
    let acceptor_control = Arc::clone(&control);
    acceptor.spawn_fn(move || {
        watchdog.watch("acceptor");
        connections.spawn_idle_checks(idle);
        match Acceptor::new(listener, acceptor_control, workers, ServerSettings::queue_max_for(connections_max)) {
            Ok(acceptor) => drop(actix_rt::spawn(acceptor.run())),
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                Arbiter::current().stop(); // the watchdog ends the process
            }
        }
    });
    // The acceptor is stopped first: a connection that it hands over later is dropped.
    threads.insert(0, acceptor);
    Ok(ServerHandle { control, threads: Mutex::new(threads), _opposite_port: opposite_port })
}

impl ServerHandle {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(thread) = self.threads.lock().first() {
            thread.spawn(task);
        }
    }
}

/// Runs a worker: serves each accepted connection in a task of its own.
async fn run_worker(
    mut accepted: UnboundedReceiver<AcceptedConnection>,
    server: ServerSettings,
    connections: Arc<ConnectionTable>,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + 'static,
) {
    let http = HttpService::build()
        .keep_alive(Duration::from_millis(server.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(server.head_timeout_ms) + CLOCK_GRANULARITY)
        // Detects a caller that disconnected, so that its request is cancelled at once.
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .on_connect_ext(|tcp: &PacedTcpStream, data| {
            if let Some(peer) = tcp.take_peer() {
                data.insert(peer);
            }
        })
        .finish(map_config(App::new().configure(configure), |()| AppConfig::default()));
    let Ok(service) = http.new_service(()).await else {
        tracing::error!("the routes cannot be served");
        Arbiter::current().stop(); // the watchdog ends the process
        return;
    };
    while let Some(AcceptedConnection { stream, peer, local, permit }) = accepted.recv().await {
        match PacedTcpStream::new(stream, |line| {
            PeerConnection::new(connections.register(line).with_permit(permit), peer, local)
        }) {
            Ok(tcp) => {
                let connection = service.call((tcp, Protocol::Http1, Some(peer)));
                actix_rt::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                });
            }
            Err(error) => tracing::debug!(%error, "a connection cannot be served"),
        }
    }
}
