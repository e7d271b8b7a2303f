//! Restarts: of the daemon during a stream, of the browser with its tab, of the extension.

use crate::support::Stage;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

#[actix_rt::test]
async fn the_extension_reconnects_to_a_restarted_daemon() {
    let stage = Stage::set("").await;
    let client = stage.connected().await["client_id"].clone();
    stage.open("claude").await;
    let mut held = stage.apps.hold("claude.ai/api/live");
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    upstream.event("1");
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;

    let (folder, away) = stage.kill_daemon().await;
    // The caller's connection ended with the daemon.
    upstream.given_up().await;
    let stage = away.start_daemon(folder).await;
    let back = timeout(Duration::from_secs(5), stage.connected()).await.expect("back within five seconds");
    assert_eq!(back["client_id"], client);
    stage.healthy("claude").await;
    let answer = stage.get("claude", "/api/after").await.data();
    assert_eq!(answer["proxy"]["status"], 200);
}

#[actix_rt::test]
async fn a_restarted_browser_restores_its_tab() {
    let stage = Stage::set("").await;
    let client = stage.connected().await["client_id"].clone();
    stage.apps.login("claude.ai", "of-the-user");
    stage.open("claude").await;
    let stage = stage.restart_browser().await;
    assert_eq!(stage.connected().await["client_id"], client);
    let tab = stage.healthy("claude").await;
    assert_eq!(tab["desired"]["exists"], true);
    stage.firefox.tab_of("https://claude.ai/").await;
    assert_eq!(stage.get("claude", "/api/after").await.data()["proxy"]["status"], json!(200));
}

#[actix_rt::test]
async fn an_extension_that_is_told_to_restart_answers_first_and_reconnects() {
    let stage = Stage::set("").await;
    let before = stage.connected().await["connection_id"].clone();
    assert!(before.is_string());
    stage.act("controller_reload", None).await;
    stage.client_where("another connection", |client| client["connection_id"] != before).await;
    let answers = stage.record.of_type("action_result").into_iter();
    assert_eq!(answers.filter(|answer| answer["action"] == "controller_reload").count(), 1);
}
