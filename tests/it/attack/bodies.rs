//! Bodies that are not JSON, too large, or declared wrongly.

use super::unharmed;
use crate::support::{Case, Daemon, automatic};

#[actix_rt::test]
async fn no_body_harms() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let deep = |levels: usize| {
        format!("{{\"platform\":\"claude\",\"path\":\"/\",\"body\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    let long = "x".repeat(70_000);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing but a blank", b" ".to_vec()),
        ("half an object", b"{\"platform\":\"claude\",".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a text", b"\"x\"".to_vec()),
        ("null", b"null".to_vec()),
        ("a number that is none", b"{\"platform\":\"claude\",\"path\":\"/\",\"timeout_ms\":1e999}".to_vec()),
        (
            "a number without end",
            format!("{{\"platform\":\"claude\",\"path\":\"/\",\"timeout_ms\":{}}}", "9".repeat(9_999)).into_bytes(),
        ),
        ("a negative time", b"{\"platform\":\"claude\",\"path\":\"/\",\"timeout_ms\":-1}".to_vec()),
        ("two objects", b"{}{}".to_vec()),
        ("a tail", b"{\"platform\":\"claude\",\"path\":\"/\"} x".to_vec()),
        ("no UTF-8", b"{\"platform\":\"claude\",\"path\":\"/\xff\"}".to_vec()),
        ("half a surrogate", b"{\"platform\":\"claude\",\"path\":\"/\\ud800\"}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("depth 129", deep(128).into_bytes()),
        ("depth of 100000", deep(100_000).into_bytes()),
        ("objects in objects", "{\"a\":".repeat(50_000).into_bytes()),
        ("an id with a blank", b"{\"platform\":\"claude\",\"path\":\"/\",\"request_id\":\"a b\"}".to_vec()),
        (
            "an id without end",
            format!("{{\"platform\":\"claude\",\"path\":\"/\",\"request_id\":\"{long}\"}}").into_bytes(),
        ),
        ("an id with a line end", b"{\"platform\":\"claude\",\"path\":\"/\",\"request_id\":\"a\\r\\nb\"}".to_vec()),
        ("a platform that is a path", b"{\"platform\":\"../claude\",\"path\":\"/\"}".to_vec()),
        ("a path elsewhere", b"{\"platform\":\"claude\",\"path\":\"https://evil.example/\"}".to_vec()),
        ("a path elsewhere without scheme", b"{\"platform\":\"claude\",\"path\":\"//evil.example/\"}".to_vec()),
        ("a path with a backslash", b"{\"platform\":\"claude\",\"path\":\"/\\\\evil.example/\"}".to_vec()),
        ("a path with a user", b"{\"platform\":\"claude\",\"path\":\"@evil.example/\"}".to_vec()),
        ("a path that is a script", b"{\"platform\":\"claude\",\"path\":\"javascript:alert(1)\"}".to_vec()),
        (
            "a method that splits",
            b"{\"platform\":\"claude\",\"path\":\"/\",\"method\":\"GET / HTTP/1.1\\r\\nx: y\"}".to_vec(),
        ),
        (
            "a header that splits",
            b"{\"platform\":\"claude\",\"path\":\"/\",\"headers\":{\"x\":\"a\\r\\nb: c\"}}".to_vec(),
        ),
        ("a cookie", b"{\"platform\":\"claude\",\"path\":\"/\",\"headers\":{\"cookie\":7}}".to_vec()),
        ("a response mode of its own", b"{\"platform\":\"claude\",\"path\":\"/\",\"response_mode\":\"raw\"}".to_vec()),
        ("a client that is none", b"{\"platform\":\"claude\",\"path\":\"/\",\"client_id\":\"a b\"}".to_vec()),
        ("fields of another kind", b"{\"platform\":[],\"path\":{}}".to_vec()),
    ];
    for (name, body) in rows {
        let case = Case::new(name);
        let answer = caller.send("POST", "/v1/browser/request", Some(&body)).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        answer.error();
        case.passed();
    }
    assert_eq!(firefox.received_of("api_request").len(), 0, "nothing reached the browser");
    unharmed(&daemon).await;
}
