//! The status page's cookie in the hands of another program of the same user: browsers send it to every port of
//! 127.0.0.1, and such a program can send the same headers as the page's scripts.

use crate::support::{Answer, Caller, Daemon};
use serde_json::{Value, json};

const GUARDED: &str = "/v1/browser/messages?limit=1";
const KEY: &str = "x-baa-session-key";

/// The headers that browsers add to requests of the page's own scripts; any program can send the same.
fn page(daemon: &Daemon) -> Caller {
    let page = format!("http://{}/v1/status/ui", daemon.address);
    let caller = daemon.caller().with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors");
    caller.with("referer", &page).with("origin", &format!("http://{}", daemon.address))
}

async fn begins(daemon: &Daemon, key: &Value) -> Answer {
    let known = daemon.caller().bearer(&daemon.token());
    let code = known.post("/v1/session/codes", &json!({})).await.data()["code"].take();
    page(daemon).post("/v1/session", &json!({ "code": code, "key": key })).await
}

/// The page's headers with the cookie of a session that began with this key.
async fn showing(daemon: &Daemon, key: &str) -> Caller {
    let answer = begins(daemon, &json!(key)).await;
    page(daemon).with("cookie", answer.header("set-cookie").unwrap().split(';').next().unwrap())
}

#[actix_rt::test]
async fn the_cookie_of_a_session_with_a_key_is_nothing_without_it() {
    for trust in ["same_user", "loopback", "none"] {
        let daemon = Daemon::start(&format!("auth.local_trust = '{trust}'")).await;
        let (key, other) = ("0123456789abcdef".repeat(4), "f".repeat(64));
        let (mine, others) = (showing(&daemon, &key).await, showing(&daemon, &other).await);
        let thieves = [
            mine.clone(),
            mine.clone().with(KEY, ""),
            mine.clone().with(KEY, &other),
            mine.clone().with(KEY, &key[..63]),
            mine.clone().with(KEY, &key.to_uppercase()),
            mine.clone().with(KEY, &other).with(KEY, &key),
            mine.clone().with("cookie", &format!("key={key}; {KEY}={key}")),
            others.clone().with(KEY, &key),
        ];
        for (n, thief) in thieves.iter().enumerate() {
            assert_eq!(thief.get(GUARDED).await.error(), (401, "unauthorized".into()), "{trust} {n}");
            let exec = thief.post("/v1/exec", &json!({"command": "true"})).await;
            assert_eq!(exec.error(), (401, "unauthorized".into()), "{trust} {n}");
            let code = thief.post("/v1/session/codes", &json!({})).await;
            assert_eq!(code.error(), (401, "unauthorized".into()), "{trust} {n}");
            let out = thief.send("DELETE", "/v1/session", None).await;
            assert!(out.status == 401 || out.data() == json!({"ended": false}), "{trust} {n}: {out:?}");
        }
        let (whole, others) = (mine.with(KEY, &key), others.with(KEY, &other));
        assert_eq!((whole.get(GUARDED).await.status, others.get(GUARDED).await.status), (200, 200), "{trust}");
        assert_eq!(whole.send("DELETE", "/v1/session", None).await.data(), json!({"ended": true}), "{trust}");
        assert_eq!((whole.get(GUARDED).await.status, others.get(GUARDED).await.status), (401, 200), "{trust}");
        for secret in [&key, &other] {
            assert!(!daemon.stderr().contains(secret), "nothing of it is logged");
        }
    }
}

#[actix_rt::test]
async fn a_key_that_could_be_guessed_begins_no_session() {
    let daemon = Daemon::start("").await;
    for key in [json!(""), json!("0"), json!("f".repeat(63)), json!("F".repeat(64)), json!("g".repeat(64)), json!(7)] {
        let answer = begins(&daemon, &key).await;
        assert_eq!((answer.status, &answer.json()["details"]["field"]), (400, &json!("key")), "{key}");
        assert_eq!(answer.header("set-cookie"), None, "{key}");
    }
}

#[actix_rt::test]
async fn a_session_without_a_key_is_its_cookie() {
    let daemon = Daemon::start("").await;
    let answer = begins(&daemon, &Value::Null).await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let showing = page(&daemon).with("cookie", &cookie);
    assert_eq!(showing.get(GUARDED).await.status, 200);
    assert_eq!(
        showing.with(KEY, &"a".repeat(64)).get(GUARDED).await.status,
        200,
        "one that is left over harms nothing"
    );
}
