//! Another user, or another machine, that takes all it can get: connections of every kind, and as many new ones as the
//! system makes. The daemon's own user still gets in, on new connections too.

use super::{
    Bystander, at_full_size,
    crowds::{back, warm},
    unharmed,
};
use crate::support::{
    Connection, Daemon, Folder, until,
    users::{STRANGER, User, has_other_users},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::time::Instant;

const LOOKS_OFTEN: &str = "server.memory_look_ms = 50\n";

/// What each connection of a crowd does, repeatedly; a closed one is replaced.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing.
    Silent,
    /// One probe.
    Probes,
    /// One byte of an endless request head.
    SlowHeads,
    /// One header line of the largest allowed length, a byte at a time.
    LongHeads,
    /// As many probes as fit, without reading responses.
    Pipelines,
    /// A wrong token.
    WrongTokens,
    /// The handshake of a Firefox that sends nothing more.
    Handshakes,
    /// Closes at once.
    Storm,
}

impl Kind {
    fn bytes(self, address: SocketAddr, turn: usize) -> Vec<u8> {
        let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{more}\r\n").into_bytes();
        match self {
            Kind::Silent | Kind::Storm => Vec::new(),
            Kind::Probes => get("/health", ""),
            Kind::SlowHeads => vec![get("/health", "")[turn % 20]],
            Kind::LongHeads if turn == 0 => {
                [&get("/health", "x: ")[..], &[b'x'; 60 << 10]].concat()[..60 << 10].to_vec()
            }
            Kind::LongHeads => vec![b'x'],
            Kind::Pipelines => get("/health", "").repeat(200),
            Kind::WrongTokens => get("/v1/browser", "authorization: Bearer wrong\r\n"),
            Kind::Handshakes => get(
                "/ws/firefox",
                "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            ),
        }
    }

    /// Pause between two rounds of all its connections.
    fn pause(self) -> Duration {
        match self {
            Kind::LongHeads | Kind::Pipelines | Kind::Storm => Duration::from_millis(1),
            _ => Duration::from_millis(50),
        }
    }
}

/// Connections of another user that are always open, on a thread of that user's own.
struct Crowd {
    over: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    cut: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Crowd {
    fn of(user: User, address: SocketAddr, many: usize, kind: Kind) -> Self {
        let (over, rounds, cut) = <(Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (is_over, counted, ended) = (Arc::clone(&over), Arc::clone(&rounds), Arc::clone(&cut));
        let work = move || {
            // Its share of the processor is the system's matter.
            rustix::process::nice(19).unwrap();
            let mut sockets: Vec<Option<(TcpStream, usize)>> = Vec::new();
            sockets.resize_with(many, || None);
            while !is_over.load(Relaxed) {
                for place in &mut sockets {
                    if is_over.load(Relaxed) {
                        break;
                    }
                    match place {
                        None => *place = connect(address).map(|socket| (socket, 0)),
                        Some((socket, turn)) => {
                            let alive = act(socket, &kind.bytes(address, *turn));
                            *turn += 1;
                            if !alive {
                                ended.fetch_add(1, Relaxed);
                            }
                            if !alive || matches!(kind, Kind::Storm) {
                                *place = None;
                            }
                        }
                    }
                }
                counted.fetch_add(1, Relaxed);
                std::thread::sleep(kind.pause());
            }
        };
        let thread = std::thread::spawn(move || user.makes(work));
        Crowd { over, rounds, cut, thread }
    }

    /// Waits until each connection had its turn twice.
    async fn is_there(&self) {
        until("the crowd", async || (self.rounds.load(Relaxed) >= 3).then_some(())).await;
    }

    async fn leaves(self) -> usize {
        self.over.store(true, Relaxed);
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().unwrap();
        self.cut.load(Relaxed)
    }
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    // If the daemon accepts no more, a waiting connection must not delay the others.
    let socket = TcpStream::connect_timeout(&address, Duration::from_millis(20)).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Writes what can be written and reads what is there; returns whether the connection is still open.
fn act(socket: &mut TcpStream, bytes: &[u8]) -> bool {
    let blocked = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
    let written = bytes.is_empty() || socket.write(bytes).map_or_else(blocked, |_| true);
    let mut answer = [0; 16 << 10];
    written && socket.read(&mut answer).map_or_else(blocked, |read| read > 0)
}

/// Makes new connections of the owner, one after the other; returns how long each took.
async fn newcomers(daemon: &Daemon, what: &str) {
    let mut taken = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        assert_eq!(daemon.caller().get("/v1/browser").await.status, 200);
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    eprintln!("{what}: new connections of the owner, p50 {:?}, p99 {:?}", taken[50], taken[99]);
}

async fn holds_out(kind: Kind, users: u32) {
    if !has_other_users() {
        return;
    }
    let (settings, many) = if at_full_size() { ("", 1_400) } else { ("server.max_connections = 64\n", 120) };
    let daemon = Daemon::start(&format!("{LOOKS_OFTEN}{settings}")).await;
    let before = warm(&daemon).await;
    let each = many / users as usize;
    let crowds: Vec<_> = (0..users).map(|n| Crowd::of(User::numbered(n), daemon.address, each, kind)).collect();
    for crowd in &crowds {
        crowd.is_there().await;
    }
    let what = format!("{many} of {users} users, {kind:?}");
    let others = Bystander::watching(&daemon).await;
    newcomers(&daemon, &what).await;
    others.tell(&what).await;
    let mut cut = 0;
    for crowd in crowds {
        cut += crowd.leaves().await;
    }
    eprintln!("{what}: {cut} were cut");
    back(&daemon, before, &what).await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn probes_on_kept_connections() {
    holds_out(Kind::Probes, 1).await;
}

#[actix_rt::test]
async fn probes_on_kept_connections_of_many_users() {
    holds_out(Kind::Probes, 8).await;
}

#[actix_rt::test]
async fn connections_that_say_nothing() {
    holds_out(Kind::Silent, 1).await;
}

#[actix_rt::test]
async fn heads_that_trickle() {
    holds_out(Kind::SlowHeads, 1).await;
}

#[actix_rt::test]
async fn long_heads_that_trickle() {
    holds_out(Kind::LongHeads, 2).await;
}

#[actix_rt::test]
async fn pipelines_of_probes() {
    holds_out(Kind::Pipelines, 2).await;
}

#[actix_rt::test]
async fn wrong_tokens() {
    holds_out(Kind::WrongTokens, 1).await;
}

#[actix_rt::test]
async fn handshakes_that_stay() {
    holds_out(Kind::Handshakes, 2).await;
}

#[actix_rt::test]
async fn a_storm_of_connections() {
    holds_out(Kind::Storm, 2).await;
}

/// Returns whether a connection is served.
async fn is_served(connection: &mut Connection, daemon: &Daemon) -> bool {
    let head = daemon.caller().head("GET", "/health", None);
    connection.try_write(&head).await.is_ok() && connection.try_read_exactly(12).await.is_some() && {
        connection.rest_of_answer().await;
        true
    }
}

async fn takes(user: User, daemon: &Daemon, many: usize) -> Vec<Connection> {
    let mut held = Vec::new();
    for _ in 0..many {
        let mut connection = user.opens(daemon.address);
        if is_served(&mut connection, daemon).await {
            held.push(connection);
        }
    }
    held
}

#[actix_rt::test]
async fn a_user_holds_a_quarter_and_all_others_together_three() {
    if !has_other_users() {
        return;
    }
    let daemon = Daemon::start("server.max_connections = 16\nserver.keep_alive_ms = 60000").await;
    let mut first = takes(User::numbered(0), &daemon, 10).await;
    assert_eq!(first.len(), 4, "a quarter");
    let mut others = Vec::new();
    for n in 1..4 {
        others.push(takes(User::numbered(n), &daemon, 6).await);
    }
    assert_eq!(others.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 0], "the last quarter is the owner's");
    let mut own = Vec::new();
    for _ in 0..4 {
        let mut connection = daemon.caller().open().await;
        assert!(is_served(&mut connection, &daemon).await);
        own.push(connection);
    }
    // All slots are taken: the owner's next connection waits for one and is not refused.
    let caller = daemon.caller();
    let mut waits = caller.open().await;
    waits.write(&caller.head("GET", "/health", None)).await;
    assert!(is_served(&mut first[0], &daemon).await, "who has a place keeps it");
    drop(own.pop());
    assert_eq!(waits.answer(false).await.data()["status"], "ok");
    // A released slot is free for the next connection of that user, and the owner may take all that the others leave.
    drop(waits);
    drop(first.pop());
    until("another place", async || takes(User::numbered(0), &daemon, 1).await.pop()).await;
    drop((first, others));
    let mut all = Vec::new();
    for n in 0..12 {
        let mut connection = daemon.caller().open().await;
        assert!(is_served(&mut connection, &daemon).await, "{n}");
        all.push(connection);
    }
}

#[actix_rt::test]
async fn what_is_refused_has_nothing_done() {
    if !has_other_users() {
        return;
    }
    let daemon = Daemon::start("server.max_connections = 4\nserver.keep_alive_ms = 60000").await;
    let held = takes(STRANGER, &daemon, 1).await;
    assert_eq!(held.len(), 1);
    let caller = daemon.caller();
    let counted = async || {
        let text = String::from_utf8(caller.get("/metrics").await.body).unwrap();
        let of_version = |line: &&str| line.starts_with("baa_http_requests_total{") && line.contains("/version");
        text.lines().filter(of_version).map(str::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..20 {
        let mut connection = STRANGER.opens(daemon.address);
        // It may be closed before this is written.
        let _ = connection.try_write(&caller.head("GET", "/version", None)).await;
        assert_eq!(connection.rest().await, b"", "cut, without an answer");
    }
    assert_eq!(counted().await, [""; 0]);
    drop(held);
}

#[actix_rt::test]
async fn the_read_only_listener_has_shares_too() {
    if !has_other_users() {
        return;
    }
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings =
        format!("server.max_connections = 128\nserver.status_listen = '{probe}'\nserver.keep_alive_ms = 60000");
    let daemon = Daemon::start(&settings).await;
    let opened: Vec<_> = (0..64).map(|n| User::numbered(n % 16).opens(probe)).collect();
    let caller = crate::support::Caller::new(probe);
    for _ in 0..2 {
        assert_eq!(caller.get("/v1/status").await.status, 200);
    }
    drop(opened);
    assert_eq!(daemon.caller().get("/health").await.status, 200);
}

/// If the system allows few open files, connections must not take them all.
#[actix_rt::test]
async fn few_open_files_are_shared_as_well() {
    if !has_other_users() {
        return;
    }
    let folder = Folder::new();
    let plain = folder.command("");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 400 && exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().env("HOME", folder.path()).env("RUST_BACKTRACE", "1");
    let daemon = Daemon::spawn(folder, command).await;
    let crowds: Vec<_> = (0..4).map(|n| Crowd::of(User::numbered(n), daemon.address, 150, Kind::Probes)).collect();
    for crowd in &crowds {
        crowd.is_there().await;
    }
    newcomers(&daemon, "few files").await;
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
    for crowd in crowds {
        crowd.leaves().await;
    }
    unharmed(&daemon).await;
}
