//! Valid and invalid upgrades.

use crate::support::{Case, Connection, Daemon, peer::KEY};

/// Returns the status of the answer to this request head; headers are whole lines.
async fn status(daemon: &Daemon, line: &str, headers: &[&str]) -> u16 {
    let mut connection = Connection::open(daemon.address).await;
    let mut head = format!("{line}\r\nhost: {}\r\n", daemon.address);
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    connection.write(head.as_bytes()).await;
    connection.head().await.status
}

const GET: &str = "GET /ws/firefox HTTP/1.1";

#[actix_rt::test]
async fn only_a_whole_handshake_is_one() {
    let daemon = Daemon::start("").await;
    let key = format!("sec-websocket-key: {KEY}");
    let (key, upgrade, connection, version) =
        (key.as_str(), "upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13");
    let rows: &[(&str, &str, &[&str], bool)] = &[
        ("as it should be", GET, &[upgrade, connection, key, version], true),
        ("in capitals", GET, &["UPGRADE: WebSocket", "CONNECTION: UPGRADE", key, version], true),
        ("among other options", GET, &[upgrade, "connection: keep-alive, Upgrade", key, version], true),
        ("with a protocol of ours", GET, &[upgrade, connection, key, version, "sec-websocket-protocol: chat"], true),
        ("without upgrade", GET, &[connection, key, version], false),
        ("without connection", GET, &[upgrade, key, version], false),
        ("without key", GET, &[upgrade, connection, version], false),
        ("without version", GET, &[upgrade, connection, key], false),
        ("of version 12", GET, &[upgrade, connection, key, "sec-websocket-version: 12"], false),
        ("of version 8", GET, &[upgrade, connection, key, "sec-websocket-version: 8"], true),
        ("of no version", GET, &[upgrade, connection, key, "sec-websocket-version: x"], false),
        ("to another protocol", GET, &["upgrade: h2c", connection, key, version], false),
        ("that only keeps alive", GET, &[upgrade, "connection: keep-alive", key, version], false),
        ("by POST", "POST /ws/firefox HTTP/1.1", &[upgrade, connection, key, version, "content-length: 0"], false),
        ("by HEAD", "HEAD /ws/firefox HTTP/1.1", &[upgrade, connection, key, version], false),
        ("elsewhere", "GET /ws/other HTTP/1.1", &[upgrade, connection, key, version], false),
        ("on another route", "GET /v1/browser HTTP/1.1", &[upgrade, connection, key, version], false),
    ];
    for (name, line, headers, fine) in rows {
        let case = Case::new(name);
        let status = status(&daemon, line, headers).await;
        assert_eq!(status == 101, *fine, "{status}");
        assert!(*fine || (200..500).contains(&status), "{status}");
        case.passed();
    }
}

#[actix_rt::test]
async fn a_key_that_is_none_is_refused_or_answered_but_never_harms() {
    let daemon = Daemon::start("").await;
    let long = "A".repeat(4_000);
    for key in ["", "x", "====", "\u{e9}", long.as_str(), "dGhlIHNhbXBsZSBub25jZQ== dGhlIHNhbXBsZSBub25jZQ=="] {
        let key = format!("sec-websocket-key: {key}");
        let status =
            status(&daemon, GET, &["upgrade: websocket", "connection: Upgrade", &key, "sec-websocket-version: 13"])
                .await;
        assert!(status == 101 || (400..500).contains(&status), "{key}: {status}");
    }
    assert_eq!(daemon.caller().get("/health").await.status, 200);
}
