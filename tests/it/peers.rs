//! The extension's socket: handshake, replacement, heartbeats, unreadable messages, limits in both directions, and the view
//! of a client.

use crate::support::{
    Daemon, ask, ask_sse, automatic, client_ids, connect, handled, manual, no_client_left, request_of, settled,
    stranger, text_frame, until, waiting,
};
use baa_conductor::simulator::{ConnectionClosed, Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn closed(code: u16, reason: &str) -> ConnectionClosed {
    ConnectionClosed { code: Some(code), reason: reason.to_owned() }
}

#[actix_rt::test]
async fn a_hello_is_answered_by_an_ack_a_snapshot_and_a_wish_for_credentials() {
    let daemon = Daemon::start("bridge.heartbeat_ms = 12345").await;
    let firefox = stranger(&daemon).await;
    let hello = json!({"type": "hello", "clientId": "ff", "nodeType": "browser", "nodeCategory": "proxy",
        "nodePlatform": "firefox"});
    firefox.send_json(&hello).await.unwrap();
    let ask = firefox.expect("request_credentials").await.unwrap();
    assert_eq!((&ask["reason"], &ask["action"]), (&json!("hello"), &json!("request_credentials")));
    let received = firefox.received();
    let types: Vec<_> = received.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["hello_ack", "state_snapshot", "request_credentials"]);
    let (ack, snapshot) = (&received[0], &received[1]);
    assert_eq!((&ack["client_id"], &ack["protocol"]), (&json!("ff"), &json!("baa.firefox/1")));
    assert_eq!((&ack["heartbeat_ms"], &ack["ws_url"]), (&json!(12_345), &json!(daemon.ws_url())));
    assert_eq!(ack["local_api_base"], json!(format!("http://{}", daemon.address)));
    let has = |list: &str, kind: &str| ack["supports"][list].as_array().unwrap().contains(&json!(kind));
    assert!(has("inbound", "api_response") && has("outbound", "api_request"), "{ack}");
    let platforms = ack["platforms"].as_array().unwrap();
    assert_eq!(
        platforms.iter().map(|p| p["platform"].as_str().unwrap()).collect::<Vec<_>>(),
        ["chatgpt", "claude", "gemini"]
    );
    assert_eq!(snapshot["reason"], "hello");
    assert_eq!(snapshot["snapshot"]["browser"]["clients"][0]["connection_id"], ack["connection_id"]);
    let client = daemon.caller().browser().await["bridge"]["clients"][0].take();
    assert_eq!((&client["node_type"], &client["node_category"]), (&json!("browser"), &json!("proxy")));
}

#[actix_rt::test]
async fn a_second_hello_is_answered_again_and_one_of_another_name_refused() {
    let daemon = Daemon::start("").await;
    let firefox = stranger(&daemon).await;
    let hello = |name: &str| json!({"type": "hello", "client_id": name});
    firefox.send_json(&hello("ff")).await.unwrap();
    let first = firefox.expect("hello_ack").await.unwrap();
    firefox.send_json(&hello("ff")).await.unwrap();
    let second = firefox.expect("hello_ack").await.unwrap();
    assert_eq!(first["connection_id"], second["connection_id"]);
    firefox.send_json(&hello("other")).await.unwrap();
    let error = firefox.expect("error").await.unwrap();
    assert_eq!((&error["code"], &error["in_reply_to"]), (&json!("invalid_message"), &json!("hello")));
    assert_eq!(client_ids(&daemon.caller()).await, ["ff"]);
}

#[actix_rt::test]
async fn before_its_hello_a_peer_is_no_client() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (stranger(&daemon).await, daemon.caller());
    for text in ["{\"type\":\"state_request\"}", "{\"type\":\"no_such_type\"}", "nonsense", "[]"] {
        firefox.send_text(text).await.unwrap();
        assert_eq!(firefox.expect("error").await.unwrap()["code"], "hello_required", "{text}");
    }
    for hello in [
        json!({"type": "hello"}),
        json!({"type": "hello", "client_id": "a b"}),
        json!({"type": "hello", "client_id": 7}),
    ] {
        firefox.send_json(&hello).await.unwrap();
        let error = firefox.expect("error").await.unwrap();
        assert_eq!((&error["code"], &error["in_reply_to"]), (&json!("invalid_message"), &json!("hello")), "{hello}");
    }
    assert!(client_ids(&caller).await.is_empty());
    assert_eq!(caller.request(&ask("r", "/")).await.error_code(), "no_active_client");
    firefox.send_json(&json!({"type": "hello", "client_id": "ff"})).await.unwrap();
    firefox.expect("hello_ack").await.unwrap();
    assert_eq!(client_ids(&caller).await, ["ff"]);
}

#[actix_rt::test]
async fn a_peer_that_says_no_hello_is_closed() {
    let daemon = Daemon::start("bridge.hello_timeout_ms = 100").await;
    let silent = stranger(&daemon).await;
    let greeted = manual(&daemon, "ff").await;
    assert_eq!(silent.closed().await.unwrap(), closed(4002, "hello_timeout"));
    handled(&greeted).await;
}

#[actix_rt::test]
async fn another_protocol_and_one_client_too_many_are_closed() {
    let daemon = Daemon::start("bridge.max_clients = 1").await;
    let odd = stranger(&daemon).await;
    odd.send_json(&json!({"type": "hello", "client_id": "odd", "protocol": "baa.firefox/2"})).await.unwrap();
    assert_eq!(odd.closed().await.unwrap(), closed(4005, "unsupported_protocol"));
    let firefox = manual(&daemon, "ff").await;
    let second = stranger(&daemon).await;
    second.send_json(&json!({"type": "hello", "client_id": "second"})).await.unwrap();
    assert_eq!(second.closed().await.unwrap(), closed(1013, "max_clients"));
    handled(&firefox).await;
}

#[actix_rt::test]
async fn a_newer_connection_of_a_client_takes_over() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 2").await;
    let (old, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut buffered = caller.begin(&ask("r1", "/")).await;
    request_of(&old, "r1").await;
    let mut streamed = caller.stream(&ask_sse("r2", "/")).await;
    request_of(&old, "r2").await.open(200).await.unwrap();
    streamed.expect("stream_open").await;
    let mut queued = caller.begin(&ask("r3", "/")).await;
    waiting(&caller, 1).await;
    let new = manual(&daemon, "ff").await;
    assert_eq!(old.closed().await.unwrap(), closed(4001, "replaced"));
    let answer = buffered.answer(false).await;
    assert_eq!(
        (answer.error(), answer.error_code()),
        ((503, "browser_bridge_unavailable".into()), "client_replaced".into())
    );
    assert_eq!(streamed.end().await.outcome(), ("stream_error", "client_replaced", 503));
    // A request that was not dispatched yet goes to the newer connection.
    request_of(&new, "r3").await.answer(200, json!("new")).await.unwrap();
    assert_eq!(queued.answer(false).await.data()["response"], "new");
    assert_eq!(old.received_of("request_cancel").len(), 0, "a replaced client receives nothing more");
    assert_eq!(client_ids(&caller).await, ["ff"]);
    let state = settled(&caller).await;
    let ack = new.received_of("hello_ack");
    assert_eq!(state["bridge"]["active_connection_id"], ack[0]["connection_id"]);
}

#[actix_rt::test]
async fn a_refused_hello_replaces_no_connection() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    let request = request_of(&firefox, "r").await;
    let other = stranger(&daemon).await;
    other.send_json(&json!({"type": "hello", "client_id": "ff", "protocol": "other"})).await.unwrap();
    other.closed().await.unwrap();
    request.answer(200, json!("undisturbed")).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"], "undisturbed");
}

#[actix_rt::test]
async fn a_lost_client_fails_what_it_performs_at_once() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    for politely in [false, true] {
        let firefox = manual(&daemon, "ff").await;
        let mut answer = caller.begin(&ask("r", "/")).await;
        request_of(&firefox, "r").await;
        if politely {
            firefox.close(1000, "bye").await.unwrap();
            assert_eq!(firefox.closed().await.unwrap().code, Some(1000));
        } else {
            firefox.drop_connection().await.unwrap();
        }
        let answer = answer.answer(false).await;
        assert_eq!((answer.error().0, answer.error_code()), (503, "client_disconnected".into()));
        no_client_left(&caller).await;
        settled(&caller).await;
    }
}

#[actix_rt::test]
async fn a_peer_that_never_pongs_is_closed_and_one_that_does_is_not() {
    let daemon = Daemon::start("bridge.heartbeat_ms = 60").await;
    let caller = daemon.caller();
    let alive = manual(&daemon, "alive").await;
    let mut profile = FirefoxProfile::manual("dead");
    profile.behaviour.pongs = false;
    let dead = connect(&daemon, profile).await;
    let mut answer =
        caller.begin(&json!({"platform": "claude", "request_id": "r", "path": "/", "client_id": "dead"})).await;
    request_of(&dead, "r").await;
    assert_eq!(dead.closed().await.unwrap(), closed(4004, "heartbeat_timeout"));
    assert_eq!(answer.answer(false).await.error_code(), "client_disconnected");
    until("pings", async || (alive.pings() >= 5).then_some(())).await;
    assert_eq!(client_ids(&caller).await, ["alive"]);
}

#[actix_rt::test]
async fn a_half_open_connection_is_found_and_cut() {
    let daemon = Daemon::start("bridge.heartbeat_ms = 60").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    firefox.set_reading(false);
    let mut answer = caller.begin(&ask("r", "/")).await;
    assert_eq!(answer.answer(false).await.error_code(), "client_disconnected");
    no_client_left(&caller).await;
}

#[actix_rt::test]
async fn what_cannot_be_read_is_answered_and_the_connection_stays() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let deep = format!("{{\"type\":\"credentials\",\"x\":{}{}}}", "[".repeat(129), "]".repeat(129));
    for (text, code, in_reply_to) in [
        ("{", "invalid_json", Value::Null),
        ("", "invalid_json", Value::Null),
        ("[]", "invalid_message", Value::Null),
        ("{}", "invalid_message", Value::Null),
        ("{\"type\": 7}", "invalid_message", Value::Null),
        ("{\"type\": \"nothing\", \"id\": \"x\"}", "unsupported_message_type", json!("nothing")),
        ("{\"type\": \"credentials\"}", "invalid_message", json!("credentials")),
        (&deep, "invalid_message", json!("credentials")),
        ("{\"type\": \"stream_event\", \"id\": \"x\", \"seq\": 0}", "invalid_message", json!("stream_event")),
    ] {
        firefox.send_text(text).await.unwrap();
        let error = firefox.expect("error").await.unwrap();
        assert_eq!((&error["code"], &error["in_reply_to"]), (&json!(code), &in_reply_to), "{text}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
        if text.contains("\"id\"") {
            assert_eq!(error["id"], "x");
        }
    }
    handled(&firefox).await;
}

#[actix_rt::test]
async fn an_answer_that_cannot_be_read_ends_its_request_as_a_bridge_error() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    for kind in ["bad_fields", "deep"] {
        let answer = caller.request(&ask(kind, &format!("/malformed?kind={kind}"))).await;
        assert_eq!(answer.error(), (502, "browser_bridge_error".into()), "{kind}");
        let error = firefox.expect("error").await.unwrap();
        assert_eq!((&error["in_reply_to"], &error["id"]), (&json!("api_response"), &json!(kind)));
        let mut stream = caller.stream(&ask_sse(kind, &format!("/malformed?kind={kind}"))).await;
        assert_eq!(stream.end().await.outcome(), ("stream_error", "browser_bridge_error", 502), "{kind}");
        firefox.expect("error").await.unwrap();
    }
    let answer = caller.request(&ask("r", "/malformed")).await.data();
    assert_eq!(answer["response"]["after"], "malformed frames", "what names no request ends none");
    assert_eq!(firefox.received_of("request_cancel").len(), 0);
}

#[actix_rt::test]
async fn an_event_that_cannot_be_read_ends_its_stream_and_stops_the_page() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut stream = caller.stream(&ask_sse("r1", "/")).await;
    let request = request_of(&firefox, "r1").await;
    request.open(200).await.unwrap();
    firefox.send_json(&json!({"type": "stream_event", "id": "r1", "seq": 0})).await.unwrap();
    assert_eq!(stream.end().await.outcome(), ("stream_error", "browser_bridge_error", 502));
    assert_eq!(firefox.expect("request_cancel").await.unwrap()["id"], "r1");
}

#[actix_rt::test]
async fn no_client_answers_feeds_or_ends_the_request_of_another() {
    let daemon = Daemon::start("").await;
    let (owner, caller) = (manual(&daemon, "owner").await, daemon.caller());
    let thief = manual(&daemon, "thief").await;
    let on_owner = |id: &str, mode: &str| json!({"platform": "claude", "request_id": id, "path": "/", "client_id": "owner", "response_mode": mode});
    let mut buffered = caller.begin(&on_owner("r1", "buffered")).await;
    let first = request_of(&owner, "r1").await;
    let mut streamed = caller.stream(&on_owner("r2", "sse")).await;
    let second = request_of(&owner, "r2").await;
    for id in ["r1", "r2"] {
        for message in [
            json!({"type": "stream_open", "id": id, "status": 200}),
            json!({"type": "stream_event", "id": id, "seq": 1, "data": "stolen"}),
            json!({"type": "stream_end", "id": id}),
            json!({"type": "stream_error", "id": id, "code": "stolen"}),
            json!({"type": "api_response", "id": id, "ok": true, "status": 200, "body": "stolen"}),
            json!({"type": "api_response", "id": id, "status": "garbled"}),
            json!({"type": "progress", "id": id}),
        ] {
            thief.send_json(&message).await.unwrap();
        }
    }
    handled(&thief).await;
    first.answer(200, json!("own")).await.unwrap();
    second.event("message", json!("own")).await.unwrap();
    second.end(200).await.unwrap();
    assert_eq!(buffered.answer(false).await.data()["response"], "own");
    let (frames, last) = streamed.rest().await;
    assert_eq!((frames[1].id, &frames[1].data["data"], frames.len()), (Some(1), &json!("own"), 2));
    assert_eq!(last.outcome(), ("stream_end", "", 200));
    // An answered request belongs to no connection.
    first.answer(200, json!("again")).await.unwrap();
    handled(&owner).await;
}

#[actix_rt::test]
async fn a_peer_that_does_not_read_is_closed_when_too_much_waits_for_it() {
    let daemon = Daemon::start("bridge.max_outbound_bytes = 1000000").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    firefox.set_reading(false);
    let mut large = ask("r", "/");
    large["body"] = json!("x".repeat(900_000));
    let mut answers = Vec::new();
    // More than the kernel's buffers and the limit hold together.
    for n in 0..20 {
        large["request_id"] = json!(format!("r{n}"));
        answers.push(caller.begin(&large).await);
    }
    for mut answer in answers {
        let answer = answer.answer(false).await;
        assert_eq!(answer.error(), (503, "browser_bridge_unavailable".into()));
        let code = answer.error_code();
        // Later requests found no client.
        assert!(matches!(&*code, "send_failed" | "no_active_client"), "{code}");
    }
    no_client_left(&caller).await;
    settled(&caller).await;
    assert!(daemon.stderr().contains("close.code=1013"), "the reason is in the log");
}

#[actix_rt::test]
async fn a_peer_that_talks_too_much_is_read_more_slowly_but_not_closed() {
    let daemon = Daemon::start("bridge.max_messages_per_second = 200\nbridge.message_burst = 10").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let began = Instant::now();
    let talk = text_frame("{\"type\":\"client_log\",\"level\":\"info\",\"message\":\"x\"}").repeat(110);
    firefox.send_raw(&talk).await.unwrap();
    handled(&firefox).await;
    // A hundred beyond the burst, at two hundred per second: at least half a second, minus tolerance.
    assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await.answer(200, json!(1)).await.unwrap();
    answer.answer(false).await.data();
}

#[actix_rt::test]
async fn many_changes_are_few_snapshots_and_the_last_one_shows_the_last_change() {
    const INTERVAL: Duration = Duration::from_millis(200);
    let daemon = Daemon::start("bridge.snapshot_interval_ms = 200").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    let (began, firefox) = (Instant::now(), connect(&daemon, profile).await);
    let told = |n: u32| json!({"type": "credentials", "platform": "claude", "account": "a", "credential_fingerprint": n.to_string(), "freshness": "fresh"});
    let changes: Vec<u8> = (1..=500).flat_map(|n| text_frame(&told(n).to_string())).collect();
    firefox.send_raw(&changes).await.unwrap();
    firefox.send_json(&json!({"type": "api_endpoints", "platform": "claude", "endpoints": ["GET /x"]})).await.unwrap();
    let shows_all = |message: &Value| message.pointer("/snapshot/browser/clients/0/request_hooks/0").is_some();
    let last = firefox.expect_where("state_snapshot", shows_all).await.unwrap();
    assert_eq!(last["reason"], "api_endpoints");
    let client = &last["snapshot"]["browser"]["clients"][0];
    assert_eq!(client["credentials"][0]["credential_fingerprint"], "500");
    let snapshots = firefox.received_of("state_snapshot").len() as u128;
    let may_be = began.elapsed().as_millis() / INTERVAL.as_millis() + 2;
    assert!(snapshots <= may_be, "{snapshots} snapshots");
}

#[actix_rt::test]
async fn a_client_sees_itself_alone_and_when_it_asks() {
    let daemon = Daemon::start("").await;
    let _other = manual(&daemon, "other").await;
    let firefox = manual(&daemon, "ff").await;
    firefox.send_json(&json!({"type": "state_request"})).await.unwrap();
    let fits = |message: &Value| message["reason"] == "state_request";
    firefox.expect_where("state_snapshot", fits).await.unwrap();
    for snapshot in firefox.received_of("state_snapshot") {
        let clients = snapshot["snapshot"]["browser"]["clients"].as_array().unwrap();
        assert_eq!(clients.iter().map(|c| c["client_id"].as_str().unwrap()).collect::<Vec<_>>(), ["ff"]);
        assert_eq!(snapshot["snapshot"]["server"]["ws_url"], daemon.ws_url());
    }
    assert_eq!(client_ids(&daemon.caller()).await, ["ff", "other"]);
}

#[actix_rt::test]
async fn the_values_of_credentials_appear_nowhere() {
    const SECRET: &str = "s3cr3t-value-of-a-cookie";
    let daemon = Daemon::start("log.filter = \"trace\"").await;
    let firefox = manual(&daemon, "ff").await;
    let told = json!({"type": "credentials", "platform": "claude", "account": "leaky", "freshness": "fresh",
        "headers": {"cookie": SECRET, "authorization": SECRET}});
    firefox.send_json(&told).await.unwrap();
    let shows = |message: &Value| message.to_string().contains("leaky");
    let snapshot = firefox.expect_where("state_snapshot", shows).await.unwrap();
    assert!(!snapshot.to_string().contains(SECRET));
    let state = daemon.caller().bearer(&daemon.token()).browser().await;
    assert!(!state.to_string().contains(SECRET));
    let login = &state["bridge"]["clients"][0]["credentials"];
    let leaky = login.as_array().unwrap().iter().find(|entry| entry["account"] == "leaky").unwrap();
    assert_eq!(leaky["header_count"], 2);
    assert!(!daemon.stderr().contains(SECRET));
}

#[actix_rt::test]
async fn the_text_of_a_final_message_is_for_the_bearer_alone() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let told = json!({"type": "browser.final_message", "platform": "claude", "conversation_id": "c",
        "assistant_message_id": "m", "raw_text": "hällo", "observed_at": 7});
    firefox.send_json(&told).await.unwrap();
    let fits = |message: &Value| message["reason"] == "browser.final_message";
    let snapshot = firefox.expect_where("state_snapshot", fits).await.unwrap();
    let without = json!([{"platform": "claude", "conversation_id": "c", "assistant_message_id": "m", "observed_at": 7, "raw_length": 5}]);
    assert_eq!(snapshot["snapshot"]["browser"]["clients"][0]["final_messages"], without);
    let of = |state: Value| state["bridge"]["clients"][0]["final_messages"].clone();
    assert_eq!(of(daemon.caller().browser().await), without);
    let with = of(daemon.caller().bearer(&daemon.token()).browser().await);
    assert_eq!(with[0]["raw_text"], "hällo");
}

#[actix_rt::test]
async fn a_client_may_come_back_again_and_again() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut last: Option<Firefox> = None;
    for n in 0..10 {
        let firefox = automatic(&daemon, "ff").await;
        assert_eq!(caller.request(&ask(&format!("r{n}"), "/echo")).await.data()["client_id"], "ff");
        // Every other connection is still open when the next one arrives.
        last = (n % 2 == 0).then_some(firefox);
    }
    drop(last);
    no_client_left(&caller).await;
}
