//! Access checks: host, origin, fetch metadata, content type and caller, in this order, on every route and on the
//! handshake.

use crate::support::{Answer, Caller, Daemon, automatic};
use baa_conductor::simulator::{ConnectError, Firefox, FirefoxProfile};
use serde_json::json;

const FOREIGN: &str = "https://evil.example";
const ALLOWED: &str = "https://app.example";

fn refusal(answer: &Answer) -> String {
    let (status, code) = answer.error();
    format!("{status} {code}")
}

#[actix_rt::test]
async fn a_host_must_be_one_of_the_daemons_own_names() {
    let daemon = Daemon::start("server.allowed_hosts = [\"box.lan\", \"proxy.lan:99\"]").await;
    let (caller, port) = (daemon.caller(), daemon.address.port());
    let own = [format!("127.0.0.1:{port}"), format!("LocalHost:{port}"), format!("[::1]:{port}")];
    let allowed = ["box.lan", "BOX.lan:1", "proxy.lan:99"].map(str::to_owned);
    for host in own.iter().chain(&allowed) {
        assert_eq!(caller.clone().with("host", host).get("/health").await.status, 200, "{host}");
    }
    let foreign =
        ["evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "proxy.lan", "proxy.lan:98", "box.lan.evil:1"];
    for host in foreign {
        for path in ["/health", "/v1/browser", "/ws/firefox", "/nowhere"] {
            let answer = caller.clone().with("host", host).get(path).await;
            assert_eq!(refusal(&answer), "403 host_not_allowed", "{host} {path}");
        }
    }
}

#[actix_rt::test]
async fn a_missing_repeated_or_contradicted_host_is_400() {
    let daemon = Daemon::start("").await;
    let address = daemon.address;
    for head in [
        "GET /health HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /health HTTP/1.1\r\nhost: {address}\r\nhost: {address}\r\n\r\n"),
        format!("GET http://evil.example/health HTTP/1.1\r\nhost: {address}\r\n\r\n"),
    ] {
        let mut connection = daemon.caller().open().await;
        connection.write(head.as_bytes()).await;
        assert_eq!(connection.answer(false).await.status, 400, "{head}");
    }
    let mut connection = daemon.caller().open().await;
    connection.write(format!("GET http://{address}/health HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await;
    assert_eq!(connection.answer(false).await.status, 200, "an absolute target that agrees");
}

#[actix_rt::test]
async fn what_a_proxy_claims_about_the_host_is_never_believed() {
    let daemon = Daemon::start("").await;
    let own = daemon.address.to_string();
    let claims = |caller: Caller, host: &str| {
        caller
            .with("x-forwarded-host", host)
            .with("forwarded", &format!("host={host};for=127.0.0.1"))
            .with("x-forwarded-for", "127.0.0.1")
    };
    let rebound = claims(daemon.caller().with("host", "evil.example"), &own).get("/health").await;
    assert_eq!(refusal(&rebound), "403 host_not_allowed");
    assert_eq!(claims(daemon.caller(), "evil.example").get("/health").await.status, 200);
}

#[actix_rt::test]
async fn an_origin_must_be_the_daemons_own_or_an_allowed_one() {
    let daemon = Daemon::start(&format!("server.allowed_origins = [\"{ALLOWED}\"]")).await;
    let (caller, port) = (daemon.caller(), daemon.address.port());
    let from = |origin: &str| caller.clone().with("origin", origin);
    for origin in [&*format!("http://127.0.0.1:{port}"), &*format!("http://localhost:{port}"), ALLOWED] {
        assert_eq!(from(origin).get("/health").await.status, 200, "{origin}");
    }
    let https = format!("https://127.0.0.1:{port}");
    for origin in [FOREIGN, "null", "http://127.0.0.1", "moz-extension://abc", &https, "", "https://app.example.evil"] {
        for path in ["/health", "/v1/browser", "/nowhere"] {
            let answer = from(origin).get(path).await;
            assert_eq!(refusal(&answer), "403 origin_not_allowed", "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
}

#[actix_rt::test]
async fn a_request_that_another_site_made_is_refused() {
    let daemon = Daemon::start(&format!("server.allowed_origins = [\"{ALLOWED}\"]")).await;
    let from = |site: &str| daemon.caller().with("sec-fetch-site", site);
    for site in ["same-origin", "none"] {
        assert_eq!(from(site).get("/v1/browser").await.status, 200, "{site}");
    }
    for site in ["cross-site", "same-site", "other"] {
        assert_eq!(refusal(&from(site).get("/v1/browser").await), "403 origin_not_allowed", "{site}");
    }
    let allowed = from("cross-site").with("origin", ALLOWED);
    assert_eq!(refusal(&allowed.get("/v1/browser").await), "401 unauthorized", "it is let in, not trusted");
    assert_eq!(allowed.bearer(&daemon.token()).get("/v1/browser").await.status, 200, "its origin is allowed");
}

#[actix_rt::test]
async fn only_allowed_origins_get_cors_headers_and_an_answered_preflight() {
    let daemon = Daemon::start(&format!("server.allowed_origins = [\"{ALLOWED}\"]")).await;
    let caller = daemon.caller();
    let answer = caller.clone().with("origin", ALLOWED).get("/health").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
    assert_eq!(answer.header("vary"), Some("origin"));
    let preflight = caller.clone().with("origin", ALLOWED).with("access-control-request-method", "POST");
    let answer = preflight.send("OPTIONS", "/v1/browser/request", None).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(ALLOWED)));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let own = format!("http://{}", daemon.address);
    for origin in [Some(FOREIGN), Some(&*own), None] {
        let caller = origin.map_or(caller.clone(), |origin| caller.clone().with("origin", origin));
        let preflight = caller.clone().with("access-control-request-method", "POST");
        let answer = preflight.send("OPTIONS", "/v1/browser/request", None).await;
        assert_eq!(refusal(&answer), "403 origin_not_allowed", "{origin:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        if origin != Some(FOREIGN) {
            let plain = caller.get("/health").await;
            assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None));
        }
    }
}

#[actix_rt::test]
async fn a_body_must_be_json() {
    let daemon = Daemon::start("").await;
    let of = |kind: &str| daemon.caller().with("content-type", kind);
    let body = json!({"platform": "claude", "path": "/"}).to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""]
    {
        let answer = of(kind).send("POST", "/v1/browser/request", Some(body.as_bytes())).await;
        assert_eq!(refusal(&answer), "415 unsupported_media_type", "{kind}");
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        let answer = of(kind).send("POST", "/v1/browser/request", Some(body.as_bytes())).await;
        assert_eq!(refusal(&answer), "503 browser_bridge_unavailable", "{kind}: it reached the handler");
    }
}

#[actix_rt::test]
async fn the_checks_come_in_their_fixed_order() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let path = "/v1/browser/request";
    let mut caller = daemon.caller().with("content-type", "text/plain").with("sec-fetch-site", "cross-site");
    let everything = caller.clone().with("host", "evil.example").with("origin", FOREIGN);
    assert_eq!(refusal(&everything.send("POST", path, Some(b"x")).await), "403 host_not_allowed");
    let with_origin = caller.clone().with("origin", FOREIGN);
    assert_eq!(refusal(&with_origin.send("POST", path, Some(b"x")).await), "403 origin_not_allowed");
    assert_eq!(refusal(&caller.send("POST", path, Some(b"x")).await), "403 origin_not_allowed");
    caller = daemon.caller().with("content-type", "text/plain");
    assert_eq!(refusal(&caller.send("POST", path, Some(b"x")).await), "415 unsupported_media_type");
    assert_eq!(refusal(&daemon.caller().send("POST", path, Some(b"x")).await), "401 unauthorized");
    let known = daemon.caller().bearer(&daemon.token());
    assert_eq!(refusal(&known.send("POST", path, Some(b"x")).await), "400 invalid_request");
}

#[actix_rt::test]
async fn a_refusal_does_not_wait_for_the_body() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let path = "/v1/browser/request";
    for (caller, expected) in [
        (daemon.caller().with("host", "evil.example"), "403 host_not_allowed"),
        (daemon.caller().with("origin", FOREIGN), "403 origin_not_allowed"),
        (daemon.caller().with("content-type", "text/plain"), "415 unsupported_media_type"),
        (daemon.caller(), "401 unauthorized"),
    ] {
        let mut connection = caller.open().await;
        let mut head = caller.head("POST", path, Some(&[b' '; 1_000]));
        head.truncate(head.len() - 1_000);
        connection.write(&head).await;
        assert_eq!(refusal(&connection.answer(false).await), expected);
    }
}

#[actix_rt::test]
async fn callers_of_the_same_user_need_no_token_by_default() {
    let daemon = Daemon::start("").await;
    assert_eq!(daemon.caller().get("/v1/browser").await.status, 200);
    // A caller that sends a token is not let in without it.
    assert_eq!(refusal(&daemon.caller().bearer("wrong").get("/v1/browser").await), "401 unauthorized");
}

#[actix_rt::test]
async fn callers_on_loopback_need_no_token_where_all_of_them_are_trusted() {
    let daemon = Daemon::start("auth.local_trust = \"loopback\"").await;
    assert_eq!(daemon.caller().get("/v1/browser").await.status, 200);
    assert_eq!(daemon.caller().get("/v1/browser/requests").await.status, 200);
}

#[actix_rt::test]
async fn without_local_trust_all_but_the_open_routes_need_the_token() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let (caller, known) = (daemon.caller(), daemon.caller().bearer(&daemon.token()));
    for (method, path) in [
        ("GET", "/v1/browser"),
        ("GET", "/v1/browser/requests"),
        ("GET", "/v1/browser/requests/some"),
        ("POST", "/v1/browser/request"),
        ("POST", "/v1/browser/request/cancel"),
    ] {
        for caller in [&caller, &caller.clone().bearer("wrong"), &caller.clone().with("authorization", "Basic eA==")] {
            let answer = caller.send(method, path, None).await;
            assert_eq!(refusal(&answer), "401 unauthorized", "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"baa-conductor\""));
        }
        assert_ne!(known.send(method, path, None).await.status, 401, "{method} {path}");
    }
    let in_url = caller.get(&format!("/v1/browser?token={0}&access_token={0}", daemon.token())).await;
    assert_eq!(refusal(&in_url), "401 unauthorized", "a token in a URL is none");
    // The extension authenticates on its socket.
    let firefox = automatic(&daemon, "ff").await;
    assert_eq!(known.browser().await["bridge"]["active_client_id"], firefox.client_id());
}

#[actix_rt::test]
async fn a_configured_token_is_the_one_that_counts() {
    let token = "0123456789abcdef0123456789abcdef";
    let daemon = Daemon::start(&format!("auth.local_trust = \"none\"\nauth.token = \"{token}\"")).await;
    assert_eq!(daemon.caller().bearer(token).get("/v1/browser").await.status, 200);
    assert_eq!(daemon.caller().bearer(&token.to_uppercase()).get("/v1/browser").await.status, 401);
    assert!(!daemon.folder().state().join("token").exists(), "no other one is made");
}

#[actix_rt::test]
async fn wrong_tokens_are_throttled_and_a_right_one_never() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let wrong = daemon.caller().bearer("wrong");
    for _ in 0..10 {
        assert_eq!(refusal(&wrong.get("/v1/browser").await), "401 unauthorized");
    }
    let throttled = wrong.get("/v1/browser").await;
    assert_eq!(refusal(&throttled), "429 auth_throttled");
    assert!(throttled.header("retry-after").is_some());
    assert_eq!(daemon.caller().bearer(&daemon.token()).get("/v1/browser").await.status, 200);
    assert_eq!(refusal(&wrong.get("/health").await), "429 auth_throttled", "whatever it is shown for");
    assert_eq!(daemon.caller().get("/health").await.status, 200, "what is open stays open");
}

#[actix_rt::test]
async fn no_spelling_of_a_path_gets_around_a_guard() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    for path in [
        "//v1/browser",
        "/v1//browser",
        "/v1/./browser",
        "/health/../v1/browser",
        "/v1%2fbrowser",
        "/%76%31/browser",
        "/v1/browse%72",
        "/v1/browser/",
        "/V1/browser",
        "/v1/browser/requests/",
        "/v1/browser/requests/%2e%2e",
        "/v1/browser;x=1",
        "/v1/browser%00",
    ] {
        let answer = daemon.caller().get(path).await;
        assert!(matches!(answer.status, 400 | 401 | 404), "{path}: {answer:?}");
        let foreign = daemon.caller().with("host", "evil.example").get(path).await;
        assert!(matches!(foreign.status, 400 | 403), "{path}: {foreign:?}");
    }
}

#[actix_rt::test]
async fn the_handshake_takes_extensions_and_programs_but_no_pages() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    let connect = async |origin: Option<&str>| {
        let mut profile = FirefoxProfile::manual("ff");
        profile.behaviour.origin = origin.map(str::to_owned);
        Firefox::connect(&daemon.ws_url(), profile).await.map(drop)
    };
    let own = format!("http://{}", daemon.address);
    for origin in [None, Some("moz-extension://0b0d4e8a-4f0f-4a5e-9a30-6d6c4a8b1c11"), Some(&*own)] {
        assert!(connect(origin).await.is_ok(), "{origin:?}");
    }
    for origin in [FOREIGN, "null", "chrome-extension://abc", "moz-extension://", "moz-extension://a.b/c"] {
        let refused = connect(Some(origin)).await;
        assert!(matches!(refused, Err(ConnectError::Refused { status: 403 })), "{origin}: {refused:?}");
    }
}

#[actix_rt::test]
async fn the_handshake_is_under_the_first_three_checks() {
    let daemon = Daemon::start("").await;
    let caller = daemon
        .caller()
        .with("upgrade", "websocket")
        .with("connection", "Upgrade")
        .with("sec-websocket-version", "13")
        .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (caller, expected) in [
        (caller.clone().with("host", "evil.example"), "403 host_not_allowed"),
        (caller.clone().with("origin", "null"), "403 origin_not_allowed"),
        (caller.clone().with("sec-fetch-site", "cross-site"), "403 origin_not_allowed"),
        (daemon.caller(), "400 invalid_request"),
    ] {
        assert_eq!(refusal(&caller.get("/ws/firefox").await), expected);
    }
    assert_eq!(caller.get("/ws/firefox").await.status, 101);
    let extension = caller.with("origin", "moz-extension://abc").with("sec-fetch-site", "cross-site");
    assert_eq!(extension.get("/ws/firefox").await.status, 101, "an extension's own origin outweighs the metadata");
}
