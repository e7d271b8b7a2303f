//! Decisions on the status page: approval of batches of instructions, and pairing of clients.

use crate::support::{StatusPage, until_ok};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::fs;

/// Tests may run as root.
const SETTINGS: &str = "host_ops.allow_root = true\ninstructions.sandbox = 'off'";
const REQUIRED: &str = "bridge.pairing = 'required'";

/// Creates a batch that waits for approval; returns its id.
async fn waiting(page: &StatusPage, message: &str, command: &str) -> String {
    let body = json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": message,
        "text": format!("```baa\n@conductor::exec::{command}\n```\n"), "require_approval": true});
    page.caller().post("/v1/instructions/messages", &body).await.data()["batch_id"].as_str().unwrap().to_owned()
}

/// Presses a button of the only batch shown until it has the status; clicks on an element that has just appeared are
/// ignored.
async fn decide(page: &StatusPage, button: &str, batch: &str, wanted: &str) -> Value {
    until_ok(wanted, async || {
        let there = format!("document.querySelector('#batches-list [data-do={button}]:enabled') !== null");
        if page.firefox.bidi.evaluate(&page.tab, &there).await == true {
            page.click(&format!("#batches-list [data-do={button}]")).await;
        }
        let is = page.caller().get(&format!("/v1/instructions/{batch}")).await.data();
        if is["status"] == wanted { Ok(is) } else { Err(is["status"].clone()) }
    })
    .await
}

#[actix_rt::test]
async fn a_batch_runs_once_it_is_approved_on_the_page() {
    let page = StatusPage::open(SETTINGS).await;
    let file = page.daemon.folder().path().join("ran");
    let command = format!("echo once >> {}", file.display());
    let batch = waiting(&page, "m-1", &command).await;
    page.says("#headline-items", |said| said.contains("1 batch of instructions waits for your decision.")).await;
    page.says("#batches-list [data-of=rows]", |said| said.contains(&command)).await;
    assert!(!file.exists(), "nothing runs before");
    let done = decide(&page, "approve", &batch, "executed").await;
    assert_eq!((&done["executions"][0]["ok"], &*fs::read_to_string(&file).unwrap()), (&json!(true), "once\n"));
    page.comes_to("document.querySelector('#batches').hidden", json!(true)).await;
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;
}

#[actix_rt::test]
async fn a_rejected_batch_never_runs() {
    let page = StatusPage::open(SETTINGS).await;
    let file = page.daemon.folder().path().join("ran");
    let batch = waiting(&page, "m-1", &format!("echo once >> {}", file.display())).await;
    page.says("#batches-list h3", |said| said == "1 instruction").await;
    page.firefox.bidi.write(&page.tab, "#batches-list input", "not today").await;
    let done = decide(&page, "reject", &batch, "rejected").await;
    assert!(done.to_string().contains("not today") && !file.exists(), "{done}");
    page.comes_to("document.querySelector('#batches').hidden", json!(true)).await;
}

/// Connects a client that waits for pairing; returns it with its code.
async fn arriving(page: &StatusPage, client_id: &str) -> (Firefox, String) {
    let mut profile = FirefoxProfile::manual(client_id);
    profile.behaviour.credentials = false;
    let firefox = Firefox::dial(&page.daemon.ws_url(), profile).await.unwrap();
    let code = firefox.expect("pairing_required").await.unwrap()["code"].as_str().unwrap().to_owned();
    (firefox, code)
}

/// Enters a code like a user.
async fn enter(page: &StatusPage, code: &str) {
    page.firefox.bidi.evaluate(&page.tab, "document.querySelector('#pairings-list input').value = ''").await;
    page.firefox.bidi.write(&page.tab, "#pairings-list input", &format!("{code}\u{e007}")).await;
}

#[actix_rt::test]
async fn a_waiting_firefox_is_paired_by_its_code() {
    let page = StatusPage::open(REQUIRED).await;
    let (firefox, code) = arriving(&page, "firefox-new").await;
    page.says("#pairings-list h3", |said| said == "firefox-new").await;
    page.says("#headline-items", |said| said.contains("1 Firefox waits for pairing.")).await;
    enter(&page, if code == "000000" { "111111" } else { "000000" }).await;
    page.says("#said", |said| said.starts_with("Pair firefox-new: ") && !said.contains("done")).await;
    enter(&page, &code).await;
    firefox.expect("hello_ack").await.unwrap();
    page.says("#clients-list h3", |said| said.contains("firefox-new")).await;
    page.comes_to("document.querySelector('#pairings').hidden", json!(true)).await;
    page.says("#paired-title", |said| said == "1 paired Firefox").await;
}

#[actix_rt::test]
async fn a_rejected_firefox_is_disconnected() {
    let page = StatusPage::open(REQUIRED).await;
    let (firefox, _) = arriving(&page, "firefox-new").await;
    page.shows("#pairings-list [data-do=reject]").await;
    page.click("#pairings-list [data-do=reject]").await;
    assert_eq!(firefox.closed().await.unwrap().code, Some(4003));
    page.comes_to("document.querySelector('#pairings').hidden", json!(true)).await;
}
