//! The probes, the response envelope, and refusals by the journal and the router.

use crate::support::Daemon;

#[actix_rt::test]
async fn the_probes_need_no_authentication() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let caller = daemon.caller();
    for path in ["/health", "/healthz"] {
        assert_eq!(caller.get(path).await.data()["status"], "ok", "{path}");
    }
    assert_eq!(caller.get("/readyz").await.data()["status"], "ready");
    let version = caller.get("/version").await.data();
    assert_eq!(version["name"], "baa-conductor");
    assert_eq!(version["version"], baa_conductor::VERSION);
    assert_eq!(version["protocol"], "baa.firefox/1");
    assert!(version["git_commit"].is_string() && version["started_at"].as_i64().unwrap() > 0, "{version}");
}

#[actix_rt::test]
async fn the_ready_line_names_both_addresses_and_the_state_folder_says_the_same() {
    let daemon = Daemon::start("").await;
    let address = daemon.address;
    assert_eq!(daemon.ready, format!("ready http://{address} ws://{address}/ws/firefox"));
    let text = std::fs::read_to_string(daemon.folder().state().join("daemon.json")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(announced["pid"], daemon.pid());
    assert_eq!(announced["http"], format!("http://{address}"));
    assert_eq!(announced["ws"], daemon.ws_url());
}

#[actix_rt::test]
async fn every_answer_has_an_id_which_may_be_the_callers_own() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let (first, second) = (caller.get("/health").await, caller.get("/health").await);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    let named = caller.clone().with("x-request-id", "mine-1").get("/no-such-route").await;
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    assert_eq!(named.error(), (404, "not_found".into()));
    for odd in ["two words", &"x".repeat(129)] {
        let answer = caller.clone().with("x-request-id", odd).get("/health").await;
        assert_ne!(answer.header("x-request-id"), Some(odd));
        answer.data();
    }
}

#[actix_rt::test]
async fn an_unknown_path_is_404_and_another_method_405_with_what_is_allowed() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let missing = caller.get("/nowhere").await;
    assert_eq!(
        (missing.error(), missing.json()["details"]["resource"].as_str()),
        ((404, "not_found".into()), Some("route"))
    );
    for (method, path, allow) in [
        ("POST", "/health", "GET, HEAD"),
        ("GET", "/v1/browser/request", "POST"),
        ("DELETE", "/v1/browser/requests", "GET, HEAD"),
        ("PUT", "/v1/browser/request/cancel", "POST"),
    ] {
        let answer = caller.send(method, path, None).await;
        assert_eq!(answer.error(), (405, "method_not_allowed".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[actix_rt::test]
async fn head_is_answered_like_get_without_a_body() {
    let daemon = Daemon::start("").await;
    let mut connection = daemon.caller().open().await;
    let head = daemon.caller().head("HEAD", "/version", None);
    connection.write(&head).await;
    let answer = connection.answer(true).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    // If a body followed, the next response would not begin there.
    connection.write(&daemon.caller().head("GET", "/health", None)).await;
    assert_eq!(connection.answer(false).await.data()["status"], "ok");
}

#[actix_rt::test]
async fn one_connection_carries_many_requests() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut connection = caller.open().await;
    for path in ["/health", "/nowhere", "/v1/browser"] {
        connection.write(&caller.head("GET", path, None)).await;
        assert_eq!(connection.answer(false).await.status, if path == "/nowhere" { 404 } else { 200 }, "{path}");
    }
    // Pipelined requests are answered in order.
    let both = [caller.head("GET", "/version", None), caller.head("GET", "/health", None)].concat();
    connection.write(&both).await;
    assert_eq!(connection.answer(false).await.data()["name"], "baa-conductor");
    assert_eq!(connection.answer(false).await.data()["status"], "ok");
}
