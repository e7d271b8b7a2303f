//! Peers with a false identity, or with messages that they may not send.

use super::unharmed;
use crate::support::{Case, Daemon, Peer, ask, client_ids, handled, manual, request_of, text_frame};
use serde_json::{Value, json};

#[actix_rt::test]
async fn no_peer_speaks_for_another() {
    let daemon = Daemon::start("").await;
    let (owner, caller) = (manual(&daemon, "owner").await, daemon.caller());
    let thief = manual(&daemon, "thief").await;
    let rows: Vec<(&str, Value)> = vec![
        ("an answer", json!({"type": "api_response", "id": "r", "ok": true, "status": 200, "body": "stolen"})),
        (
            "an answer in camel case",
            json!({"type": "api_response", "requestId": "r", "id": "r", "ok": true, "status": 200, "body": "stolen"}),
        ),
        (
            "an answer that fails",
            json!({"type": "api_response", "id": "r", "ok": false, "status": 500, "error": "stolen"}),
        ),
        ("an answer that is garbled", json!({"type": "api_response", "id": "r", "status": []})),
        ("a stream that opens", json!({"type": "stream_open", "id": "r", "stream_id": "r", "status": 200})),
        ("an event", json!({"type": "stream_event", "id": "r", "seq": 1, "data": "stolen"})),
        ("an event that is garbled", json!({"type": "stream_event", "id": "r", "seq": "x"})),
        ("a stream that ends", json!({"type": "stream_end", "id": "r", "status": 200})),
        ("a stream that fails", json!({"type": "stream_error", "id": "r", "code": "stolen"})),
        ("progress", json!({"type": "progress", "id": "r"})),
        ("an action's result", json!({"type": "action_result", "id": "r", "request_id": "r", "action": "tab_open"})),
        ("a hello as the owner", json!({"type": "hello", "client_id": "owner"})),
        ("an unrequested proof", json!({"type": "auth", "proof": "0".repeat(64)})),
        ("a frame of the daemon's", json!({"type": "hello_ack", "client_id": "owner"})),
        ("a request of the daemon's", json!({"type": "api_request", "id": "r", "platform": "claude", "path": "/"})),
        ("a cancel of the daemon's", json!({"type": "request_cancel", "id": "r", "platform": "claude"})),
    ];
    for (name, message) in rows {
        let case = Case::new(name);
        let mut answer =
            caller.begin(&json!({"platform": "claude", "request_id": "r", "path": "/", "client_id": "owner"})).await;
        let request = request_of(&owner, "r").await;
        thief.send_json(&message).await.unwrap();
        handled(&thief).await;
        request.answer(200, json!("own")).await.unwrap();
        assert_eq!(answer.answer(false).await.data()["response"], "own");
        assert_eq!(client_ids(&caller).await, ["owner", "thief"]);
        case.passed();
    }
    assert_eq!(owner.received_of("request_cancel").len(), 0);
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn no_name_is_one_that_is_none() {
    let daemon = Daemon::start("").await;
    for (name, client_id) in [
        ("nothing", json!("")),
        ("blanks", json!("  ")),
        ("a number", json!(7)),
        ("a list", json!(["ff"])),
        ("an object", json!({"ff": 1})),
        ("129 characters", json!("x".repeat(129))),
        ("a blank within", json!("a b")),
        ("a slash", json!("a/b")),
        ("a quote", json!("a\"b")),
        ("a line end", json!("a\nb")),
        ("a null", json!("a\0b")),
        ("a letter that looks like ours", json!("\u{430}")),
        ("markup", json!("<b>")),
        ("a statement", json!("a';DROP TABLE logins;--")),
    ] {
        let case = Case::new(name);
        let mut peer = Peer::upgraded(&daemon).await;
        peer.connection.write(&text_frame(&json!({"type": "hello", "client_id": client_id}).to_string())).await;
        assert_eq!(peer.message("error").await["code"], "invalid_message");
        case.passed();
    }
    assert!(client_ids(&daemon.caller()).await.is_empty());
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn what_a_client_reports_is_bounded() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for n in 0..3_000 {
        let told = json!({"type": "credentials", "platform": "claude", "account": format!("a{n}"), "credential_fingerprint": "f", "freshness": "fresh"});
        firefox.send_json(&told).await.unwrap();
    }
    let endpoints: Vec<String> = (0..20_000).map(|n| format!("GET /{n}")).collect();
    firefox.send_json(&json!({"type": "api_endpoints", "platform": "claude", "endpoints": endpoints})).await.unwrap();
    for n in 0..50 {
        firefox.send_json(&json!({"type": "browser.final_message", "platform": "claude", "assistant_message_id": format!("m{n}"), "raw_text": "x".repeat(1_000), "observed_at": n})).await.unwrap();
    }
    handled(&firefox).await;
    let state = caller.browser().await;
    let client = &state["bridge"]["clients"][0];
    let count = |list: &str| client[list].as_array().unwrap().len();
    assert!(
        count("credentials") <= 1_000 && count("final_messages") == 10,
        "{} {}",
        count("credentials"),
        count("final_messages")
    );
    assert!(state.to_string().len() < 8 << 20, "{} bytes", state.to_string().len());
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await.answer(200, json!(1)).await.unwrap();
    answer.answer(false).await.data();
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn peers_that_only_say_hello_do_not_fill_the_log() {
    let daemon = Daemon::start("bridge.pairing = 'required'").await;
    for n in 0..40 {
        let mut peer = Peer::upgraded(&daemon).await;
        let hello = json!({"type": "hello", "client_id": format!("knocks-{n}")}).to_string();
        peer.connection.write(&text_frame(&hello)).await;
        peer.message("pairing_required").await;
        let mut peer = Peer::upgraded(&daemon).await;
        let hello = json!({"type": "hello", "client_id": "odd", "protocol": "none"}).to_string();
        peer.connection.write(&text_frame(&hello)).await;
        assert_eq!(peer.close().await.0, Some(4005));
    }
    let (log, lines) = (daemon.stderr(), |log: &str, what: &str| log.matches(what).count());
    assert_eq!(lines(&log, "a client waits for pairing"), 20);
    assert_eq!(lines(&log, "closing a client"), 20);
}
