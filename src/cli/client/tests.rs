//! The client against a stub daemon.

use super::*;
use crate::cli::testing::stub_daemon::{ResponsePart, StubDaemon, json as answer, sse_head};
use serde_json::json;

fn client(stub: &StubDaemon) -> DaemonClient {
    DaemonClient::new(&stub.base, Some(Secret::new("let-me-in"))).unwrap()
}

#[test]
fn only_loopback_addresses_are_accepted() {
    for (base, wanted) in [
        ("http://127.0.0.1:4317", Some("127.0.0.1:4317")),
        ("http://localhost:1", Some("127.0.0.1:1")),
        ("http://0.0.0.0:5", Some("127.0.0.1:5")),
        ("http://[::1]:5", Some("[::1]:5")),
        ("http://[::]:5", Some("[::1]:5")),
        ("http://127.9.9.9", Some("127.9.9.9:80")),
        ("http://192.168.1.4:4317", None),
        ("http://example.com:4317", None),
        ("https://127.0.0.1:4317", None),
        ("nonsense", None),
    ] {
        assert_eq!(loopback_address(base).map(|at| at.to_string()).as_deref(), wanted, "{base}");
    }
}

#[actix_rt::test]
async fn data_is_returned_unchanged_and_the_token_is_sent() {
    let stub = StubDaemon::new(|_| answer(200, r#"{"ok":true,"request_id":"r","data":{"b":1.50,"a":null}}"#));
    let client = client(&stub);
    let data = client.get("/v1/browser?platform=claude").await.unwrap();
    assert_eq!(data.get(), r#"{"b":1.50,"a":null}"#);
    client.post("/v1/x", &json!({"q": 1}), Some(REPLY_TIMEOUT)).await.unwrap();
    let seen = stub.received();
    assert_eq!(seen[0].line, "GET /v1/browser?platform=claude");
    assert!(seen[0].headers.contains("authorization: Bearer let-me-in\n"), "{}", seen[0].headers);
    assert_eq!((&*seen[1].line, &*seen[1].body), ("POST /v1/x", r#"{"q":1}"#));
    assert!(seen[1].headers.contains("content-type: application/json\n"), "{}", seen[1].headers);
}

#[actix_rt::test]
async fn a_refusal_keeps_its_fields_and_its_text_is_escaped() {
    let body = r#"{"ok":false,"error":"browser_risk_limited","message":"Too\u001b[2J fast.","details":{"error_code":"circuit_open","n":1}}"#;
    let stub = StubDaemon::new(move |_| answer(429, body));
    let Err(CallError::Refused(refused)) = client(&stub).get("/").await else { panic!("it is refused") };
    assert_eq!(
        (refused.status, &*refused.error, refused.details["n"].as_u64()),
        (429, "browser_risk_limited", Some(1))
    );
    assert_eq!(refused.to_string(), "browser_risk_limited (circuit_open): Too\\u{1b}[2J fast.");
}

#[actix_rt::test]
async fn unexpected_responses_are_errors() {
    for (status, body, wanted) in [
        (200, "", "status 200 OK, without a body"),
        (431, "", "without a body"),
        (200, "{}", "status 200 OK, missing field"),
        (200, "<html>", "status 200 OK, expected value"),
        (500, r#"{"ok":true,"data":1}"#, "status 500 Internal Server Error, missing field"),
        (404, r#"{"error":"not_found"}"#, "not_found: "),
        (302, "", "without a body"),
    ] {
        let stub = StubDaemon::new(move |_| answer(status, body));
        let error = client(&stub).get("/").await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{status} {body}: {error}");
    }
}

#[actix_rt::test]
async fn a_refused_connection_and_a_timeout_are_unreachable_errors() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = DaemonClient::new(&format!("http://{free}"), None).unwrap().get("/").await.unwrap_err().to_string();
    assert!(error.contains("does not answer") && error.contains("refused"), "{error}");
    let stub = StubDaemon::new(|_| vec![ResponsePart::Until("never")]);
    let late = client(&stub).post("/", &json!({}), Some(Duration::from_millis(50))).await.unwrap_err().to_string();
    assert!(late.contains("no response within 0.05 s"), "{late}");
    let cut = StubDaemon::new(|_| vec![]);
    assert!(matches!(client(&cut).get("/").await, Err(CallError::Unreachable { .. })));
}

#[actix_rt::test]
async fn a_stream_is_read_in_chunks_of_any_size() {
    for size in [1, 2, 3, 7, 1_000] {
        let text = "event: a\ndata: 🦊\n\n: keep-alive\n\nevent: b\r\ndata: 1\r\ndata: 2\r\n\r\n";
        let stub =
            StubDaemon::new(move |_| vec![sse_head(), ResponsePart::Chunks(text.into(), size), ResponsePart::Last]);
        let mut events = client(&stub).stream("/s", &json!({})).await.unwrap();
        for (event, data) in [("a", "🦊"), ("b", "1\n2")] {
            let frame = events.next().await.unwrap().unwrap();
            assert_eq!((&*frame.event, &*frame.data), (event, data), "in pieces of {size}");
        }
        assert_eq!(events.next().await.unwrap(), None);
    }
}

#[actix_rt::test]
async fn a_refused_stream_returns_the_error_of_the_envelope() {
    let stub =
        StubDaemon::new(|_| answer(409, r#"{"ok":false,"error":"browser_request_conflict","message":"Taken."}"#));
    let error = client(&stub).stream("/s", &json!({})).await.err().unwrap();
    assert_eq!(error.to_string(), "browser_request_conflict: Taken.");
    let stub = StubDaemon::new(|_| answer(200, r#"{"ok":true,"data":{}}"#));
    let error = client(&stub).stream("/s", &json!({})).await.err().unwrap().to_string();
    assert!(error.contains("\"application/json\" in place of an event stream"), "{error}");
}
