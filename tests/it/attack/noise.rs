//! Random frames: none crashes, hangs or grows the daemon. `BAA_IT_SEED` repeats a run.

use super::{Bystander, at_full_size, unharmed};
use crate::support::{Daemon, Dice, Peer, no_client_left, raw_frame, text_frame, until};
use serde_json::json;

/// Generates frames.
struct Frames(Dice);

impl Frames {
    /// Returns mostly valid messages with an invalid detail.
    fn next(&mut self) -> Vec<u8> {
        const TYPES: [&str; 14] = [
            "hello",
            "auth",
            "state_request",
            "action_request",
            "credentials",
            "api_endpoints",
            "api_response",
            "stream_open",
            "stream_event",
            "stream_end",
            "stream_error",
            "progress",
            "action_result",
            "browser.final_message",
        ];
        const FIELDS: [&str; 14] = [
            "id",
            "client_id",
            "platform",
            "account",
            "freshness",
            "headers",
            "endpoints",
            "seq",
            "status",
            "body",
            "action",
            "shell_runtime",
            "raw_text",
            "proof",
        ];
        match self.0.index(100) {
            0..70 => {
                let mut message = json!({"type": TYPES[self.0.index(TYPES.len())]});
                for _ in 0..self.0.index(6) {
                    message[FIELDS[self.0.index(FIELDS.len())]] = self.value(3);
                }
                text_frame(&message.to_string())
            }
            70..80 => raw_frame(0x89 + u8::try_from(self.0.index(2)).unwrap(), &self.0.bytes(126)),
            80..88 => {
                let text = json!({"type": "client_log", "message": self.value(2)}).to_string();
                let (a, b) = text.as_bytes().split_at(self.0.index(text.len() - 1));
                [raw_frame(0x01, a), raw_frame(0x80, b)].concat()
            }
            88..94 => {
                let mut text = json!({"type": "credentials", "x": self.value(4)}).to_string().into_bytes();
                text.truncate(self.0.index(text.len()));
                raw_frame(0x81, &text)
            }
            94..99 => raw_frame(
                0x81,
                format!("{{\"type\":\"client_log\",\"message\":{}}}", "[".repeat(self.0.index(400))).as_bytes(),
            ),
            // Rarely, since it ends the connection.
            _ => raw_frame(self.0.next().to_le_bytes()[0], &self.0.bytes(300)),
        }
    }

    fn value(&mut self, depth: usize) -> serde_json::Value {
        match self.0.index(if depth == 0 { 6 } else { 8 }) {
            0 => json!(null),
            1 => json!(self.0.next().cast_signed()),
            2 => json!(self.0.next() as f64 / 3.0),
            3 => json!(self.0.index(2) == 0),
            4 => json!("claude"),
            5 => json!(String::from_utf8_lossy(&self.0.bytes(60))),
            6 => (0..self.0.index(4)).map(|_| self.value(depth - 1)).collect(),
            _ => json!({"claude": self.value(depth - 1), "platform": self.value(depth - 1)}),
        }
    }
}

#[actix_rt::test]
async fn random_frames_of_many_peers() {
    let (connections, frames) = if at_full_size() { (10_000, 100) } else { (60, 100) };
    let seed = std::env::var("BAA_IT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    eprintln!("BAA_IT_SEED={seed}, {connections} connections of {frames} frames");
    let daemon = Daemon::start("log.filter = \"error\"\nserver.memory_look_ms = 50").await;
    let before = super::crowds::warm(&daemon).await;
    let others = Bystander::watching(&daemon).await;
    let (mut dice, mut noise) = (Dice::new(seed), Frames(Dice::new(seed)));
    for _ in 0..connections {
        let mut peer = match dice.below(3) {
            0 => Peer::upgraded(&daemon).await,
            _ => Peer::greeted(&daemon, &format!("noise-{}", dice.below(5))).await,
        };
        let bytes: Vec<u8> = (0..frames).flat_map(|_| noise.next()).collect();
        for piece in bytes.chunks(1 + dice.index(bytes.len())) {
            // The connection may be closed in the middle.
            if peer.connection.try_write(piece).await.is_err() {
                break;
            }
        }
        // Some are read to the end, some are dropped.
        if dice.below(4) > 0 {
            let _ = peer.connection.try_write(&raw_frame(0x88, &[3, 232])).await;
            while peer.connection.read().await {}
        }
    }
    until("end of the peers", async || {
        let clients = crate::support::client_ids(&daemon.caller()).await;
        (clients == ["bystander"]).then_some(())
    })
    .await;
    super::crowds::back(&daemon, before, "random frames").await;
    others.tell("random frames").await;
    no_client_left(&daemon.caller()).await;
    unharmed(&daemon).await;
}
