//! A WebSocket peer by hand: the upgrade and every frame as bytes, so that a test decides each of them.

use super::{Connection, Daemon, text_frame, within};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The sample key of RFC 6455.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An upgraded connection.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
}

/// A frame of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// With its flags.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    /// Upgrades; sends nothing more.
    pub(crate) async fn upgraded(daemon: &Daemon) -> Self {
        Peer::over(Connection::open(daemon.address).await, daemon.address).await
    }

    /// The same over a connection that the test has opened.
    pub(crate) async fn over(mut connection: Connection, address: SocketAddr) -> Self {
        let head = format!(
            "GET /ws/firefox HTTP/1.1\r\nhost: {}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\n\r\n",
            address
        );
        connection.write(head.as_bytes()).await;
        assert_eq!(connection.head().await.status, 101);
        Peer { connection }
    }

    /// Upgrades and says `hello`.
    pub(crate) async fn greeted(daemon: &Daemon, client_id: &str) -> Self {
        let mut peer = Peer::upgraded(daemon).await;
        peer.connection.write(&text_frame(&json!({"type": "hello", "client_id": client_id}).to_string())).await;
        peer.message("request_credentials").await;
        peer
    }

    /// Returns the next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Received> {
        let head = self.connection.try_read_exactly(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let mut length = usize::from(head[1] & 127);
        if length > 125 {
            let more = self.connection.try_read_exactly(if length == 126 { 2 } else { 8 }).await?;
            length = more.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        }
        let payload = self.connection.try_read_exactly(length).await?;
        Some(Received { first: head[0], payload })
    }

    /// Returns the next message of this type, skipping others.
    pub(crate) async fn message(&mut self, kind: &str) -> Value {
        within(kind, async {
            loop {
                let frame = self.frame().await.unwrap_or_else(|| panic!("the connection ended before {kind}"));
                assert_ne!(frame.first, 0x88, "closed before {kind}: {frame:?}");
                if frame.first == 0x81 {
                    let message: Value = serde_json::from_slice(&frame.payload).unwrap();
                    if message["type"] == kind {
                        return message;
                    }
                }
            }
        })
        .await
    }

    /// Returns the `id` of the next `error`.
    pub(crate) async fn error_id(&mut self) -> String {
        self.message("error").await["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the payload of the next pong.
    pub(crate) async fn pong(&mut self) -> Vec<u8> {
        self.awaited(0x8a).await.payload
    }

    /// Returns code and reason of the close frame.
    pub(crate) async fn close(&mut self) -> (Option<u16>, String) {
        let payload = self.awaited(0x88).await.payload;
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        (code, String::from_utf8(payload.get(2..).unwrap_or_default().to_vec()).unwrap())
    }

    async fn awaited(&mut self, first: u8) -> Received {
        within("frame", async {
            loop {
                let frame = self.frame().await.unwrap_or_else(|| panic!("the connection ended before {first:x}"));
                if frame.first == first {
                    return frame;
                }
            }
        })
        .await
    }

    /// Checks that the connection still works, by a message and its answer.
    pub(crate) async fn is_heard(&mut self) {
        self.connection.write(&text_frame("{\"type\":\"no_such_type\",\"id\":\"heard\"}")).await;
        while self.error_id().await != "heard" {}
    }
}
