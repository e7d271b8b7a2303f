//! Raw frames of peers: violations and their close codes, and unusual frames that are valid.

use crate::support::{
    Daemon, ask, handled, manual, no_client_left, raw_frame, raw_head, request_of, stranger, text_frame,
};
use actix_http::ws::Message;
use serde_json::json;

/// Sends a violation on an established connection that performs a request; checks how both end.
async fn broken(daemon: &Daemon, bytes: &[u8]) -> Option<u16> {
    let (firefox, caller) = (manual(daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    // Later frames must be ignored, even in the same packet.
    let late = text_frame("{\"type\":\"api_response\",\"id\":\"r\",\"ok\":true,\"status\":200,\"body\":1}");
    firefox.send_raw(&[bytes, &late].concat()).await.unwrap();
    let answer = answer.answer(false).await;
    assert_eq!((answer.error().0, answer.error_code()), (503, "client_disconnected".into()));
    no_client_left(&caller).await;
    firefox.closed().await.unwrap().code
}

#[actix_rt::test]
async fn a_binary_frame_closes_with_1003() {
    let daemon = Daemon::start("").await;
    assert_eq!(broken(&daemon, &raw_frame(0x82, b"\x00\x01")).await, Some(1003));
    assert_eq!(broken(&daemon, &raw_frame(0x02, b"first part")).await, Some(1003));
}

#[actix_rt::test]
async fn invalid_utf_8_closes_with_1007() {
    let daemon = Daemon::start("").await;
    assert_eq!(broken(&daemon, &raw_frame(0x81, b"{\"type\":\"\xff\"}")).await, Some(1007));
    let parts = [raw_frame(0x01, b"{\"type\":\"\xc3"), raw_frame(0x80, b"\"}")].concat();
    assert_eq!(broken(&daemon, &parts).await, Some(1007));
}

#[actix_rt::test]
async fn a_protocol_error_closes_with_1002() {
    let daemon = Daemon::start("").await;
    let unmasked = b"\x81\x02{}".to_vec();
    for (what, bytes) in [
        ("unmasked", unmasked),
        ("a reserved bit", raw_frame(0xc1, b"{}")),
        ("an unknown opcode", raw_frame(0x83, b"{}")),
        ("a long ping", raw_head(0x89, 126)),
        ("a ping in parts", raw_frame(0x09, b"")),
        ("a continuation of nothing", raw_frame(0x80, b"{}")),
        ("a text within a text", [raw_frame(0x01, b"{"), raw_frame(0x01, b"}")].concat()),
    ] {
        assert_eq!(broken(&daemon, &bytes).await, Some(1002), "{what}");
    }
}

#[actix_rt::test]
async fn a_declared_length_without_end_closes_with_1009_and_costs_no_memory() {
    let daemon = Daemon::start("").await;
    let before = daemon.resident_bytes();
    for declared in [1 << 62, u64::MAX >> 1, (40 << 20) + 1] {
        let firefox = manual(&daemon, "ff").await;
        firefox.send_raw(&raw_head(0x81, declared)).await.unwrap();
        assert_eq!(firefox.closed().await.unwrap().code, Some(1009), "{declared}");
    }
    let grown = daemon.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more than before");
}

#[actix_rt::test]
async fn fragments_over_the_limit_close_with_1009_before_the_last_one_comes() {
    let daemon = Daemon::start("bridge.max_message_bytes = 100000").await;
    let firefox = manual(&daemon, "ff").await;
    let part = [b' '; 40_000];
    let parts = [raw_frame(0x01, &part), raw_frame(0x00, &part), raw_head(0x00, 20_001)].concat();
    firefox.send_raw(&parts).await.unwrap();
    assert_eq!(firefox.closed().await.unwrap().code, Some(1009));
    assert_eq!(broken(&daemon, &raw_head(0x81, 100_001)).await, Some(1009));
}

#[actix_rt::test]
async fn before_its_hello_a_peer_may_send_little() {
    let daemon = Daemon::start("").await;
    let firefox = stranger(&daemon).await;
    firefox.send_raw(&raw_head(0x81, (64 << 10) + 1)).await.unwrap();
    assert_eq!(firefox.closed().await.unwrap().code, Some(1009));
}

#[actix_rt::test]
async fn fragments_are_put_together_also_around_a_ping() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    let text =
        json!({"type": "api_response", "id": "r", "ok": true, "status": 200, "body": "é".repeat(1_000)}).to_string();
    let bytes = text.as_bytes();
    let mut frames = raw_frame(0x01, &bytes[..101]);
    // Odd sizes, so that fragments end within a character.
    for part in bytes[101..].chunks(333) {
        frames.extend(raw_frame(0x00, part));
        frames.extend(raw_frame(0x89, b"still here"));
    }
    frames.extend(raw_frame(0x80, b""));
    firefox.send_raw(&frames).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"], "é".repeat(1_000));
}

#[actix_rt::test]
async fn a_frame_may_arrive_byte_by_byte() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    for byte in text_frame("{\"type\":\"no_such_type\",\"id\":\"slow\"}") {
        firefox.send_raw(&[byte]).await.unwrap();
    }
    assert_eq!(firefox.expect("error").await.unwrap()["id"], "slow");
}

#[actix_rt::test]
async fn a_message_of_many_megabytes_passes() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    let request = request_of(&firefox, "r").await;
    let body = "x".repeat(9 << 20);
    request.answer(200, json!(body)).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"].as_str().map(str::len), Some(body.len()));
    firefox.send_frame(Message::Ping("still there".into())).await.unwrap();
    handled(&firefox).await;
}
