//! Buffered requests: round trip, response shapes, refused fields, failures and their codes.

use crate::support::{Answer, Daemon, ask, automatic, cancel_of, connect, handled, manual, request_of, settled};
use baa_conductor::simulator::{FirefoxProfile, SimulatedPlatform};
use serde_json::{Value, json};

fn failure(answer: &Answer) -> (u16, String, String) {
    let (status, code) = answer.error();
    (status, code, answer.error_code())
}

fn failed(status: u16, code: &str, error_code: &str) -> (u16, String, String) {
    (status, code.to_owned(), error_code.to_owned())
}

#[actix_rt::test]
async fn a_request_travels_to_the_client_and_its_answer_back() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let body = json!({"platform": "claude", "request_id": "r1", "method": "put", "path": "/api/x?y=1",
        "headers": {"x-one": "1"}, "body": {"a": [1, 2]}, "timeout_ms": 5_000});
    let mut waiting = caller.begin(&body).await;
    let request = request_of(&firefox, "r1").await;
    let expected = json!({"type": "api_request", "id": "r1", "platform": "claude", "method": "PUT",
        "path": "/api/x?y=1", "headers": {"x-one": "1", "content-type": "application/json"}, "body": {"a": [1, 2]},
        "response_mode": "buffered", "timeout_ms": 5_000});
    assert_eq!(*request.message(), expected);
    request.answer(201, json!({"made": true})).await.unwrap();
    let data = waiting.answer(false).await.data();
    assert_eq!(data["response"], json!({"made": true}));
    assert_eq!((&data["client_id"], &data["platform"]), (&json!("ff"), &json!("claude")));
    assert_eq!(data["request_mode"], "api_request");
    assert_eq!((&data["organization"], &data["conversation"]), (&Value::Null, &Value::Null));
    let proxy = json!({"method": "PUT", "path": "/api/x?y=1", "request_body": {"a": [1, 2]}, "request_id": "r1",
        "response_mode": "buffered", "status": 201});
    assert_eq!(data["proxy"], proxy);
    assert_eq!((&data["policy"]["request_id"], &data["policy"]["target_client_id"]), (&json!("r1"), &json!("ff")));
    assert_eq!(data["policy"]["circuit_state"], "closed");
    settled(&caller).await;
}

#[actix_rt::test]
async fn fields_may_be_written_in_camel_case_and_by_their_other_names() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (id, body) in [
        ("r1", json!({"requestId": "r1", "clientId": "ff", "requestBody": "text", "timeoutMs": 7_000})),
        ("r2", json!({"id": "r2", "client_id": "ff", "payload": "text", "timeout_ms": 7_000})),
        ("r3", json!({"request_id": "r3", "body": "text", "timeout_ms": 7_000})),
    ] {
        let mut body = body;
        (body["platform"], body["path"], body["responseMode"]) = ("claude".into(), "/".into(), "buffered".into());
        let mut waiting = caller.begin(&body).await;
        let request = request_of(&firefox, id).await;
        let message = request.message();
        assert_eq!((&message["method"], &message["body"]), (&json!("POST"), &json!("text")), "{id}");
        assert_eq!(message["timeout_ms"], 7_000);
        assert_eq!(message["headers"], json!({}), "a string is sent as it is");
        request.answer(200, Value::Null).await.unwrap();
        assert_eq!(waiting.answer(false).await.data()["response"], Value::Null, "{id}");
    }
}

#[actix_rt::test]
async fn without_an_id_a_prompt_and_a_timeout_the_rest_is_filled_in() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut waiting = caller.begin(&json!({"platform": "claude", "path": "/"})).await;
    let request = firefox.next_request().await.unwrap();
    assert!(!request.id().is_empty());
    assert_eq!((&request.message()["method"], &request.message()["timeout_ms"]), (&json!("GET"), &json!(20_000)));
    request.answer(200, json!(1)).await.unwrap();
    assert_eq!(waiting.answer(false).await.data()["proxy"]["request_id"], request.id());
    let prompted = json!({"platform": "claude", "path": "/ask", "prompt": "why?"});
    let mut waiting = caller.begin_at("/v1/browser/request?timeout_ms=9000", &prompted).await;
    let request = firefox.next_request().await.unwrap();
    assert_eq!(request.message()["body"], json!({"prompt": "why?"}));
    assert_eq!((&request.message()["method"], &request.message()["timeout_ms"]), (&json!("POST"), &json!(9_000)));
    request.answer(200, json!(2)).await.unwrap();
    assert_eq!(waiting.answer(false).await.data()["response"], 2);
}

#[actix_rt::test]
async fn an_answer_is_json_event_stream_or_text_as_it_is() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let events = "event: completion\ndata: {\"completion\":\"Hel\"}\n\ndata: {\"completion\":\"lo\"}\n\n";
    let taken = json!({"content_type": "text/event-stream", "full_text": "Hello", "raw": events, "events": [
        {"event": "completion", "data": {"completion": "Hel"}, "raw": "event: completion\ndata: {\"completion\":\"Hel\"}"},
        {"event": "message", "data": {"completion": "lo"}, "raw": "data: {\"completion\":\"lo\"}"}]});
    let plain = "data is not an event";
    for (body, kind, response) in [
        (json!({"a": null}), "application/json", json!({"a": null})),
        (json!("{\"a\": 1}"), "application/json", json!({"a": 1})),
        (json!("[1, 2]"), "text/plain", json!([1, 2])),
        (json!("{not json"), "text/plain", json!("{not json")),
        (json!(plain), "text/plain", json!(plain)),
        (json!(""), "text/plain", Value::Null),
        (Value::Null, "text/plain", Value::Null),
        (json!(events), "Text/Event-Stream; charset=utf-8", taken.clone()),
        (json!(events), "text/plain", taken),
    ] {
        let mut waiting = caller.begin(&ask("r", "/")).await;
        let request = request_of(&firefox, "r").await;
        request.respond(200, body.clone(), json!({"Content-Type": kind})).await.unwrap();
        assert_eq!(waiting.answer(false).await.data()["response"], response, "{body} as {kind}");
    }
}

#[actix_rt::test]
async fn json_passes_through_to_the_byte() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let odd = "{\"n\":123456789012345678901234567890.10,\"twice\":1,\"twice\":2,\"e\":1E+2,\n \"t\":\"\\u00e9\\/\"}";
    let body = format!("{{\"platform\":\"claude\",\"request_id\":\"r\",\"path\":\"/\",\"body\":{odd}}}");
    let mut waiting = caller.open().await;
    waiting.write(&caller.head("POST", "/v1/browser/request", Some(body.as_bytes()))).await;
    // The simulated peer parses into values, which such numbers do not survive, so the test sends the text itself.
    let frame = firefox.expect("api_request").await.unwrap();
    assert_eq!(frame["body"]["twice"], 2);
    let answer = format!("{{\"type\":\"api_response\",\"id\":\"r\",\"ok\":true,\"status\":200,\"body\":{odd}}}");
    firefox.send_text(&answer).await.unwrap();
    let text = String::from_utf8(waiting.answer(false).await.body).unwrap();
    assert_eq!(text.matches(odd).count(), 2, "as request_body and as response: {text}");
}

#[actix_rt::test]
async fn a_large_answer_arrives_whole_and_one_over_the_limit_is_502() {
    let daemon = Daemon::start("bridge.max_response_bytes = 3000000").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let data = caller.request(&ask("r1", "/bytes/3000000")).await.data();
    assert_eq!(data["response"].as_str().unwrap().len(), 3_000_000);
    let answer = caller.request(&ask("r2", "/bytes/3000001")).await;
    assert_eq!(failure(&answer), failed(502, "browser_response_too_large", "browser_response_too_large"));
    assert_eq!(caller.request(&ask("r3", "/echo")).await.data()["response"]["path"], "/echo");
}

#[actix_rt::test]
async fn an_error_of_the_app_is_forwarded_with_its_body() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let answer = caller.request(&ask("r1", "/status/429?retry_after=7")).await;
    assert_eq!(failure(&answer), failed(429, "browser_upstream_error", "browser_upstream_error"));
    assert_eq!(answer.header("retry-after"), Some("7"));
    let details = answer.json()["details"].take();
    assert_eq!(details["upstream_status"], 429);
    assert_eq!(details["upstream_error"], "http_429");
    assert_eq!(details["upstream_body"], json!({"error": {"message": "status 429, as requested"}}));
    assert_eq!((&details["platform"], &details["action"]), (&json!("claude"), &json!("request")));
    assert_eq!((&details["bridge_client_id"], &details["bridge_request_id"]), (&json!("ff"), &json!("r1")));
    assert_eq!(details["bridge_connection_id"], caller.browser().await["bridge"]["active_connection_id"]);
    for (path, status, code) in [
        ("/status/404", 404, "browser_upstream_error"),
        ("/status/503", 503, "browser_upstream_error"),
        ("/error/tab_unavailable", 502, "tab_unavailable"),
        ("/error/fetch_failed?status=503", 503, "browser_upstream_error"),
    ] {
        let answer = caller.request(&ask("r", path)).await;
        assert_eq!(failure(&answer), failed(status, "browser_upstream_error", code), "{path}");
    }
    assert_eq!(firefox.received_of("request_cancel").len(), 0, "what was answered is not cancelled");
}

#[actix_rt::test]
async fn a_long_error_body_is_cut() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut waiting = caller.begin(&ask("r", "/")).await;
    let request = request_of(&firefox, "r").await;
    request.answer(500, json!({"text": "x".repeat(100_000)})).await.unwrap();
    let answer = waiting.answer(false).await;
    assert_eq!(answer.json()["details"]["upstream_body"].as_str().map(str::len), Some(64 << 10));
}

#[actix_rt::test]
async fn a_timeout_is_504_and_the_client_is_notified() {
    let daemon = Daemon::start("bridge.request_timeout_ms = 100").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for body in [ask("r1", "/"), json!({"platform": "claude", "id": "r2", "path": "/", "timeout_ms": 50})] {
        let answer = caller.request(&body).await;
        assert_eq!(failure(&answer), failed(504, "browser_request_timeout", "request_timeout"));
        let request = firefox.next_request().await.unwrap();
        let cancel = cancel_of(&firefox, request.id()).await;
        assert_eq!((&cancel["reason"], &cancel["platform"]), (&json!("request_timeout"), &json!("claude")));
        // A late response is ignored.
        request.answer(200, json!("late")).await.unwrap();
    }
    handled(&firefox).await;
    settled(&caller).await;
}

#[actix_rt::test]
async fn without_a_client_it_is_503_and_with_a_named_one_that_is_not_there_409() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let answer = caller.request(&ask("r", "/")).await;
    assert_eq!(failure(&answer), failed(503, "browser_bridge_unavailable", "no_active_client"));
    let _firefox = manual(&daemon, "ff").await;
    let named = json!({"platform": "claude", "path": "/", "client_id": "other"});
    let answer = caller.request(&named).await;
    assert_eq!(failure(&answer), failed(409, "browser_client_not_found", "client_not_found"));
}

#[actix_rt::test]
async fn a_live_id_is_409_and_free_again_afterwards() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("same", "/1")).await;
    let request = request_of(&firefox, "same").await;
    let second = caller.request(&ask("same", "/2")).await;
    assert_eq!(failure(&second), failed(409, "browser_request_conflict", "request_conflict"));
    request.answer(200, json!("first")).await.unwrap();
    assert_eq!(first.answer(false).await.data()["response"], "first");
    let mut again = caller.begin(&ask("same", "/3")).await;
    request_of(&firefox, "same").await.answer(200, json!("third")).await.unwrap();
    assert_eq!(again.answer(false).await.data()["response"], "third");
    assert_eq!(firefox.received_of("api_request").len(), 2);
}

#[actix_rt::test]
async fn the_client_is_the_named_one_else_one_with_a_login_else_the_active_one() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let on = |client: &str, platform: &str, freshness: &str| {
        let mut profile = FirefoxProfile::new(client);
        profile.platforms = vec![SimulatedPlatform { freshness: freshness.into(), ..SimulatedPlatform::new(platform) }];
        profile
    };
    let _a = connect(&daemon, on("a", "claude", "fresh")).await;
    let _b = connect(&daemon, on("b", "claude", "lost")).await;
    let _c = connect(&daemon, on("c", "chatgpt", "fresh")).await;
    let chosen = async |platform: &str, named: Option<&str>| {
        let body = json!({"platform": platform, "path": "/echo", "client_id": named});
        caller.request(&body).await.data()["client_id"].take()
    };
    assert_eq!(chosen("claude", Some("b")).await, "b", "named");
    assert_eq!(chosen("chatgpt", None).await, "c", "active, with a login");
    assert_eq!(chosen("claude", None).await, "a", "not active, but with a login that is not lost");
    assert_eq!(chosen("gemini", None).await, "c", "no client has a login: the active one");
    let _d = connect(&daemon, on("d", "claude", "fresh")).await;
    let _e = connect(&daemon, on("e", "chatgpt", "fresh")).await;
    assert_eq!(chosen("claude", None).await, "d", "whose login was reported last");
}

#[actix_rt::test]
async fn a_request_that_cannot_be_is_refused_by_the_name_of_its_field() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (field, value) in [
        ("platform", Value::Null),
        ("platform", json!(7)),
        ("path", Value::Null),
        ("path", json!("")),
        ("path", json!("no-slash")),
        ("path", json!("//claude.ai/x")),
        ("path", json!("/\\evil.example")),
        ("path", json!("/a\nb")),
        ("path", json!("https://evil.example/")),
        ("path", json!("http://claude.ai/")),
        ("path", json!("https://claude.ai:444/")),
        ("path", json!("https://user@claude.ai/")),
        ("request_id", json!("with blank")),
        ("request_id", json!("x".repeat(129))),
        ("client_id", json!("a/b")),
        ("method", json!("CONNECT")),
        ("method", json!("trace")),
        ("method", json!("GE T")),
        ("headers", json!({"Cookie": "a=b"})),
        ("headers", json!({"sec-fetch-site": "none"})),
        ("headers", json!({"x": 1})),
        ("headers", json!({"x": "a\r\nb: c"})),
        ("headers", json!([])),
        ("response_mode", json!("both")),
        ("timeout_ms", json!(0)),
        ("timeout_ms", json!(3_600_001)),
        ("timeout_ms", json!(1.5)),
        ("timeout_ms", json!("10")),
    ] {
        let mut body = ask("r", "/");
        body[field] = value.clone();
        let answer = caller.request(&body).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{field}: {value}");
        assert_eq!(answer.json()["details"]["field"], field, "{value}");
    }
    for body in ["", "[]", "7", "{", "{\"platform\": \"claude\"} trailing", "\u{feff}{}"] {
        let answer = caller.send("POST", "/v1/browser/request", Some(body.as_bytes())).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{body:?}");
    }
    let answer = caller.send("POST", "/v1/browser/request", Some(b"{\"platform\":\"cl\xff\"}")).await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    let unknown = caller.request(&json!({"platform": "nowhere", "path": "/"})).await;
    assert_eq!(unknown.error(), (400, "platform_not_supported".into()));
    let known = json!(["chatgpt", "claude", "gemini"]);
    assert_eq!(unknown.json()["details"]["supported_platforms"], known);
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 0, "none of them went out");
}

#[actix_rt::test]
async fn a_path_may_be_a_url_on_one_of_the_platforms_hosts() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    for path in ["https://claude.ai/echo", "https://api.claude.ai/echo", "HTTPS://CLAUDE.AI:443/echo"] {
        let data = caller.request(&ask("r", path)).await.data();
        assert_eq!(data["proxy"]["path"], path, "passed on as it came");
    }
}
