//! What a former token or an ended session opened ends too, even without further requests, and nothing of it continues
//! in a browser.

use super::unharmed;
use crate::support::{
    Caller, Daemon, Folder, ask, ask_sse, cancel_of, connect, handled, request_of, settled, until, within,
};
use baa_conductor::simulator::FirefoxProfile;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Settings under which nothing times out during a test: neither an idle connection nor a stalled reader.
const KEEPS: &str =
    "server.keep_alive_ms = 60000\nserver.sse_stall_timeout_ms = 60000\npolicy.stream.max_buffered_bytes = 100000000\n";

async fn rotate(daemon: &Daemon) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["token", "--rotate", "--state-dir"]).arg(daemon.folder().state());
    command.env_clear().env("HOME", daemon.folder().path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Logs the status page in.
async fn page(daemon: &Daemon) -> Caller {
    let known = daemon.caller().bearer(&daemon.token());
    let code = known.post("/v1/session/codes", &json!({})).await.data()["code"].clone();
    let page = format!("http://{}/v1/status/ui", daemon.address);
    let page =
        daemon.caller().with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors").with("referer", &page);
    let answer = page.post("/v1/session", &json!({ "code": code })).await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    page.with("cookie", &cookie)
}

async fn ends(what: &str, mut events: crate::support::Stream) {
    within(what, async { while events.next().await.is_some() {} }).await;
}

/// Opens every kind of lasting response as one caller, and checks that all of them end after `end`.
async fn all_of_it_ends(daemon: &Daemon, caller: &Caller, name: &str, end: impl AsyncFnOnce()) {
    let mut profile = FirefoxProfile::manual(name);
    profile.behaviour.actions = false;
    let firefox = connect(daemon, profile).await;
    let on = |mut body: Value| {
        body["client_id"] = name.into();
        body
    };
    let local = daemon.caller();
    let mut local_events = local.follow().await;
    let mut local_stream = local.stream(&on(ask_sse("local", "/"))).await;
    let of_local = request_of(&firefox, "local").await;
    of_local.open(200).await.unwrap();

    let events = caller.follow().await;
    let mut stream = caller.stream(&on(ask_sse("stream", "/"))).await;
    let of_stream = request_of(&firefox, "stream").await;
    of_stream.open(200).await.unwrap();
    of_stream.event("message", json!("before")).await.unwrap();
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;
    let mut whole = caller.begin(&on(ask("whole", "/"))).await;
    request_of(&firefox, "whole").await;
    let mut acts = caller
        .begin_at(
            "/v1/browser/actions",
            &json!({"action": "tab_open", "platform": "claude", "client_id": name, "timeout_ms": 60_000}),
        )
        .await;
    firefox.expect("open_tab").await.unwrap();
    // A reader that does not read cannot be notified, but its connection is closed.
    let deaf = caller.stream_narrowly(&on(ask_sse("deaf", "/"))).await;
    let of_deaf = request_of(&firefox, "deaf").await;
    of_deaf.open(200).await.unwrap();
    for _ in 0..24 {
        of_deaf.event("message", json!("x".repeat(30_000))).await.unwrap();
    }

    handled(&firefox).await;

    end().await;

    ends("end of the events", events).await;
    let last = stream.end().await;
    assert_eq!(last.outcome(), ("stream_error", "unauthorized", 401));
    assert_eq!((&last.data["http_error"], &last.data["partial"]["event_count"]), (&json!("unauthorized"), &json!(1)));
    let answer = whole.answer(false).await;
    assert_eq!(answer.error(), (401, "unauthorized".into()));
    assert_eq!(acts.answer(false).await.error(), (401, "unauthorized".into()));
    for id in ["stream", "whole", "deaf"] {
        assert_eq!(cancel_of(&firefox, id).await["reason"], "unauthorized", "{id}");
        let entry = until("its end in the journal", async || {
            let entry = local.journal(id).await;
            (entry["phase"] == "done").then_some(entry)
        })
        .await;
        assert_eq!((&entry["outcome"], &entry["error_code"]), (&json!("cancelled"), &json!("unauthorized")), "{id}");
    }
    daemon.connection_ended(deaf.local_address()).await;

    // A caller on an open route loses nothing.
    of_local.event("message", json!("goes on")).await.unwrap();
    of_local.end(200).await.unwrap();
    local_stream.expect("stream_open").await;
    local_stream.expect("stream_event").await;
    assert_eq!(local_stream.end().await.outcome().0, "stream_end");
    local_events.event().await;
    settled(&local).await;
    firefox.close(1000, "").await.unwrap();
}

#[actix_rt::test]
async fn a_rotated_token_ends_what_it_opened() {
    let daemon = Daemon::start(KEEPS).await;
    let old = daemon.caller().bearer(&daemon.token());
    let mut kept = old.open().await;
    kept.write(&old.head("GET", "/v1/browser/messages", None)).await;
    assert_eq!(kept.answer(false).await.status, 200);
    all_of_it_ends(&daemon, &old, "ff", async || rotate(&daemon).await).await;
    // A connection has no credential of its own: each request must send one.
    kept.write(&old.head("GET", "/v1/browser/messages", None)).await;
    assert_eq!(kept.answer(false).await.status, 401);
    let new = daemon.caller().bearer(&daemon.token());
    all_of_it_ends(&daemon, &new, "again", async || rotate(&daemon).await).await;
    unharmed(&daemon).await;
}

/// Replaces the token file as an operator's tool would, without a request to the daemon.
fn replace(file: &Path, token: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, token).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(beside, file).unwrap();
}

#[actix_rt::test]
async fn a_replaced_token_file_ends_it_without_further_requests() {
    let folder = Folder::new();
    let file = folder.path().join("secret");
    replace(&file, "the-first-token-of-all");
    let daemon = Daemon::start_in(folder, &format!("{KEEPS}auth.token_file = {file:?}")).await;
    let old = daemon.caller().bearer("the-first-token-of-all");
    let (first, second) = (old.follow().await, old.follow().await);
    replace(&file, "the-second-token-of-all");
    ends("end of the events", first).await;
    ends("end of the other reader's events", second).await;
    let new = daemon.caller().bearer("the-second-token-of-all");
    all_of_it_ends(&daemon, &new, "ff", async || replace(&file, "the-third-token-of-all")).await;
}

#[actix_rt::test]
async fn a_page_that_logs_out_ends_what_it_opened() {
    let daemon = Daemon::start(KEEPS).await;
    let (page, another) = (page(&daemon).await, page(&daemon).await);
    let mut stays = another.follow().await;
    all_of_it_ends(&daemon, &page, "ff", async || {
        assert_eq!(page.send("DELETE", "/v1/session", None).await.data(), json!({"ended": true}));
    })
    .await;
    // Events of the requests above.
    stays.expect("client_connected").await;
    assert_eq!(another.get("/v1/browser/messages").await.status, 200);
}

#[actix_rt::test]
async fn a_rotated_token_ends_what_sessions_opened() {
    let daemon = Daemon::start(KEEPS).await;
    let page = page(&daemon).await;
    all_of_it_ends(&daemon, &page, "ff", async || rotate(&daemon).await).await;
}

#[actix_rt::test]
async fn a_session_whose_time_is_over_ends_what_it_opened() {
    let daemon = Daemon::start(&format!("{KEEPS}auth.session_ttl_ms = 2500")).await;
    let page = page(&daemon).await;
    all_of_it_ends(&daemon, &page, "ff", async || {}).await;
}

#[actix_rt::test]
async fn one_session_too_many_ends_what_the_oldest_opened() {
    let daemon = Daemon::start(&format!("{KEEPS}auth.max_sessions = 1")).await;
    let first = page(&daemon).await;
    let mut second = None;
    all_of_it_ends(&daemon, &first, "ff", async || second = Some(page(&daemon).await)).await;
    assert_eq!(second.unwrap().get("/v1/browser/messages").await.status, 200);
}

#[actix_rt::test]
async fn a_command_that_runs_ends_with_its_token() {
    let daemon = Daemon::start("host_ops.allow_root = true").await;
    let old = daemon.caller().bearer(&daemon.token());
    let began = daemon.folder().path().join("began");
    let command = format!("touch {}; sleep 60", began.display());
    let mut runs = old.begin_at("/v1/exec", &json!({ "command": command, "timeout_ms": 60_000 })).await;
    until("the command", async || began.exists().then_some(())).await;
    rotate(&daemon).await;
    assert_eq!(runs.answer(false).await.error(), (401, "unauthorized".into()));
}
