//! The status page and its session: log-in by a code, what the cookie grants, and how the session ends.

use crate::support::{Answer, Caller, Daemon, fault};
use serde_json::json;
use std::process::Command;

/// A route that requires the token and exists in every version.
const GUARDED: &str = "/v1/browser/messages?limit=1";

/// The headers that browsers add to requests of the page's own scripts.
fn page(daemon: &Daemon) -> Caller {
    let page = format!("http://{}/v1/status/ui", daemon.address);
    daemon.caller().with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors").with("referer", &page)
}

async fn code(daemon: &Daemon) -> String {
    let known = daemon.caller().bearer(&daemon.token());
    known.post("/v1/session/codes", &json!({})).await.data()["code"].as_str().unwrap().to_owned()
}

/// Returns the cookie of a new session, as a request header value.
async fn session(daemon: &Daemon) -> String {
    let answer = page(daemon).post("/v1/session", &json!({"code": code(daemon).await})).await;
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn is_bearer(caller: &Caller) -> bool {
    let answer = caller.get(GUARDED).await;
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    answer.status == 200
}

#[actix_rt::test]
async fn a_code_logs_the_page_in_once() {
    let daemon = Daemon::start("").await;
    let code = code(&daemon).await;
    let answer = page(&daemon).post("/v1/session", &json!({ "code": code })).await;
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    let parts: Vec<_> = cookie.split("; ").collect();
    assert_eq!(parts[1..], ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]);
    assert!(parts[0].starts_with(&format!("baa_session_{}=", daemon.address.port())), "{cookie}");
    assert!(answer.data()["expires_at"].is_i64() && answer.header("cache-control") == Some("no-store"));
    assert!(is_bearer(&page(&daemon).with("cookie", parts[0])).await);

    let again = page(&daemon).post("/v1/session", &json!({ "code": code })).await;
    assert_eq!(again.error(), (403, "invalid_request".into()));
    assert_eq!((&again.json()["details"]["field"], again.header("set-cookie")), (&json!("code"), None));
    for secret in [&code, parts[0].split('=').next_back().unwrap()] {
        assert!(!daemon.stderr().contains(secret), "nothing of it is logged");
    }
}

#[actix_rt::test]
async fn the_cookie_is_good_for_scripts_of_the_page_alone() {
    let daemon = Daemon::start("").await;
    let cookie = session(&daemon).await;
    let with = |headers: &[(&str, &str)]| {
        headers.iter().fold(daemon.caller().with("cookie", &cookie), |caller, (name, value)| caller.with(name, value))
    };
    let own = format!("http://{}", daemon.address);
    let referer = format!("{own}/v1/status/ui");
    let from_page = ("referer", &*referer);
    assert!(is_bearer(&with(&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), from_page])).await);
    assert!(is_bearer(&with(&[("origin", &own)])).await);
    for headers in [
        &[][..],
        &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate"), from_page],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors"), from_page],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("referer", "moz-extension://a1/page.html")],
    ] {
        assert!(!is_bearer(&with(headers)).await, "{headers:?}");
        let exec = with(headers).post("/v1/exec", &json!({"command": "true"})).await;
        assert_eq!(exec.error(), (401, "unauthorized".into()), "{headers:?}");
    }
    for headers in [&[("sec-fetch-site", "cross-site")][..], &[("sec-fetch-site", "same-site")], &[("origin", "null")]]
    {
        let answer = with(headers).get(GUARDED).await;
        assert_eq!(answer.error(), (403, "origin_not_allowed".into()), "{headers:?}");
    }
    assert!(!is_bearer(&page(&daemon).with("cookie", &format!("{cookie}0"))).await);
}

#[actix_rt::test]
async fn an_allowed_page_of_another_origin_has_no_session() {
    let other = "http://127.0.0.1:3000";
    let daemon = Daemon::start(&format!("server.allowed_origins = ['{other}']")).await;
    let cookie = session(&daemon).await;
    for site in [None, Some("same-site")] {
        let caller = daemon.caller().with("cookie", &cookie).with("origin", other);
        let caller = site.map_or(caller.clone(), |site| caller.with("sec-fetch-site", site));
        assert!(!is_bearer(&caller).await, "{site:?}");
    }
}

#[actix_rt::test]
async fn where_everybody_needs_the_token_the_session_opens_events_and_numbers_too() {
    let daemon = Daemon::start("auth.local_trust = 'none'").await;
    for open in ["/v1/status/ui", "/v1/status/ui/main.js", "/"] {
        assert!(daemon.caller().get(open).await.status < 400, "{open}");
    }
    assert_eq!(page(&daemon).get("/v1/status").await.status, 401);
    let logged_in = page(&daemon).with("cookie", &session(&daemon).await);
    assert_eq!(logged_in.get("/v1/status").await.status, 200);
    let mut connection = logged_in.open().await;
    connection.write(&logged_in.head("GET", "/v1/events", None)).await;
    assert_eq!(connection.peek_status().await, 200);
}

#[actix_rt::test]
async fn a_session_ends_by_itself_for_good() {
    let daemon = Daemon::start("").await;
    let (first, second) = (session(&daemon).await, session(&daemon).await);
    let ended = page(&daemon).with("cookie", &first).send("DELETE", "/v1/session", None).await;
    assert_eq!(ended.data(), json!({"ended": true}));
    assert!(ended.header("set-cookie").unwrap().contains("=; Path=/; Max-Age=0;"));
    assert!(!is_bearer(&page(&daemon).with("cookie", &first)).await, "also for who kept the cookie");
    assert!(is_bearer(&page(&daemon).with("cookie", &second)).await);
    for caller in [page(&daemon).with("cookie", &first), daemon.caller().bearer(&daemon.token())] {
        let again = caller.send("DELETE", "/v1/session", None).await;
        assert_eq!(again.data(), json!({"ended": false}));
    }
}

#[actix_rt::test]
async fn a_code_takes_the_token_and_is_a_text() {
    let daemon = Daemon::start("").await;
    let refused = daemon.caller().post("/v1/session/codes", &json!({})).await;
    assert_eq!(refused.error(), (401, "unauthorized".into()));
    for bad in [json!({}), json!({"code": ""}), json!({"code": 7}), json!({"code": null})] {
        assert_eq!(fault(&page(&daemon).post("/v1/session", &bad).await), "code", "{bad}");
    }
}

#[actix_rt::test]
async fn wrong_codes_are_throttled_and_a_right_one_never() {
    let daemon = Daemon::start("").await;
    let wrong = async || page(&daemon).post("/v1/session", &json!({"code": "guess"})).await;
    for _ in 0..10 {
        assert_eq!(wrong().await.error(), (403, "invalid_request".into()));
    }
    let throttled = wrong().await;
    assert_eq!(throttled.error(), (429, "auth_throttled".into()));
    assert!(throttled.header("retry-after").is_some());
    let right = page(&daemon).post("/v1/session", &json!({"code": code(&daemon).await})).await;
    assert_eq!(right.status, 200);
}

/// Checks the headers of the page and of its assets.
fn assert_guarded(answer: &Answer, kind: &str) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.header("content-type"), Some(kind));
}

#[actix_rt::test]
async fn the_page_and_its_parts_are_served_under_a_strict_policy() {
    let daemon = Daemon::start("").await;
    let root = daemon.caller().get("/").await;
    assert_eq!((root.status, root.header("location")), (307, Some("/v1/status/ui")));
    let page = daemon.caller().get("/v1/status/ui").await;
    assert_guarded(&page, "text/html; charset=utf-8");
    for (name, kind) in [
        ("main.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("uplot-license.txt", "text/plain; charset=utf-8"),
    ] {
        let part = daemon.caller().get(&format!("/v1/status/ui/{name}")).await;
        assert_guarded(&part, kind);
        assert!(!part.body.is_empty(), "{name}");
    }
    for name in ["index.html", "none.js", "%2e%2e%2fmod.rs", "..%2f..%2fCargo.toml", "MAIN.JS"] {
        let answer = daemon.caller().get(&format!("/v1/status/ui/{name}")).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{name}");
    }
}

#[actix_rt::test]
async fn open_prints_an_address_that_logs_in() {
    let daemon = Daemon::start("").await;
    let state = daemon.folder().state();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["open", "--print", "--state-dir"]).arg(&state).env_clear().env("HOME", &state);
    let told = actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let url = String::from_utf8(told.stdout).unwrap();
    let code = url.trim_end().strip_prefix(&format!("http://{}/v1/status/ui#code=", daemon.address)).unwrap();
    assert_eq!((told.status.code(), told.stderr.len()), (Some(0), 0));
    assert!(!url.contains(&daemon.token()));
    assert_eq!(page(&daemon).post("/v1/session", &json!({ "code": code })).await.status, 200);
}

#[actix_rt::test]
async fn a_rotated_token_ends_every_session_and_every_code() {
    let daemon = Daemon::start("").await;
    let (cookie, waiting) = (session(&daemon).await, code(&daemon).await);
    let caller = page(&daemon).with("cookie", &cookie);
    assert!(is_bearer(&caller).await);
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["token", "--rotate", "--state-dir"]).arg(daemon.folder().state());
    let output = command.env_clear().env("HOME", daemon.folder().path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!is_bearer(&caller).await);
    let late = page(&daemon).post("/v1/session", &json!({"code": waiting})).await;
    assert_eq!(late.error().0, 403);
}

/// Firefox marks the `GET`s of an extension with access to all addresses as `same-origin`.
#[actix_rt::test]
async fn a_script_that_is_of_no_page_of_ours_is_not_trusted_for_being_local() {
    let daemon = Daemon::start("").await;
    let own = format!("http://{}", daemon.address);
    let vouched_for = daemon.caller().with("sec-fetch-site", "same-origin");
    for mode in ["cors", "no-cors", "same-origin", "navigate"] {
        let nowhere = vouched_for.clone().with("sec-fetch-mode", mode);
        for caller in [nowhere.clone(), nowhere.clone().with("referer", "http://127.0.0.1:9/v1/status/ui")] {
            for path in ["/v1/browser", "/v1/status", "/v1/events", "/describe", "/metrics"] {
                assert_eq!(caller.get(path).await.error(), (401, "unauthorized".into()), "{mode} {path}");
            }
            assert_eq!(caller.get("/health").await.status, 200, "{mode}");
        }
        assert_eq!(nowhere.clone().bearer(&daemon.token()).get("/v1/browser").await.status, 200, "{mode}");
        assert_eq!(nowhere.with("referer", &format!("{own}/docs")).get("/v1/browser").await.status, 200, "{mode}");
    }
    assert_eq!(vouched_for.get("/v1/browser").await.status, 200, "a program that says no more than this is one");
}
