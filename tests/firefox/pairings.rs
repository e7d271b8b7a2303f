//! A Firefox that wants in, on the status page: its code is entered there, and it is let in.

use crate::support::StatusPage;
use baa_conductor::simulator::{Firefox, Profile};
use serde_json::json;

const REQUIRED: &str = "bridge.pairing = 'required'";

/// A client that waits, and the code that it shows.
async fn waiting(page: &StatusPage, client_id: &str) -> (Firefox, String) {
    let mut profile = Profile::manual(client_id);
    profile.behaviour.credentials = false;
    let firefox = Firefox::dial(&page.daemon.ws_url(), profile).await.unwrap();
    let code = firefox.expect("pairing_required").await.unwrap()["code"].as_str().unwrap().to_owned();
    (firefox, code)
}

/// Enters a code as a user does.
async fn enter(page: &StatusPage, code: &str) {
    page.firefox.bidi.evaluate(&page.tab, "document.querySelector('#pairings-list input').value = ''").await;
    page.firefox.bidi.write(&page.tab, "#pairings-list input", &format!("{code}\u{e007}")).await;
}

#[actix_rt::test]
async fn a_firefox_that_waits_is_let_in_by_the_code_that_it_shows() {
    let page = StatusPage::open(REQUIRED).await;
    let (firefox, code) = waiting(&page, "firefox-new").await;
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
async fn a_firefox_that_is_rejected_is_let_go() {
    let page = StatusPage::open(REQUIRED).await;
    let (firefox, _) = waiting(&page, "firefox-new").await;
    page.shows("#pairings-list [data-do=reject]").await;
    page.click("#pairings-list [data-do=reject]").await;
    assert_eq!(firefox.closed().await.unwrap().code, Some(4003));
    page.comes_to("document.querySelector('#pairings').hidden", json!(true)).await;
}
