//! Limits of the daemon and of the queue: what happens beyond each, and that other requests are unaffected.

use crate::support::{Connection, Daemon, ask, ask_sse, automatic, handled, manual, request_of, settled, waiting};
use serde_json::{Value, json};

const REQUEST: &str = "/v1/browser/request";

#[actix_rt::test]
async fn a_request_beyond_the_maximum_is_503_with_retry_after() {
    let settings = "server.max_requests = 2\npolicy.concurrency.max_in_flight_per_client_platform = 1";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let second = caller.stream(&ask_sse("r2", "/")).await;
    waiting(&caller, 1).await;
    for body in [ask("r3", "/"), ask_sse("r3", "/")] {
        let answer = caller.request(&body).await;
        assert_eq!(answer.error(), (503, "overloaded".into()));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // A live id is a conflict even without capacity; all other routes are served.
    assert_eq!(caller.request(&ask("r1", "/")).await.error().0, 409);
    assert_eq!(caller.get("/readyz").await.status, 200);
    drop(second);
    waiting(&caller, 0).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    let mut again = caller.begin(&ask("r3", "/")).await;
    request_of(&firefox, "r3").await.answer(200, Value::Null).await.unwrap();
    again.answer(false).await.data();
}

#[actix_rt::test]
async fn one_more_than_may_wait_is_refused_and_the_others_keep_their_order() {
    let settings = "policy.waiter.max_per_target = 2\npolicy.concurrency.max_in_flight_per_client_platform = 1";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answers = vec![caller.begin(&ask("r1", "/")).await];
    let mut running = request_of(&firefox, "r1").await;
    for (count, id) in [(1, "r2"), (2, "r3")] {
        answers.push(caller.begin(&ask(id, "/")).await);
        waiting(&caller, count).await;
    }
    let answer = caller.request(&ask("r4", "/")).await;
    assert_eq!((answer.error(), answer.error_code()), ((503, "browser_risk_limited".into()), "queue_full".into()));
    let last = caller.stream(&ask_sse("r4", "/")).await.end().await;
    assert_eq!(last.outcome(), ("stream_error", "queue_full", 503));
    // Another platform of the same client has a queue of its own.
    let mut other = caller.begin(&json!({"platform": "chatgpt", "request_id": "r5", "path": "/"})).await;
    request_of(&firefox, "r5").await.answer(200, Value::Null).await.unwrap();
    other.answer(false).await.data();
    for (n, mut answer) in answers.into_iter().enumerate() {
        running.answer(200, json!(n)).await.unwrap();
        assert_eq!(answer.answer(false).await.data()["response"], n);
        if n < 2 {
            running = request_of(&firefox, ["r2", "r3"][n]).await;
        }
    }
    settled(&caller).await;
}

#[actix_rt::test]
async fn whose_turn_does_not_come_in_time_is_refused() {
    let settings = "policy.waiter.timeout_ms = 150\npolicy.concurrency.max_in_flight_per_client_platform = 1";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let mut streamed = caller.stream(&ask_sse("r2", "/")).await;
    let answer = caller.request(&ask("r3", "/")).await;
    assert_eq!((answer.error(), answer.error_code()), ((503, "browser_risk_limited".into()), "waiter_timeout".into()));
    let details = answer.json()["details"].take();
    assert_eq!((&details["stage"], &details["wait_timeout_ms"]), (&json!("target_slot"), &json!(150)));
    assert_eq!(streamed.end().await.outcome(), ("stream_error", "waiter_timeout", 503));
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    settled(&caller).await;
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

#[actix_rt::test]
async fn the_time_in_the_queue_does_not_count_against_the_timeout() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/slow?ms=700")).await;
    let mut second =
        caller.begin(&json!({"platform": "claude", "request_id": "r2", "path": "/slow?ms=1", "timeout_ms": 500})).await;
    waiting(&caller, 1).await;
    first.answer(false).await.data();
    let data = second.answer(false).await.data();
    assert!(data["policy"]["queue_delay_ms"].as_i64().unwrap() >= 1, "{data}");
}

#[actix_rt::test]
async fn the_body_limit_is_small_on_open_routes() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let body = |bytes: usize| format!("{{\"code\":\"{}\"}}", "x".repeat(bytes - 11)).into_bytes();
    let send = async |caller: &crate::support::Caller, bytes| {
        caller.send("POST", "/v1/session", Some(&body(bytes))).await.error()
    };
    let (anonymous, known) = (daemon.caller(), daemon.caller().bearer(&daemon.token()));
    assert_ne!(send(&anonymous, 4_096).await.0, 413, "read, and refused for what it says");
    assert_eq!(send(&anonymous, 4_097).await, (413, "payload_too_large".into()));
    assert_ne!(send(&known, 4_097).await.0, 413);
}

#[actix_rt::test]
async fn a_body_over_its_limit_is_413() {
    let daemon = Daemon::start("server.max_body_bytes = 10000").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let fill = |bytes: usize| {
        let body = json!({"platform": "claude", "path": "/echo", "body": ""}).to_string();
        let pad = "x".repeat(bytes - body.len());
        json!({"platform": "claude", "path": "/echo", "body": pad}).to_string()
    };
    let (whole, over) = (fill(10_000), fill(10_001));
    assert_eq!(caller.send("POST", REQUEST, Some(whole.as_bytes())).await.status, 200);
    assert_eq!(caller.send("POST", REQUEST, Some(over.as_bytes())).await.error(), (413, "payload_too_large".into()));
    // A declared body that is too large is not awaited.
    let mut connection = caller.open().await;
    let mut head = caller.head("POST", REQUEST, Some(&[b' '; 20_000]));
    head.truncate(head.len() - 20_000);
    connection.write(&head).await;
    assert_eq!(connection.answer(false).await.error(), (413, "payload_too_large".into()));
    // A chunked body declares no length.
    let mut connection = caller.open().await;
    let chunked = format!(
        "POST {REQUEST} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        daemon.address
    );
    connection.write(chunked.as_bytes()).await;
    connection.write(format!("{:x}\r\n{over}\r\n", over.len()).as_bytes()).await;
    assert_eq!(connection.answer(false).await.error(), (413, "payload_too_large".into()));
    // Further bytes belong to that body and are never parsed as a request.
    let rest = b"21\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n\r\n".repeat(3);
    let _ = connection.try_write(&rest).await;
    let _ = connection.try_write(b"0\r\n\r\n").await;
    let _ = connection.try_write(&caller.clone().with("connection", "close").head("GET", "/version", None)).await;
    let text = String::from_utf8(connection.rest().await).unwrap();
    assert!(text.is_empty() || text.contains("baa-conductor") && text.matches("HTTP/1.1").count() == 1, "{text}");
}

#[actix_rt::test]
async fn a_body_in_chunks_is_a_body() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut connection = caller.open().await;
    let head = format!(
        "POST {REQUEST} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        daemon.address
    );
    connection.write(head.as_bytes()).await;
    let body = ask("r", "/echo").to_string();
    for part in body.as_bytes().chunks(7) {
        connection.write(format!("{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap()).as_bytes()).await;
    }
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.answer(false).await.data()["response"]["path"], "/echo");
}

#[actix_rt::test]
async fn a_body_that_does_not_arrive_in_time_is_408() {
    let daemon = Daemon::start("server.body_timeout_ms = 150").await;
    let caller = daemon.caller();
    let head = caller.head("POST", REQUEST, Some(&[b' '; 100]));
    for cut in [100, 1] {
        let mut connection = caller.open().await;
        connection.write(&head[..head.len() - cut]).await;
        assert_eq!(connection.answer(false).await.error(), (408, "body_timeout".into()), "{cut} bytes missing");
    }
}

#[actix_rt::test]
async fn a_caller_that_leaves_within_its_body_leaves_nothing() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let head = caller.head("POST", REQUEST, Some(ask("r", "/").to_string().as_bytes()));
    let mut connection = caller.open().await;
    connection.write(&head[..head.len() - 1]).await;
    drop(connection);
    settled(&caller).await;
    assert!(caller.get("/v1/browser/requests").await.data()["requests"].as_array().unwrap().is_empty());
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 0);
}

#[actix_rt::test]
async fn a_head_that_does_not_arrive_in_time_or_is_too_large_is_refused() {
    let daemon = Daemon::start("server.head_timeout_ms = 150").await;
    let mut slow = Connection::open(daemon.address).await;
    slow.write(b"GET /health HTTP/1.1\r\nhost: ").await;
    assert_eq!(slow.answer(false).await.status, 408);
    let daemon = Daemon::start("").await;
    let large = daemon.caller().with("x-large", &"x".repeat(200 << 10));
    let mut connection = large.open().await;
    // The connection may be refused before all bytes were written.
    let _ = connection.try_write(&large.head("GET", "/health", None)).await;
    assert_eq!(connection.answer(false).await.status, 431);
    let many = (0..200).fold(daemon.caller(), |caller, n| caller.with(&format!("x-{n}"), "y"));
    assert!(matches!(many.get("/health").await.status, 400 | 431), "too many headers");
    assert_eq!(daemon.caller().get("/health").await.status, 200);
}

#[actix_rt::test]
async fn a_head_that_comes_at_once_is_served_however_short_its_time_is() {
    let daemon = Daemon::start("server.head_timeout_ms = 300").await;
    // Spread over the phases of the HTTP library's clock, which ticks twice a second.
    for n in 0..12 {
        assert_eq!(daemon.caller().get("/health").await.status, 200, "{n}");
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
}

#[actix_rt::test]
async fn json_that_nests_too_deep_is_400_wherever_it_stands() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let nested = |levels: usize| {
        // The body itself is one level.
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"platform\":\"claude\",\"path\":\"/echo\",\"body\":{open}{close}}}")
    };
    let deep = caller.send("POST", REQUEST, Some(nested(128).as_bytes())).await;
    assert_eq!(deep.error_code(), "no_active_client", "nothing but a client is missing");
    for text in [nested(129), nested(100_000), "[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let answer = caller.send("POST", REQUEST, Some(text.as_bytes())).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()));
    }
    assert_eq!(caller.get("/health").await.status, 200);
}

#[actix_rt::test]
async fn one_connection_more_than_may_be_waits_until_another_ends() {
    let daemon = Daemon::start("server.max_connections = 4").await;
    let caller = daemon.caller();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = caller.open().await;
        connection.write(&caller.head("GET", "/health", None)).await;
        connection.answer(false).await.data();
        held.push(connection);
    }
    let mut fifth = caller.open().await;
    fifth.write(&caller.head("GET", "/health", None)).await;
    // Connections that were admitted are still served.
    held[0].write(&caller.head("GET", "/version", None)).await;
    held[0].answer(false).await.data();
    held.clear();
    assert_eq!(fifth.answer(false).await.data()["status"], "ok");
}

#[actix_rt::test]
async fn clients_that_left_make_room_for_the_targets_of_others() {
    let daemon = Daemon::start("policy.max_targets = 2").await;
    let caller = daemon.caller();
    for number in 0..5 {
        let name = format!("ff{number}");
        let firefox = automatic(&daemon, &name).await;
        let answer = caller.request(&json!({"platform": "claude", "path": "/echo", "client_id": name})).await;
        assert_eq!(answer.data()["client_id"], *name);
        firefox.close(1000, "").await.unwrap();
    }
}
