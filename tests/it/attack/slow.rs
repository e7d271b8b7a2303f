//! Requests that never finish: heads, bodies and handshakes that trickle. They take no time from others.

use super::{Bystander, unharmed};
use crate::support::{Connection, Daemon, Peer, ask, automatic, within};

const MANY: usize = 60;

#[actix_rt::test]
async fn heads_bodies_and_hellos_that_never_end_are_ended() {
    let daemon =
        Daemon::start("server.head_timeout_ms = 400\nserver.body_timeout_ms = 400\nbridge.hello_timeout_ms = 400")
            .await;
    let caller = daemon.caller();
    let others = Bystander::watching(&daemon).await;
    let whole = caller.head("POST", "/v1/browser/request", Some(ask("never", "/").to_string().as_bytes()));
    let head = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let mut heads = Vec::new();
    let mut bodies = Vec::new();
    let mut silent = Vec::new();
    for n in 0..MANY {
        let mut connection = Connection::open(daemon.address).await;
        connection.write(&whole[..1 + n % head]).await;
        heads.push(connection);
        let mut connection = Connection::open(daemon.address).await;
        connection.write(&whole[..whole.len() - 1 - n % 20]).await;
        bodies.push(connection);
        silent.push(Peer::upgraded(&daemon).await);
    }
    for mut connection in heads {
        assert_eq!(connection.answer(false).await.status, 408);
        within("end of the connection", async { while connection.read().await {} }).await;
    }
    for mut connection in bodies {
        assert_eq!(connection.answer(false).await.error(), (408, "body_timeout".into()));
    }
    for mut peer in silent {
        assert_eq!(peer.close().await, (Some(4002), "hello_timeout".to_owned()));
    }
    others.tell("slow heads, bodies and hellos").await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn a_trickle_within_the_time_is_served() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut connection = Connection::open(daemon.address).await;
    for byte in caller.head("GET", "/version", None) {
        connection.write(&[byte]).await;
    }
    assert_eq!(connection.answer(false).await.status, 200);
}

/// A head whose body is chunked, without any chunk yet.
fn chunked(daemon: &Daemon, kind: &str) -> String {
    format!(
        "POST /v1/browser/request HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n",
        daemon.address
    )
}

#[actix_rt::test]
async fn connections_that_wait_for_nothing_are_ended() {
    let daemon = Daemon::start(
        "server.head_timeout_ms = 300\nserver.keep_alive_ms = 100\nserver.sse_stall_timeout_ms = 300\nserver.body_timeout_ms = 300",
    )
    .await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    // Long-lived connections stay, although they carry no requests meanwhile.
    let mut events = caller.follow().await;
    let mut idle = Vec::new();
    let mut used = caller.open().await;
    used.write(&caller.head("GET", "/health", None)).await;
    assert_eq!(used.answer(false).await.status, 200);
    used.write(b"G").await;
    idle.push(("the second head begins and does not end", used));
    let mut refused = caller.open().await;
    refused.write(chunked(&daemon, "text/plain").as_bytes()).await;
    assert_eq!(refused.answer(false).await.status, 415);
    idle.push(("a body in chunks that is refused does not end", refused));
    let mut late = caller.open().await;
    late.write(chunked(&daemon, "application/json").as_bytes()).await;
    late.write(b"1\r\n").await;
    assert_eq!(late.answer(false).await.error(), (408, "body_timeout".into()));
    idle.push(("a body in chunks that is late does not end", late));
    for (what, mut connection) in idle {
        within(what, async { while connection.read().await {} }).await;
    }
    assert_eq!(caller.request(&ask("after", "/echo")).await.status, 200);
    within("events of it", events.expect("request")).await;
    firefox.close(1000, "").await.unwrap();
    unharmed(&daemon).await;
}
