//! The server: an acceptor and its workers. Each worker is a thread with one application over the same daemon.

use super::{
    Core,
    accept::{Accepted, Acceptor, Gate},
    callers::Peer,
    connections::Connections,
    listening::{Listening, Twin},
    origins::Origins,
    routes,
    settings::Server,
    shares::Bounds,
    tcp::Tcp,
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
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Bytes of an answer that are gathered before more of it is asked for; a stream whose reader does not read keeps about
/// this much beside what its own limits allow.
const WRITE_BUFFER_BYTES: usize = 8 << 10;
/// How old the time may be by which the HTTP library sets the deadline of a head: it reads the clock twice a second.
const CLOCK_STEP: Duration = Duration::from_millis(500);
/// How often it is looked whether the token has become another one: what an earlier one opened ends within a second.
const TOKEN_LOOK: Duration = Duration::from_millis(250);

/// The handle of a running server.
#[derive(Debug)]
pub struct ServerHandle {
    gate: Arc<Gate>,
    threads: Mutex<Vec<Arbiter>>,
    /// Held for as long as anybody can connect.
    _twin: Twin,
}

impl ServerHandle {
    /// Accepts no more connections. Those that are there stay.
    pub fn pause(&self) {
        self.gate.pause();
    }

    /// Ends all connections and the threads that served them.
    pub async fn stop(&self) {
        self.gate.stop();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in &threads {
            thread.stop();
        }
        let joined = actix_rt::task::spawn_blocking(|| threads.into_iter().all(|thread| thread.join().is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::error!("a thread of the server ended by a panic");
        }
    }
}

/// Serves, each worker watched. Signals are the caller's business.
///
/// # Errors
///
/// The listener cannot be used.
pub fn run(listening: Listening, core: Arc<Core>, watchdog: &Watchdog) -> io::Result<ServerHandle> {
    let connections = core.server.max_connections - core.server.status_connections();
    let server = core.server.clone();
    let looking = Arc::clone(&core);
    let workers = watchdog.clone();
    let handle = serve(listening, &server, connections, watchdog, move |config| {
        // Called on each worker's own thread.
        workers.watch("http worker");
        routes::configure(config, &core);
    })?;
    handle.spawn(async move {
        loop {
            tokio::time::sleep(TOKEN_LOOK).await;
            looking.callers.look();
        }
    });
    Ok(handle)
}

/// Serves the few routes of the read-only listener, on a part of the connections that there may be.
///
/// # Errors
///
/// The listener cannot be used.
pub fn run_read_only(listening: Listening, core: Arc<Core>, watchdog: &Watchdog) -> io::Result<ServerHandle> {
    let origins = Arc::new(Origins::new(&core.server, &listening));
    let server = core.server.clone();
    let connections = server.status_connections();
    let workers = watchdog.clone();
    serve(listening, &server, connections, watchdog, move |config| {
        workers.watch("status worker");
        routes::read_only::configure(config, &core, &origins);
    })
}

fn serve(
    listening: Listening,
    server: &Server,
    connections_max: usize,
    watchdog: &Watchdog,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<ServerHandle> {
    let Listening { listener, twin, .. } = listening;
    let connections = Arc::<Connections>::default();
    let mut threads = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..server.workers.max(1) {
        let (hand_over, accepted) = unbounded_channel();
        let thread = Arbiter::new();
        let (server, connections, configure) = (server.clone(), Arc::clone(&connections), configure.clone());
        thread.spawn_fn(move || drop(actix_rt::spawn(work(accepted, server, connections, configure))));
        threads.push(thread);
        workers.push(hand_over);
    }
    let gate = Arc::new(Gate::new(Bounds {
        connections: connections_max,
        connects_per_second: server.max_foreign_connects_per_second,
        requests_per_second: server.max_foreign_requests_per_second,
    }));
    let (acceptor, watchdog, idle) = (Arbiter::new(), watchdog.clone(), server.idle_max() + CLOCK_STEP);
    let at_gate = Arc::clone(&gate);
    acceptor.spawn_fn(move || {
        watchdog.watch("acceptor");
        connections.watch(idle);
        match Acceptor::new(listener, at_gate, workers, Server::waiting_of(connections_max)) {
            Ok(acceptor) => drop(actix_rt::spawn(acceptor.run())),
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted");
                Arbiter::current().stop(); // the watchdog ends the process
            }
        }
    });
    // The acceptor first: what it hands over afterwards is dropped.
    threads.insert(0, acceptor);
    Ok(ServerHandle { gate, threads: Mutex::new(threads), _twin: twin })
}

impl ServerHandle {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(thread) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).first() {
            thread.spawn(work);
        }
    }
}

/// A worker: serves what it is handed over, each connection as a task of its own.
async fn work(
    mut accepted: UnboundedReceiver<Accepted>,
    server: Server,
    connections: Arc<Connections>,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + 'static,
) {
    let http = HttpService::build()
        .keep_alive(Duration::from_millis(server.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(server.head_timeout_ms) + CLOCK_STEP)
        // A caller that is gone must be noticed at once: its request is cancelled.
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(WRITE_BUFFER_BYTES)
        .on_connect_ext(|tcp: &Tcp, data| {
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
    while let Some(Accepted { stream, peer, local, place }) = accepted.recv().await {
        match Tcp::new(stream, |line| Peer::new(connections.enter(line).at(place), peer, local)) {
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
