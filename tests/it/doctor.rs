//! `doctor` as a user runs it: it names the failed step for each way in which a request can fail.

use crate::support::{Caller, Daemon, Folder, ask, automatic, connect, manual, settled};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tokio::task::spawn_blocking;

/// The output of the command.
struct Report {
    code: Option<i32>,
    json: Value,
}

impl Report {
    /// Verdict and text of a check.
    fn of(&self, name: &str) -> (&str, String) {
        let found = self.json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no check {name}: {:#}", self.json));
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

/// Runs the command with the configuration of the folder, if there is one. The peers on this test's thread keep running.
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
async fn without_a_daemon_it_warns_and_names_the_command_that_starts_one() {
    let folder = Folder::new();
    fs::write(folder.path().join("conductor.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let report = doctor(folder.path(), &[], &[("BAA_CONTROL_API_BASE", "http://127.0.0.1:4317")]).await;
    assert_eq!((report.code, &report.json["ok"]), (Some(0), &json!(true)));
    report.says("daemon", "warning", &["no daemon is running", "baa-conductor serve"]);
    report.says("environment", "warning", &["BAA_CONTROL_API_BASE"]);
    report.says("store", "ok", &["created at the first start"]);
    report.of("sandbox");
    assert!(!folder.state().exists(), "checking changes nothing");
}

#[actix_rt::test]
async fn an_invalid_configuration_is_a_failure_and_the_rest_is_still_checked() {
    let daemon = Daemon::start("").await;
    let config = daemon.folder().path().join("conductor.toml");
    fs::write(config, "[policy]\nfoo = 1\n[server]\nlisten = 5\n").unwrap();
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(1));
    report.says("configuration", "failure", &["conductor.toml"]);
    assert_eq!(report.json["failures"], 2, "one finding per fault: {:#}", report.json);
    report.says("daemon", "ok", &["responds"]);
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
async fn without_the_extension_the_advice_names_its_command() {
    let daemon = Daemon::start("").await;
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(0));
    report.says("firefox", "warning", &["no Firefox is connected", "baa-conductor extension DIR"]);
    report.says("store", "ok", &[]);
}

#[actix_rt::test]
async fn an_unpaired_firefox_is_a_warning_of_the_pairing() {
    let daemon = Daemon::start("bridge.pairing = \"required\"").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    // It is refused or waits for pairing.
    let _stays = Firefox::connect(&daemon.ws_url(), profile).await;
    let report = of(&daemon, &[]).await;
    report.says("firefox", "warning", &["no Firefox is connected"]);
    report.says("pairing", "warning", &["baa-conductor pair CODE"]);
}

#[actix_rt::test]
async fn without_problems_the_fetch_succeeds() {
    let daemon = Daemon::start("").await;
    let firefox = automatic(&daemon, "ff").await;
    let report = of(&daemon, &["--platform", "claude"]).await;
    assert_eq!(report.code, Some(0));
    report.says("firefox", "ok", &["ff is connected, the active one"]);
    report.says("extension", "warning", &["simulated", "baa-conductor extension DIR"]);
    report.says("claude login", "ok", &["fresh"]);
    report.says("claude fetch", "ok", &["GET / reached the web app"]);
    let sent = firefox.received_of("api_request");
    assert!(sent.len() == 1 && sent[0]["method"] == "GET" && sent[0]["path"] == "/", "{sent:?}");
    let report = of(&daemon, &["--platform", "claude", "--no-fetch"]).await;
    assert!(!report.json.to_string().contains("claude fetch"));
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

#[actix_rt::test]
async fn a_missing_login_is_a_warning_that_names_the_page() {
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
async fn an_open_circuit_is_reported_with_its_cause() {
    let daemon = Daemon::start("policy.circuit_breaker = { failure_threshold = 1, open_ms = 600000 }").await;
    let (_firefox, caller): (_, Caller) = (automatic(&daemon, "ff").await, daemon.caller());
    assert_eq!(caller.request(&ask("r1", "/status/503")).await.status, 503);
    settled(&caller).await;
    let report = of(&daemon, &[]).await;
    assert_eq!(report.code, Some(0));
    report.says("claude policy", "warning", &["the circuit is open", "most recently 503"]);
    assert!(!report.json.to_string().contains("claude fetch"), "an open circuit is left alone");
}

#[actix_rt::test]
async fn a_refused_fetch_is_reported_with_its_status() {
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
