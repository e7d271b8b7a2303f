//! Credential values that a client sends by mistake, in every place of every message that could carry one, leave no
//! trace anywhere.

use crate::support::{Answer, Caller, Daemon, ask, ask_sse, connect, handled, request_of, until};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{fs, path::Path};

const PLANTED: [&str; 2] = ["SECRET-COOKIE-VALUE", "Bearer SECRET"];

/// Headers that must never be sent.
fn headers() -> Value {
    json!({"cookie": PLANTED[0], "Authorization": PLANTED[1], "set-cookie": [PLANTED[0]], "x-csrf": {"deep": PLANTED[1]}})
}

/// Fields that could be added to any object.
fn with_headers(mut object: Value) -> Value {
    let secrets = json!({"headers": headers(), "request_headers": headers(), "requestHeaders": headers(),
        "header_values": PLANTED, "cookies": PLANTED[0], "cookie": PLANTED[0], "authorization": PLANTED[1],
        "token": PLANTED[1], "credentials": headers(), "values": PLANTED});
    for (name, value) in secrets.as_object().unwrap() {
        object.as_object_mut().unwrap().entry(name).or_insert_with(|| value.clone());
    }
    object
}

fn tab() -> Value {
    let part = |fields: Value| with_headers(fields);
    with_headers(json!({"platform": "claude", "desired": part(json!({"exists": true})),
        "actual": part(json!({"exists": true, "tab_id": 1})), "drift": part(json!({"aligned": true}))}))
}

/// Sends every report that a client can send.
async fn plant(firefox: &Firefox) {
    let messages = [
        with_headers(json!({"type": "credentials", "platform": "claude", "account": "me", "shell_runtime": tab()})),
        with_headers(json!({"type": "credentials", "platform": "claude", "header_names": PLANTED, "headers": null})),
        // Of the wrong shape: refused, and not repeated in the error.
        json!({"type": "credentials", "platform": "claude", "headers": PLANTED}),
        json!({"type": "credentials", "platform": "claude", "headers": PLANTED[1]}),
        json!({"type": "credentials", "platform": "claude", "header_names": headers()}),
        json!({"type": "credentials", "platform": "claude", "freshness": PLANTED[1]}),
        json!({"type": "credentials", "platform": "claude", "captured_at": PLANTED[0]}),
        with_headers(json!({"type": "api_endpoints", "platform": "claude", "account": "me", "endpoints": ["GET /a"],
            "endpoint_metadata": [with_headers(json!({"method": "GET", "path": "/a"}))], "shell_runtime": [tab()]})),
        with_headers(json!({"type": "platform_status", "platform": "claude", "extractor_drift": 1})),
        with_headers(json!({"type": "action_result", "action": "plugin_status", "target": with_headers(json!({})),
            "result": with_headers(json!({})), "results": [with_headers(json!({"ok": true, "shell_runtime": tab()}))],
            "shell_runtime": tab()})),
        with_headers(json!({"type": "browser.final_message", "platform": "claude", "assistant_message_id": "m",
            "raw_text": "harmless"})),
        with_headers(json!({"type": "state_request"})),
        with_headers(json!({"type": "client_log", "level": "info", "message": "harmless"})),
        with_headers(json!({"type": "progress", "id": "nothing"})),
        with_headers(json!({"type": "no_such_type"})),
    ];
    for message in &messages {
        firefox.send_json(message).await.unwrap();
    }
    handled(firefox).await;
}

/// Answers with these headers.
fn whole(answer: &Answer) -> String {
    format!("{answer:?} {}", String::from_utf8_lossy(&answer.body))
}

/// Answers with headers that are no longer allowed.
async fn answer(daemon: &Daemon, firefox: &Firefox) -> Vec<String> {
    let caller = daemon.caller();
    let mut answers = Vec::new();
    let allowed = json!({"content-type": "application/json", "cookie": PLANTED[0], "set-cookie": PLANTED[0],
        "authorization": PLANTED[1], "x-secret": PLANTED[1], "x-ratelimit-reset": "7", "retry-after": "1"});
    for (id, status) in [("r-ok", 200), ("r-failed", 429)] {
        let mut call = caller.begin(&ask(id, "/x")).await;
        request_of(firefox, id).await;
        let message = json!({"type": "api_response", "id": id, "ok": status == 200, "status": status, "body": {"a": 1},
            "headers": allowed, "request_headers": headers()});
        firefox.send_json(&message).await.unwrap();
        answers.push(whole(&call.answer(false).await));
    }
    let mut stream = caller.stream(&ask_sse("r-stream", "/x")).await;
    request_of(firefox, "r-stream").await;
    for message in [
        json!({"type": "stream_open", "id": "r-stream", "status": 200, "headers": allowed, "request_headers": headers(),
            "meta": with_headers(json!({"method": "GET", "platform": "claude", "url": "https://claude.ai/x"}))}),
        with_headers(json!({"type": "stream_event", "id": "r-stream", "seq": 1, "event": "message", "data": {"a": 1}})),
        with_headers(json!({"type": "stream_end", "id": "r-stream", "status": 200})),
    ] {
        firefox.send_json(&message).await.unwrap();
    }
    let (frames, end) = stream.rest().await;
    answers.push(format!("{frames:?} {end:?}"));
    answers
}

async fn everything(caller: &Caller) -> Vec<String> {
    let mut answers = Vec::new();
    for path in [
        "/v1/browser",
        "/v1/browser/requests",
        "/v1/browser/requests/r-failed",
        "/v1/browser/messages?limit=100",
        "/v1/status",
        "/describe",
        "/describe/business",
        "/describe/control",
        "/v1/capabilities",
        "/v1/system/state",
    ] {
        answers.push(whole(&caller.get(path).await));
    }
    answers
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
}

fn assert_clean(place: &str, bytes: &[u8]) {
    for secret in PLANTED {
        let found = bytes.windows(secret.len()).any(|window| window.eq_ignore_ascii_case(secret.as_bytes()));
        assert!(!found, "{secret} was left in {place}");
    }
}

#[actix_rt::test]
async fn no_credential_value_is_left_anywhere() {
    let daemon = Daemon::start("log.filter = \"trace\"\nlog.file = true").await;
    let mut feed = daemon.caller().follow().await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    let firefox = connect(&daemon, profile).await;
    let mut other = FirefoxProfile::manual("other");
    other.behaviour.credentials = false;
    let watcher = connect(&daemon, other).await;
    plant(&firefox).await;
    let mut seen = answer(&daemon, &firefox).await;
    handled(&watcher).await;
    let bearer = daemon.caller().bearer(&daemon.token());
    seen.extend(everything(&daemon.caller()).await);
    seen.extend(everything(&bearer).await);
    // The stream is complete when it contains the last event.
    watcher.drop_connection().await.unwrap();
    loop {
        let frame = feed.next().await.unwrap();
        seen.push(format!("{frame:?}"));
        if frame.event == "client_disconnected" {
            break;
        }
    }
    for (place, text) in seen.iter().map(|text| ("an answer", text)) {
        assert_clean(place, text.as_bytes());
    }
    for peer in [&firefox, &watcher] {
        assert_clean("what a client was sent", format!("{:?}", peer.received()).as_bytes());
    }
    until("the stored login", async || {
        let records = daemon.caller().browser().await["records"].take();
        let stored = records.as_array().unwrap().iter().any(|record| record["view"] == "active_and_persisted");
        stored.then_some(())
    })
    .await;
    assert!(daemon.stderr().contains("DEBUG"), "the log tells more than usual");
    assert_clean("the log", daemon.stderr().as_bytes());
    // As after a crash: the database with its log.
    let folder = daemon.kill().await;
    let mut found = Vec::new();
    files(&folder.state(), &mut found);
    assert!(found.iter().any(|(name, _)| name.ends_with("-wal")), "the write-ahead log is there");
    for (name, bytes) in &found {
        assert_clean(name, bytes);
    }
}
