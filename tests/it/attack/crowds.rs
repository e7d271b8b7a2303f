//! Many at once: connections, readers that never read, waiting requests. Each is bounded, and nothing of them remains.

use super::{Bystander, at_full_size, unharmed};
use crate::support::{Caller, Connection, Daemon, Peer, ask, automatic, manual, request_of, settled, until, waiting};
use serde_json::json;

/// Memory that may remain after a crowd has gone.
const LEFT_BYTES_MAX: u64 = 10 << 20;

/// Frequent checks for unused memory, so that the test need not wait long.
const LOOKS_OFTEN: &str = "server.memory_look_ms = 50\n";

/// Returns the memory of a daemon in use, before any crowd, with full caches.
pub(super) async fn warm(daemon: &Daemon) -> u64 {
    let (firefox, caller) = (automatic(daemon, "early").await, daemon.caller());
    let mut connection = caller.open().await;
    for n in 0..1_000 {
        let mut body = ask(&format!("early-{n}"), "/echo");
        body["client_id"] = "early".into();
        connection.write(&caller.head("POST", "/v1/browser/request", Some(body.to_string().as_bytes()))).await;
        assert_eq!(connection.answer(false).await.status, 200);
    }
    firefox.close(1000, "").await.unwrap();
    crate::support::no_client_left(&caller).await;
    daemon.resident_bytes()
}

/// Waits until the crowd's memory has been returned.
pub(super) async fn back(daemon: &Daemon, before: u64, what: &str) {
    let most = daemon.resident_bytes();
    let after = until("the memory of the crowd", async || {
        let after = daemon.resident_bytes();
        (after <= before + LEFT_BYTES_MAX).then_some(after)
    });
    let (after, mb) = (after.await, |bytes: u64| bytes as f64 / 1e6);
    eprintln!("{what}: {:.1} MB before, {:.1} MB with it, {:.1} MB after", mb(before), mb(most), mb(after));
}

fn open_files(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

/// Returns the heaps that glibc made for threads: each lies at a multiple of its size, 64 MiB.
#[cfg(target_env = "gnu")]
fn heaps_of_threads(daemon: &Daemon) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).unwrap();
    let is_heap = |line: &&str| {
        let mut fields = line.split_whitespace();
        let start = fields.next().and_then(|range| u64::from_str_radix(range.split('-').next()?, 16).ok()).unwrap();
        start.is_multiple_of(64 << 20) && fields.next() == Some("rw-p") && fields.count() == 3 // no file
    };
    maps.lines().filter(is_heap).map(str::to_owned).collect()
}

#[cfg(target_env = "gnu")]
#[actix_rt::test]
async fn all_threads_share_one_heap() {
    let daemon = Daemon::start("").await;
    // By then the worker, the store's threads and those of the blocking pool have worked.
    warm(&daemon).await;
    assert_eq!(heaps_of_threads(&daemon), Vec::<String>::new());
}

#[actix_rt::test]
async fn six_hundred_connections_of_every_kind() {
    let daemon = Daemon::start(LOOKS_OFTEN).await;
    let (caller, before) = (daemon.caller(), warm(&daemon).await);
    let others = Bystander::watching(&daemon).await;
    let (files, rounds) = (open_files(&daemon), if at_full_size() { 5 } else { 2 });
    for _ in 0..rounds {
        let mut held = Vec::new();
        let mut peers = Vec::new();
        for n in 0..200 {
            held.push(Connection::open(daemon.address).await);
            let mut used = caller.open().await;
            used.write(&caller.head("GET", "/health", None)).await;
            assert_eq!(used.answer(false).await.status, 200);
            held.push(used);
            // Every fourth says `hello`.
            peers.push(if n % 4 == 0 {
                Peer::greeted(&daemon, &format!("c{n}")).await
            } else {
                Peer::upgraded(&daemon).await
            });
        }
        assert_eq!(held.len() + peers.len(), 600);
        drop((held, peers));
        until("end of all connections", async || (open_files(&daemon) <= files + 20).then_some(())).await;
    }
    back(&daemon, before, "600 connections").await;
    others.tell("600 connections").await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn readers_of_events_that_never_read() {
    let daemon = Daemon::start("server.sse_stall_timeout_ms = 500").await;
    let caller = daemon.caller();
    let others = Bystander::watching(&daemon).await;
    let many = if at_full_size() { 300 } else { 40 };
    let files = open_files(&daemon);
    let mut stuck = Vec::new();
    for _ in 0..many {
        stuck.push(caller.get_narrowly("/v1/events").await);
    }
    // The events come from the bystander's requests; some more, so that buffers fill.
    let talker = manual(&daemon, "talker").await;
    let told = |n: u32| json!({"type": "credentials", "platform": "claude", "account": format!("{n:0>900}"), "credential_fingerprint": n.to_string(), "freshness": "fresh"});
    for n in 0..1_500 {
        talker.send_json(&told(n)).await.unwrap();
    }
    until("end of those who take nothing", async || (open_files(&daemon) <= files + 20).then_some(())).await;
    drop(stuck);
    others.tell("readers of events that never read").await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn readers_of_streams_that_never_read() {
    let daemon = Daemon::start("server.sse_stall_timeout_ms = 500\npolicy.stream.max_buffered_bytes = 100000000\npolicy.stream.max_buffered_events = 1000000").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut stuck = Vec::new();
    for n in 0..16 {
        let id = format!("r{n}");
        let body = json!({"platform": "claude", "request_id": id, "path": "/", "response_mode": "sse"});
        let mut connection = caller.begin_narrowly(&body).await;
        let request = request_of(&firefox, &id).await;
        request.open(200).await.unwrap();
        assert_eq!(connection.peek_status().await, 200);
        stuck.push((connection, request));
    }
    for _ in 0..40 {
        for (_, request) in &stuck {
            request.event("message", json!("x".repeat(40_000))).await.unwrap();
        }
    }
    settled(&caller).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 16, "each is stopped in the browser");
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn waiters_by_the_thousand() {
    let many = if at_full_size() { 3_000 } else { 1_000 };
    let settings = format!(
        "{LOOKS_OFTEN}server.max_connections = 4096\nserver.max_requests = {}\npolicy.waiter.max_per_target = {many}\npolicy.concurrency.max_in_flight_per_client_platform = 1",
        many + 100
    );
    let daemon = Daemon::start(&settings).await;
    let before = warm(&daemon).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let on_ff = |id: &str| json!({"platform": "claude", "request_id": id, "path": "/", "client_id": "ff"});
    for round in 0..2 {
        let mut first = caller.begin(&on_ff(&format!("first{round}"))).await;
        let running = request_of(&firefox, &format!("first{round}")).await;
        let others = Bystander::watching(&daemon).await;
        let mut waiters = Vec::new();
        for n in 0..many {
            waiters.push(caller.begin(&on_ff(&format!("r{round}-{n}"))).await);
        }
        waiting(&caller, many).await;
        let full = caller.request(&on_ff("one-more")).await;
        assert_eq!((full.error().0, full.error_code()), (503, "queue_full".into()));
        // They disconnect together; the running request is unaffected.
        drop(waiters);
        waiting(&caller, 0).await;
        running.answer(200, json!("undisturbed")).await.unwrap();
        assert_eq!(first.answer(false).await.data()["response"], "undisturbed");
        settled(&caller).await;
        others.tell("waiters").await;
    }
    assert_eq!(firefox.received_of("api_request").len(), 2, "none of them ever went out");
    back(&daemon, before, "waiters").await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn more_requests_than_the_limit_are_refused() {
    let daemon =
        Daemon::start("server.max_requests = 20\npolicy.concurrency.max_in_flight_per_client_platform = 5").await;
    let (_firefox, caller): (_, Caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut held = Vec::new();
    for n in 0..20 {
        held.push(caller.begin(&ask(&format!("r{n}"), "/")).await);
    }
    waiting(&caller, 15).await;
    for n in 0..50 {
        let answer = caller.request(&ask(&format!("more{n}"), "/")).await;
        assert_eq!((answer.error(), answer.header("retry-after")), ((503, "overloaded".into()), Some("1")));
    }
    drop(held);
    settled(&caller).await;
    unharmed(&daemon).await;
}
