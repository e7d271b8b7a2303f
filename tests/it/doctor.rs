//! `doctor` as a user runs it: for each way in which a request can go wrong, it alone tells which hop broke.

use crate::support::{Caller, Daemon, Folder, ask, automatic, connect, manual, settled};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tokio::task::spawn_blocking;

/// What it said.
struct Report {
    code: Option<i32>,
    json: Value,
}

impl Report {
    /// Verdict and sentence of a hop.
    fn of(&self, name: &str) -> (&str, String) {
        let found = self.json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        let found = found.unwrap_or_else(|| panic!("nothing is said of {name}: {:#}", self.json));
        let advice = found["advice"].as_str().map(|advice| format!("; {advice}")).unwrap_or_default();
        (found["verdict"].as_str().unwrap(), format!("{}{advice}", found["message"].as_str().unwrap()))
    }

    fn says(&self, name: &str, verdict: &str, parts: &[&str]) {
        let (found, sentence) = self.of(name);
        assert_eq!(found, verdict, "{name}: {sentence}");
        for part in parts {
            assert!(sentence.contains(part), "{name}: {part}: {sentence}");
        }
    }
}

/// Runs it with the configuration of the folder, if that has one. The peers of this test's thread go on meanwhile.
async fn doctor(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["doctor", "--json"]).args(arguments).arg("--state-dir").arg(folder.join("state"));
    let config = folder.join("conductor.toml");
    if config.exists() {
        command.arg("--config").arg(config);
    }
    command.env_clear().env("HOME", folder).envs(variables.iter().copied());
    let done = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let json =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {}", String::from_utf8_lossy(&done.stderr)));
    Report { code: done.status.code(), json }
}

async fn of(daemon: &Daemon, arguments: &[&str]) -> Report {
    doctor(daemon.folder().path(), arguments, &[]).await
}

#[actix_rt::test]
async fn without_a_daemon_it_says_how_to_start_one_and_that_is_no_failure() {
    let folder = Folder::new();
    fs::write(folder.path().join("conductor.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let report = doctor(folder.path(), &[], &[("BAA_CONTROL_API_BASE", "http://127.0.0.1:4317")]).await;
    assert_eq!((report.code, &report.json["ok"]), (Some(0), &json!(true)));
    report.says("daemon", "warning", &["none is running", "baa-conductor serve"]);
    report.says("environment", "warning", &["BAA_CONTROL_API_BASE"]);
    report.says("store", "ok", &["made at the first start"]);
    report.of("sandbox");
    assert!(!folder.state().exists(), "looking changes nothing");
}

#[actix_rt::test]
async fn a_wrong_configuration_is_a_failure_and_the_rest_is_looked_at_all_the_same() {
    let daemon = Daemon::start("").await;
    let config = daemon.folder().path().join("conductor.toml");
    fs::write(config, "[policy]\nfoo = 1\n[server]\nlisten = 5\n").unwrap();
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(1));
    report.says("configuration", "failure", &["conductor.toml"]);
    assert_eq!(report.json["failures"], 2, "a line for each: {:#}", report.json);
    report.says("daemon", "ok", &["answers"]);
}

#[actix_rt::test]
async fn a_token_that_others_can_read_is_a_failure() {
    let daemon = Daemon::start("").await;
    let token = daemon.folder().state().join("token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(1));
    report.says("token", "failure", &["mode 0644", "0600"]);
}

#[actix_rt::test]
async fn without_the_extension_it_says_where_that_comes_from() {
    let daemon = Daemon::start("").await;
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(0));
    report.says("firefox", "warning", &["none is connected", "baa-conductor extension DIR"]);
    report.says("store", "ok", &[]);
}

#[actix_rt::test]
async fn a_firefox_that_is_not_paired_is_told_by_the_pairing() {
    let daemon = Daemon::start("bridge.pairing = \"required\"").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    // Refused or asked to wait, it is not let in.
    let _stays = Firefox::connect(&daemon.ws_url(), profile).await;
    let report = of(&daemon, &[]).await;
    report.says("firefox", "warning", &["none is connected"]);
    report.says("pairing", "warning", &["baa-conductor pair CODE"]);
}

#[actix_rt::test]
async fn where_all_is_well_the_fetch_comes_through() {
    let daemon = Daemon::start("").await;
    let firefox = automatic(&daemon, "ff").await;
    let report = of(&daemon, &["--platform", "claude"]).await;
    assert_eq!(report.code, Some(0));
    report.says("firefox", "ok", &["ff is connected, the active one"]);
    report.says("extension", "warning", &["simulated", "baa-conductor extension DIR"]);
    report.says("claude login", "ok", &["fresh"]);
    report.says("claude fetch", "ok", &["GET / came through"]);
    let sent = firefox.received_of("api_request");
    assert!(sent.len() == 1 && sent[0]["method"] == "GET" && sent[0]["path"] == "/", "{sent:?}");
    let report = of(&daemon, &["--platform", "claude", "--no-fetch"]).await;
    assert!(!report.json.to_string().contains("claude fetch"));
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

#[actix_rt::test]
async fn whoever_is_logged_out_is_told_where_to_log_in() {
    let daemon = Daemon::start("").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    let firefox = connect(&daemon, profile).await;
    firefox.ready().await.unwrap_or_default();
    let report = of(&daemon, &["--platform", "claude"]).await;
    report.says("firefox", "ok", &["ff is connected"]);
    report.says("claude login", "warning", &["logged out", "log in to https://claude.ai/"]);
    assert!(!report.json.to_string().contains("claude fetch"), "nothing is sent");
}

#[actix_rt::test]
async fn an_open_circuit_is_told_with_its_cause() {
    let daemon = Daemon::start("policy.circuit_breaker = { failure_threshold = 1, open_ms = 600000 }").await;
    let (_firefox, caller): (_, Caller) = (automatic(&daemon, "ff").await, daemon.caller());
    assert_eq!(caller.request(&ask("r1", "/status/503")).await.status, 503);
    settled(&caller).await;
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(0));
    report.says("claude policy", "warning", &["the circuit is open", "the last of them 503"]);
    assert!(!report.json.to_string().contains("claude fetch"), "an open circuit is left alone");
}

#[actix_rt::test]
async fn a_fetch_that_the_app_refuses_is_told_with_its_status() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let folder = daemon.folder().path().to_owned();
    let report = actix_rt::spawn(async move { doctor(&folder, &["--platform", "claude"], &[]).await });
    firefox.next_request().await.unwrap().answer(403, json!({"error": "no"})).await.unwrap();
    report.await.unwrap().says("claude fetch", "warning", &["403", "tab_reload"]);
}

#[actix_rt::test]
async fn an_unknown_platform_is_a_failure_with_and_without_a_daemon() {
    let daemon = Daemon::start("").await;
    let report = of(&daemon, &["--platform", "clod"]).await;
    assert_eq!(report.code, Some(1));
    report.says("platform", "failure", &["\"clod\" is unknown", "chatgpt, claude, gemini"]);
    let report = doctor(Folder::new().path(), &["--platform", "clod"], &[]).await;
    report.says("platform", "failure", &["[platforms.NAME]"]);
}
