//! Conformance of the socket with WebSocket: groups 1 to 7 and 10 of the Autobahn test suite, with raw frames.
//!
//! The daemon has no echo. Where the suite expects one, these tests expect the answer to a message: each text frame is a
//! message of an unknown type, which the `error` in the answer names. So every answered message has arrived complete, once
//! and in order.
//!
//! Each case is a named row with a connection of its own.

mod closing;
mod fragments;
mod framing;
mod handshake;
mod pings;
mod reserved;
mod utf8;

use crate::support::{Case, Connection, Daemon, Peer, raw_frame, text_frame};
use serde_json::json;

/// The writes of the peer.
type Pieces = Vec<Vec<u8>>;

/// The expected outcome.
#[derive(Clone, Debug)]
enum Then {
    /// These messages are answered in this order, and the connection stays open.
    Answers(Vec<String>),
    /// Pongs with these payloads arrive in this order, and the connection stays open.
    Pongs(Vec<Vec<u8>>),
    /// The daemon closes with this code and the connection ends.
    Closes(u16),
    /// The daemon closes without a code and the connection ends.
    ClosesBare,
}

/// Name, writes and expected outcome of a case.
type Row = (&'static str, Pieces, Then);

/// Returns a message that is answered with its name.
fn message(name: &str) -> String {
    json!({"type": "no_such_type", "id": name}).to_string()
}

/// Returns a message of this length.
fn message_of(name: &str, bytes: usize) -> String {
    let bare = json!({"type": "no_such_type", "id": name, "pad": ""}).to_string();
    json!({"type": "no_such_type", "id": name, "pad": "*".repeat(bytes - bare.len())}).to_string()
}

fn text(name: &str) -> Vec<u8> {
    text_frame(&message(name))
}

/// Splits bytes into pieces of this size.
fn chopped(bytes: &[u8], size: usize) -> Pieces {
    bytes.chunks(size).map(<[u8]>::to_vec).collect()
}

/// Returns a message in fragments of this size.
fn fragmented(text: &str, size: usize) -> Pieces {
    let last = text.len().div_ceil(size) - 1;
    let parts = text.as_bytes().chunks(size).enumerate();
    let first = |n: usize| if n == 0 { 0x01 } else { 0x00 } | if n == last { 0x80 } else { 0x00 };
    parts.map(|(n, part)| raw_frame(first(n), part)).collect()
}

fn answers(names: &[&str]) -> Then {
    Then::Answers(names.iter().map(|&name| name.to_owned()).collect())
}

fn closing(code: u16, reason: &str) -> Vec<u8> {
    raw_frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// Runs all cases against one daemon, and checks afterwards that it still works.
async fn run(rows: Vec<Row>) {
    let daemon = Daemon::start("").await;
    for (name, pieces, then) in rows {
        let case = Case::new(name);
        let mut peer = Peer::greeted(&daemon, "peer").await;
        for piece in pieces {
            // A socket that was closed meanwhile accepts no more data.
            if peer.connection.try_write(&piece).await.is_err() {
                break;
            }
        }
        outcome(peer, then).await;
        case.passed();
    }
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

async fn outcome(mut peer: Peer, then: Then) {
    match then {
        Then::Answers(names) => {
            // One more at the end, so that duplicates are found.
            peer.connection.write(&text("end")).await;
            for name in names.into_iter().chain(["end".to_owned()]) {
                assert_eq!(peer.error_id().await, name);
            }
        }
        Then::Pongs(payloads) => {
            for payload in payloads {
                assert_eq!(peer.pong().await, payload);
            }
            peer.is_heard().await;
        }
        Then::Closes(code) => {
            assert_eq!(peer.close().await.0, Some(code));
            ends(peer.connection).await;
        }
        Then::ClosesBare => {
            assert_eq!(peer.close().await.0, None);
            ends(peer.connection).await;
        }
    }
}

async fn ends(mut connection: Connection) {
    while connection.read().await {}
}
