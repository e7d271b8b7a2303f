//! Shell tabs: opened, focused, reloaded, and restored after they were closed, navigated away, unloaded or crashed.

use crate::support::{Stage, stage::entry};
use serde_json::{Value, json};

const CLAUDE: &str = "https://claude.ai/";

/// Whether the tab is in front.
async fn in_front(stage: &Stage, tab: &str) -> bool {
    stage.firefox.bidi.evaluate(tab, "document.visibilityState").await == "visible"
}

#[actix_rt::test]
async fn a_tab_that_the_user_closed_is_restored_and_the_connection_too() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let tab = stage.firefox.tab_of(CLAUDE).await;
    stage.firefox.bidi.close(&tab).await;
    let gone = |tab: &Value| tab["actual"]["exists"] == false;
    let missed = stage.entry_where("shell_runtime", "claude", "drift", gone).await;
    assert_eq!(missed["desired"]["exists"], true);
    assert_eq!((&missed["drift"]["aligned"], &missed["drift"]["needs_restore"]), (&json!(false), &json!(true)));
    assert_eq!(stage.caller().browser().await["summary"]["runtime_counts"]["drift"], 1);

    let restored = stage.act("tab_restore", None).await;
    assert_eq!(restored["result"]["restored_count"], 1, "{restored:#}");
    stage.healthy("claude").await;
    stage.firefox.tab_of(CLAUDE).await;

    let before = stage.connected().await["connection_id"].clone();
    let again = stage.act_with(json!({"action": "ws_reconnect", "wait": true})).await;
    let after = &again["reconnected"]["connection_id"];
    assert!(after.is_string() && *after != before, "{again:#}");
    let client = stage.client_where("state on the new line", |client| {
        client["connection_id"] == *after && entry(client, "shell_runtime", "claude")["actual"]["healthy"] == true
    });
    assert_eq!(entry(&client.await, "shell_runtime", "claude")["drift"]["aligned"], true);
}

#[actix_rt::test]
async fn a_tab_opens_in_the_background_and_is_focused_only_by_tab_focus() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let tab = stage.firefox.tab_of(CLAUDE).await;
    assert!(!in_front(&stage, &tab).await);
    // A second action opens no second tab.
    stage.open("claude").await;
    assert_eq!(stage.firefox.tab_of(CLAUDE).await, tab);
    assert!(!in_front(&stage, &tab).await);

    stage.act("tab_focus", Some("claude")).await;
    stage.entry_where("shell_runtime", "claude", "tab in front", |tab| tab["actual"]["active"] == true).await;
    assert!(in_front(&stage, &tab).await);

    let loaded = stage.apps.received("claude.ai/").len();
    stage.act("tab_reload", Some("claude")).await;
    stage.healthy("claude").await;
    assert_eq!(stage.apps.received("claude.ai/").len(), loaded + 1);
}

#[actix_rt::test]
async fn an_open_tab_is_adopted() {
    let stage = Stage::set("").await;
    let tab = stage.firefox.bidi.new_tab().await;
    stage.firefox.bidi.navigate(&tab, CLAUDE).await;
    stage.open("claude").await;
    assert_eq!(stage.firefox.tab_of(CLAUDE).await, tab);
}

#[actix_rt::test]
async fn a_tab_that_is_navigated_away_is_drift() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let tab = stage.firefox.tab_of(CLAUDE).await;
    stage.firefox.bidi.navigate(&tab, "https://gemini.google.com/").await;
    let away = |tab: &Value| tab["drift"]["aligned"] == false;
    stage.entry_where("shell_runtime", "claude", "drift", away).await;
    stage.act("tab_restore", Some("claude")).await;
    stage.healthy("claude").await;
}

#[actix_rt::test]
async fn a_tab_that_firefox_unloads_is_drift_and_reloaded() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let unload = "gBrowser.discardBrowser(\
         gBrowser.tabs.find(tab => tab.linkedBrowser.currentURI.spec == 'https://claude.ai/'), true)";
    stage.firefox.window(unload).await;
    let unloaded = |tab: &Value| tab["actual"]["discarded"] == true && tab["drift"]["needs_restore"] == true;
    stage.entry_where("shell_runtime", "claude", "unloaded tab", unloaded).await;
    // A request reloads it by itself.
    assert_eq!(stage.get("claude", "/api/x").await.data()["proxy"]["status"], 200);
    stage.healthy("claude").await;
    stage.firefox.tab_of(CLAUDE).await;
}

#[actix_rt::test]
async fn a_tab_that_crashes_is_drift_and_reloaded_and_its_stream_ends() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let mut held = stage.apps.hold("claude.ai/api/live");
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    stream.expect("stream_open").await;
    stage.firefox.crash(CLAUDE).await;
    assert_eq!(stream.end().await.outcome(), ("stream_error", "tab_unavailable", 502));
    let crashed = |tab: &Value| tab["drift"]["needs_restore"] == true;
    stage.entry_where("shell_runtime", "claude", "crashed tab", crashed).await;
    stage.act("tab_restore", None).await;
    stage.healthy("claude").await;
    assert_eq!(stage.get("claude", "/api/x").await.data()["proxy"]["status"], 200);
}
