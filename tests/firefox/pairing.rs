//! Pairing: the code on the options page, one command, then proofs; and programs that are not the paired daemon.

use crate::{
    page::says,
    shared::{Daemon, Folder},
    support::Stage,
};
use serde_json::{Value, json};
use std::process::{Command, Output};

const REQUIRED: &str = "bridge.pairing = 'required'";

/// Runs a command against the daemon, like its operator.
async fn run(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(arguments).arg("--state-dir").arg(daemon.folder().state());
    command.env_clear().env("HOME", daemon.folder().path());
    actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn page(stage: &Stage) -> String {
    stage.firefox.own_page("options/index.html").await
}

/// Waits for the code on the page.
async fn code(stage: &Stage, page: &str) -> String {
    let is_code = |said: &str| said.len() == 6 && said.bytes().all(|b| b.is_ascii_digit());
    says(&stage.firefox, page, "#code", is_code).await
}

async fn pair(stage: &Stage, page: &str) {
    let code = code(stage, page).await;
    let done = run(&stage.daemon, &["pair", &code]).await;
    assert!(done.status.success(), "{done:?}");
    stage.connected().await;
    says(&stage.firefox, page, "#state", |state| state == "Connected").await;
    says(&stage.firefox, page, "#paired", |said| said.starts_with("Paired since")).await;
}

async fn pairings(stage: &Stage) -> Vec<Value> {
    stage.caller().get("/v1/browser/pairings").await.data()["pairings"].as_array().unwrap().clone()
}

#[actix_rt::test]
async fn a_code_and_one_command_pair_it_and_later_connections_use_proofs() {
    let stage = Stage::unpaired(REQUIRED).await;
    let own = page(&stage).await;
    let shown = code(&stage, &own).await;
    let told = format!("baa-conductor pair {shown}");
    says(&stage.firefox, &own, "#pair-command", |said| said == told).await;
    says(&stage.firefox, &own, "#state", |state| state == "Waiting for pairing").await;
    assert_eq!(stage.caller().browser().await["bridge"]["client_count"], 0);
    pair(&stage, &own).await;
    let client = stage.connected().await["client_id"].as_str().unwrap().to_owned();
    let status = String::from_utf8(run(&stage.daemon, &["status"]).await.stdout).unwrap();
    assert!(status.contains(&client), "{status}");
    assert!(stage.record.of_type("auth").is_empty(), "a client that was just approved has nothing to prove");

    let before = stage.connected().await["connection_id"].clone();
    stage.act("controller_reload", None).await;
    stage.client_where("another connection", |client| client["connection_id"] != before).await;
    assert_eq!(stage.record.of_type("auth").len(), 1);
    let stage = stage.restart_browser().await;
    assert_eq!(stage.connected().await["client_id"], *client);
    assert_eq!(stage.record.of_type("auth").len(), 2);
    let all = pairings(&stage).await;
    assert_eq!((all.len(), &all[0]["status"]), (1, &json!("paired")), "it was paired once");
    assert!(all[0]["origin"].as_str().unwrap().starts_with("moz-extension://"), "{all:?}");
    // Requests and actions work.
    stage.apps.login("claude.ai", "of-the-user");
    stage.open("claude").await;
    assert_eq!(stage.get("claude", "/api/x").await.data()["proxy"]["status"], 200);
}

#[actix_rt::test]
async fn another_daemon_is_sent_only_hello_until_the_user_forgets_the_pairing() {
    let stage = Stage::unpaired(REQUIRED).await;
    let own = page(&stage).await;
    pair(&stage, &own).await;
    let client = stage.connected().await["client_id"].clone();
    let (_, away) = stage.kill_daemon().await;
    let said_before = away.record.frames().len();

    // Another daemon, at the same address and without pairing.
    let stage = away.with("bridge.pairing = 'off'").start_daemon(Folder::new()).await;
    says(&stage.firefox, &own, "#note", |note| note.contains("not the daemon that this Firefox was paired with")).await;
    assert_eq!(stage.firefox.bidi.evaluate(&own, "document.querySelector('#unpaired').hidden").await, json!(true));
    let said: Vec<_> = stage.record.frames().split_off(said_before);
    assert!(!said.is_empty() && said.iter().all(|frame| frame["type"] == "hello"), "{said:#?}");

    let (_, away) = stage.kill_daemon().await;
    let stage = away.with(REQUIRED).start_daemon(Folder::new()).await;
    stage.firefox.bidi.click(&own, "#reconnect").await;
    says(&stage.firefox, &own, "#note", |note| note.contains("has no pairing with this Firefox")).await;
    says(&stage.firefox, &own, "#paired", |said| said.starts_with("Paired since")).await;

    stage.firefox.bidi.click(&own, "#forget-pairing").await;
    pair(&stage, &own).await;
    assert_eq!(stage.connected().await["client_id"], client);
}

#[actix_rt::test]
async fn a_relay_on_the_port_of_the_daemon_is_rejected() {
    let stage = Stage::unpaired(REQUIRED).await;
    let own = page(&stage).await;
    pair(&stage, &own).await;
    let (folder, away) = stage.kill_daemon().await;
    // The daemon listens on another port, because its own is in use.
    let stage = away.with("server.listen = '127.0.0.1:0'").start_daemon(folder).await;
    let said_before = stage.record.frames().len();
    stage.record.pose_as(stage.daemon.address);
    stage.firefox.bidi.click(&own, "#reconnect").await;
    says(&stage.firefox, &own, "#note", |note| note.contains("not the daemon that this Firefox was paired with")).await;
    let said: Vec<_> = stage.record.frames().split_off(said_before);
    assert!(!said.is_empty() && said.iter().all(|frame| frame["type"] == "hello"), "{said:#?}");
    assert_eq!(stage.caller().browser().await["bridge"]["client_count"], 0);
    // A relay that passes on the dialled address is accepted.
    stage.record.lead_to(stage.daemon.address);
    stage.firefox.bidi.click(&own, "#reconnect").await;
    stage.connected().await;
}

#[actix_rt::test]
async fn a_firefox_whose_pairing_was_removed_can_be_paired_again() {
    let stage = Stage::unpaired(REQUIRED).await;
    let own = page(&stage).await;
    pair(&stage, &own).await;
    let client = stage.connected().await["client_id"].as_str().unwrap().to_owned();
    assert!(run(&stage.daemon, &["pairings", "forget", &client]).await.status.success());
    says(&stage.firefox, &own, "#note", |note| note.contains("removed the pairing with this Firefox")).await;
    stage.firefox.bidi.click(&own, "#forget-pairing").await;
    pair(&stage, &own).await;
}
