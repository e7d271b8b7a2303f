//! One-time codes and sessions in the hands of another user, in process lists, and beside cookies of other programs.

mod opening;

use crate::support::{
    Answer, Caller, Daemon,
    users::{Home, OWNER, STRANGER, User, has_other_users},
};
use serde_json::json;

const TRUSTS: [&str; 3] = ["same_user", "loopback", "none"];

/// Routes that require the token.
const GUARDED: &str = "/v1/browser/messages?limit=1";

/// The headers that browsers add to requests of the page's own scripts; any program can send the same.
fn page(daemon: &Daemon) -> Caller {
    let page = format!("http://{}/v1/status/ui", daemon.address);
    daemon.caller().with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors").with("referer", &page)
}

/// Requests a code as this user.
async fn code_of(daemon: &Daemon, user: User) -> String {
    let known = daemon.caller().bearer(&daemon.token());
    let answer = user.sends(&known, "POST", "/v1/session/codes", Some(b"{}")).await;
    answer.data()["code"].as_str().unwrap().to_owned()
}

async fn begins(daemon: &Daemon, user: User, code: &str) -> Answer {
    let body = json!({ "code": code }).to_string();
    user.sends(&page(daemon), "POST", "/v1/session", Some(body.as_bytes())).await
}

/// Returns the cookie that a response sets, as a request header value.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn session_of(daemon: &Daemon, user: User) -> String {
    let code = code_of(daemon, user).await;
    cookie(&begins(daemon, user, &code).await)
}

async fn reads(daemon: &Daemon, user: User, cookie: &str) -> u16 {
    user.sends(&page(daemon).with("cookie", cookie), "GET", GUARDED, None).await.status
}

#[actix_rt::test]
async fn a_code_serves_only_the_user_who_requested_it_whatever_is_trusted() {
    if !has_other_users() {
        return;
    }
    for trust in TRUSTS {
        let daemon = Home::new(OWNER).daemon(&format!("auth.local_trust = '{trust}'")).await;
        let code = code_of(&daemon, OWNER).await;
        let stolen = begins(&daemon, STRANGER, &code).await;
        assert_eq!(stolen.error(), (403, "invalid_request".into()), "{trust}");
        assert_eq!(stolen.header("set-cookie"), None, "{trust}");
        // Another user's failed attempt does not use the code up.
        assert_eq!(begins(&daemon, OWNER, &code).await.status, 200, "{trust}");
        // Root's code, requested with the owner's token, does not serve the owner either: it belongs to root.
        let roots = daemon.caller().bearer(&daemon.token()).post("/v1/session/codes", &json!({})).await.data();
        for user in [OWNER, STRANGER] {
            let answer = begins(&daemon, user, roots["code"].as_str().unwrap()).await;
            assert_eq!(answer.error().0, 403, "{trust} {user:?}");
        }
    }
}

#[actix_rt::test]
async fn a_session_serves_only_the_user_who_began_it_whatever_is_trusted() {
    if !has_other_users() {
        return;
    }
    for trust in TRUSTS {
        let daemon = Home::new(OWNER).daemon(&format!("auth.local_trust = '{trust}'")).await;
        let cookie = session_of(&daemon, OWNER).await;
        let showing = page(&daemon).with("cookie", &cookie);
        assert_eq!(reads(&daemon, STRANGER, &cookie).await, 401, "{trust}");
        let exec = STRANGER.sends(&showing, "POST", "/v1/exec", Some(br#"{"command":"true"}"#)).await;
        assert_eq!(exec.error(), (401, "unauthorized".into()), "{trust}");
        let code = STRANGER.sends(&showing, "POST", "/v1/session/codes", Some(b"{}")).await;
        assert_eq!(code.error(), (401, "unauthorized".into()), "{trust}");
        let out = STRANGER.sends(&showing, "DELETE", "/v1/session", None).await;
        assert!(out.status == 401 || out.data() == json!({"ended": false}), "{trust}: {out:?}");
        assert_eq!(reads(&daemon, OWNER, &cookie).await, 200, "{trust}: it is still there");
    }
}

/// A connection that its owner has closed already belongs to no user, so it cannot use any session.
#[actix_rt::test]
async fn who_hangs_up_at_once_is_not_taken_for_another_machine() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("auth.local_trust = 'none'").await;
    let cookie = session_of(&daemon, OWNER).await;
    let showing = page(&daemon).with("cookie", &cookie);
    for _ in 0..50 {
        let (head, address) = (showing.head("POST", "/v1/system/pause", Some(b"{}")), daemon.address);
        let from = STRANGER.makes(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut stream, &head).unwrap();
            stream.local_addr().unwrap()
        });
        daemon.connection_ended(from).await;
    }
    let state = daemon.caller().bearer(&daemon.token()).get("/v1/system/state").await.data();
    assert_eq!(state["mode"], "running");
}

/// Browsers share cookies among all ports of a host, so any program on 127.0.0.1 may set these.
#[actix_rt::test]
async fn cookies_of_other_programs_neither_log_the_page_out_nor_in() {
    let daemon = Daemon::start("").await;
    let known = daemon.caller().bearer(&daemon.token());
    let fresh = async || {
        let code = known.post("/v1/session/codes", &json!({})).await.data()["code"].take();
        cookie(&page(&daemon).post("/v1/session", &json!({ "code": code })).await)
    };
    let own = fresh().await;
    let (name, secret) = own.split_once('=').unwrap();
    let is_in = async |cookies: &[u8]| {
        let mut head = page(&daemon).head("GET", GUARDED, None);
        head.truncate(head.len() - 2);
        head.extend_from_slice(b"cookie: ");
        head.extend_from_slice(cookies);
        head.extend_from_slice(b"\r\n\r\n");
        let mut connection = daemon.caller().open().await;
        connection.write(&head).await;
        connection.answer(false).await.status == 200
    };
    let other = "0".repeat(64);
    let many = |count: usize| format!("{name}={other}; ").repeat(count);
    let long = "x".repeat(60_000);
    for (what, cookies) in [
        ("one of a longer path before it", format!("{name}={other}; {own}")),
        ("an empty one before it", format!("{name}=; {own}")),
        ("one without a value before it", format!("{name}; {own}")),
        ("one that is too short", format!("{name}={}; {own}", &secret[1..])),
        ("one in quotes", format!("{name}=\"{other}\"; {own}")),
        ("one that has our value and more", format!("{name}={secret}0; {own}")),
        ("one after it", format!("{own}; {name}={other}")),
        ("many before it", format!("{}{own}", many(180))),
        ("as many as fit", format!("{}{own}", many(1_200))),
        ("an overlong one of the name", format!("{name}={long}; {own}")),
        ("an overlong one of another", format!("a={long}; {own}")),
        ("nothing but separators", format!(";;; ;=;=;{own};;")),
        ("no blank between them", format!("{name}={other};{own}")),
    ] {
        assert!(is_in(cookies.as_bytes()).await, "{what}");
    }
    assert!(is_in(&[b"a=\xff\xfe; ", own.as_bytes()].concat()).await, "bytes that are no text");
    assert!(is_in(&[format!("{name}=").as_bytes(), b"\xc3\x28; ", own.as_bytes()].concat()).await, "of the name too");
    for (what, cookies) in [
        ("many wrong ones", many(180)),
        ("the value under another name", format!("a={secret}")),
        ("the value of another port", format!("baa_session_1={secret}")),
        ("the value in quotes", format!("{name}=\"{secret}\"")),
        ("another case", own.to_uppercase()),
    ] {
        assert!(!is_in(cookies.as_bytes()).await, "{what}");
    }

    // Logging out ends the session of the cookie, and only that one.
    let second = fresh().await;
    let shown = format!("{}{second}", many(20));
    let out = page(&daemon).with("cookie", &shown).send("DELETE", "/v1/session", None).await;
    assert_eq!(out.data(), json!({"ended": true}));
    assert!(!is_in(second.as_bytes()).await && is_in(own.as_bytes()).await);
}

/// Only the page's document accepts a navigation from another site: it contains no data, and `open` leads to it from a
/// file.
#[actix_rt::test]
async fn a_navigation_from_elsewhere_gets_the_empty_page_and_nothing_else() {
    let daemon = Daemon::start("server.status_listen = '127.0.0.1:0'").await;
    let navigation = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let with = |caller: Caller, headers: &[(&str, &str)]| {
        headers.iter().fold(caller, |caller, (name, value)| caller.with(name, value))
    };
    for listener in [daemon.caller(), crate::read_only::second(&daemon)] {
        let answer = with(listener, &navigation).get("/v1/status/ui").await;
        assert_eq!(answer.status, 200);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "its opener keeps no handle");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("set-cookie"), None);
    }
    let refused = (403, "origin_not_allowed".to_owned());
    for path in [
        "/",
        "/v1/status",
        "/v1/browser",
        "/v1/status/ui/main.js",
        "/v1/status/ui/",
        "/v1/status/ui/x",
        "/docs",
        "/openapi.json",
        "/extension.xpi",
        "/health",
        "/v1/events",
        "/ws/firefox",
        "/nowhere",
    ] {
        for caller in [daemon.caller(), daemon.caller().bearer(&daemon.token())] {
            assert_eq!(with(caller, &navigation).get(path).await.error(), refused, "{path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = with(daemon.caller(), &navigation).send(method, "/v1/status/ui", None).await;
        assert_eq!(answer.error(), refused, "{method}");
    }
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "object")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "embed")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "document")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
    ] {
        let answer = with(daemon.caller(), headers).get("/v1/status/ui").await;
        assert_eq!(answer.error(), refused, "{headers:?}");
    }
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-mode", "no-cors"),
    ] {
        let answer = with(daemon.caller(), &navigation).with(name, value).get("/v1/status/ui").await;
        assert_eq!(answer.error(), refused, "a further {name}: {value}");
    }
    let elsewhere = with(daemon.caller(), &navigation).with("host", "evil.example").get("/v1/status/ui").await;
    assert_eq!(elsewhere.error(), (403, "host_not_allowed".into()));
}
