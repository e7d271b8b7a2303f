//! Logins: the daemon learns that there is one and when it changes, never its values.

use crate::support::Stage;
use serde_json::{Value, json};
use std::{fs, path::Path};

const FIRST: &str = "cookie-of-the-first-login";
const SECOND: &str = "cookie-of-the-second-login";
const TOKEN: &str = "token-in-a-header-of-the-page";

/// Adds the contents of all files of a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap()));
        }
    }
}

/// Returns everything the daemon received, wrote or answers, each with a name.
async fn everything(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    files(&stage.daemon.folder().state(), &mut found);
    assert!(found.iter().any(|(name, _)| name.contains("logs/")), "the log is there to be searched");
    found.push(("stderr".into(), stage.daemon.stderr().into_bytes()));
    for path in ["/v1/browser", "/v1/browser/requests", "/v1/status", "/metrics", "/describe"] {
        found.push((path.into(), stage.caller().get(path).await.body));
    }
    let frames = stage.record.frames();
    found.extend(frames.iter().map(|frame| (frame["type"].to_string(), frame.to_string().into_bytes())));
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Waits until the client's login at Claude fits; returns it.
async fn login_where(stage: &Stage, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let whole = |login: &Value| login["freshness"] == "fresh" && login["credential_fingerprint"].is_string();
    stage.entry_where("credentials", "claude", what, |login| whole(login) && fits(login)).await
}

#[actix_rt::test]
async fn only_the_fingerprint_of_a_login_is_reported() {
    let stage = Stage::set("log.filter = 'trace'\nlog.file = true").await;
    stage.apps.answer("claude.ai/api/account", 200, "application/json", r#"{"email_address": "me@example.com"}"#);
    stage.apps.login("claude.ai", FIRST);
    stage.open("claude").await;
    let first = login_where(&stage, "login", |login| login["account"] == "me@example.com").await;
    assert!(first["header_count"].as_u64().unwrap() > 0, "{first}");

    // The page sends requests with a token and an id, as apps do.
    let tab = stage.firefox.tab_of("https://claude.ai/").await;
    let asked = format!(
        "fetch('/api/organizations/0b9a3a7e-58c1-4d1f-9c55-2f1f6c1d7a10/things?secret={TOKEN}', \
         {{headers: {{authorization: 'Bearer {TOKEN}'}}}}).then(answer => answer.status)"
    );
    assert_eq!(stage.firefox.bidi.evaluate(&tab, &asked).await, 200);
    const THINGS: &str = "GET /api/organizations/{id}/things";
    let knows = |hooks: &Value| hooks["endpoints"].as_array().is_some_and(|all| all.contains(&json!(THINGS)));
    stage.entry_where("request_hooks", "claude", "endpoint", knows).await;

    stage.apps.login("claude.ai", SECOND);
    stage.act("tab_reload", Some("claude")).await;
    let other = |login: &Value| login["credential_fingerprint"] != first["credential_fingerprint"];
    let second = login_where(&stage, "fingerprint of the second login", other).await;
    assert_eq!(second["account"], "me@example.com");
    // Both values reached the app, so they could have leaked; a request makes the client report everything again.
    let sent = stage.apps.received("claude.ai/api/account");
    let sent: Vec<_> = sent.iter().filter_map(|received| received.header("cookie")).collect();
    assert!([FIRST, SECOND].iter().all(|value| sent.iter().any(|cookie| cookie.contains(value))), "{sent:?}");
    stage.act("request_credentials", None).await;
    stage.act("plugin_status", None).await;

    let everything = everything(&stage).await;
    assert!(everything.iter().any(|(_, bytes)| holds(bytes, "me@example.com")), "the search finds what is there");
    for secret in [FIRST, SECOND, TOKEN] {
        let leaks: Vec<_> = everything.iter().filter(|(_, bytes)| holds(bytes, secret)).map(|(name, _)| name).collect();
        assert_eq!(leaks, [""; 0], "{secret}");
    }
}
