//! Actions: message, result and timeout of each, and a client that disconnects meanwhile.

use crate::support::{Daemon, connect, manual, until, within};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{rc::Rc, time::Duration};

/// A client that answers no action automatically.
async fn silent(daemon: &Daemon, client_id: &str) -> Firefox {
    let mut profile = FirefoxProfile::manual(client_id);
    profile.behaviour.actions = false;
    connect(daemon, profile).await
}

/// Returns the next action message, except the one after `hello`.
async fn asked(firefox: &Firefox, kind: &str) -> Rc<Value> {
    firefox.expect_where(kind, |message| message["reason"] != "hello").await.unwrap()
}

async fn result(firefox: &Firefox, asked: &Value, fields: Value) {
    let mut message = json!({"type": "action_result", "request_id": asked["request_id"], "action": asked["action"]});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    firefox.send_json(&message).await.unwrap();
}

#[actix_rt::test]
async fn each_action_has_its_message_and_its_answer() {
    let daemon = Daemon::start("").await;
    let firefox = silent(&daemon, "ff").await;
    let connection = daemon.caller().browser().await["bridge"]["active_connection_id"].clone();
    for (action, kind) in [
        ("plugin_status", "plugin_status"),
        ("request_credentials", "request_credentials"),
        ("tab_open", "open_tab"),
        ("tab_focus", "open_tab"),
        ("tab_reload", "reload"),
        ("tab_restore", "tab_restore"),
        ("ws_reconnect", "ws_reconnect"),
        ("controller_reload", "controller_reload"),
    ] {
        let body = json!({"action": action, "platform": "claude", "clientId": "ff", "reason": "why"});
        let mut call = daemon.caller().begin_at("/v1/browser/actions", &body).await;
        let message = firefox.expect_where(kind, |message| message["action"] == action && message["reason"] != "hello");
        let message = message.await.unwrap();
        assert_eq!(message["platform"], "claude", "{action}");
        let shown = if kind == "open_tab" { Value::Null } else { json!("why") };
        assert_eq!(message["reason"], shown, "{action}");
        result(&firefox, &message, json!({"results": [{"ok": true, "platform": "claude", "tab_id": 5}]})).await;
        let done = within("an answer", call.answer(false)).await.data();
        assert_eq!((&done["action"], &done["type"]), (&json!(action), &json!(kind)));
        assert_eq!((&done["accepted"], &done["failed"]), (&json!(true), &json!(false)), "{action}");
        assert_eq!(done["completed"], json!(action != "ws_reconnect"), "{action}");
        assert_eq!((&done["request_id"], &done["client_id"]), (&message["request_id"], &json!("ff")));
        assert_eq!(done["target"]["connection_id"], connection, "{action}");
        assert_eq!((&done["platform"], &done["reason"]), (&json!("claude"), &json!("why")));
        assert_eq!(done["results"][0]["tab_id"], 5);
        let last = daemon.caller().browser().await["current_client"]["last_action_result"].take();
        assert_eq!(
            (&last["action"], &last["type"], &last["request_id"]),
            (&json!(action), &json!(kind), &message["request_id"])
        );
        assert_eq!(last["target"]["client_id"], "ff");
    }
}

#[actix_rt::test]
async fn a_result_goes_to_its_caller_only() {
    let daemon = Daemon::start("").await;
    let (a, b) = (silent(&daemon, "a").await, silent(&daemon, "b").await);
    let order = |client: &str| json!({"action": "plugin_status", "client_id": client});
    let mut of_a = daemon.caller().begin_at("/v1/browser/actions", &order("a")).await;
    let mut of_b = daemon.caller().begin_at("/v1/browser/actions", &order("b")).await;
    let (asked_a, asked_b) = (asked(&a, "plugin_status").await, asked(&b, "plugin_status").await);
    // B answers A's action: this changes the view of B, and nothing for A's caller.
    result(&b, &asked_a, json!({"reason": "forged"})).await;
    result(&b, &asked_b, json!({"reason": "own"})).await;
    assert_eq!(within("b's answer", of_b.answer(false)).await.data()["reason"], "own");
    result(&a, &asked_a, json!({"reason": "mine"})).await;
    assert_eq!(within("a's answer", of_a.answer(false)).await.data()["reason"], "mine");
}

#[actix_rt::test]
async fn what_fails_in_the_browser_is_an_answer_and_what_fails_on_the_way_an_error() {
    let daemon = Daemon::start("").await;
    let none = daemon.caller().post("/v1/browser/actions", &json!({"action": "plugin_status"})).await;
    assert_eq!(none.error(), (503, "browser_bridge_unavailable".into()));
    assert_eq!(none.error_code(), "no_active_client");
    let firefox = silent(&daemon, "ff").await;
    let unknown = json!({"action": "plugin_status", "client_id": "unknown"});
    let refused = daemon.caller().post("/v1/browser/actions", &unknown).await;
    assert_eq!(refused.error(), (409, "browser_client_not_found".into()));
    let order = json!({"action": "tab_open", "platform": "claude"});
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &order).await;
    let message = asked(&firefox, "open_tab").await;
    result(&firefox, &message, json!({"failed": true, "completed": false, "message": "no window"})).await;
    let done = call.answer(false).await.data();
    assert_eq!((&done["failed"], &done["reason"]), (&json!(true), &json!("no window")));
    let late = json!({"action": "plugin_status", "timeout_ms": 50});
    let refused = daemon.caller().post("/v1/browser/actions", &late).await;
    assert_eq!(refused.error(), (504, "browser_action_timeout".into()));
    let details = refused.json()["details"].clone();
    assert_eq!((&details["action"], &details["bridge_client_id"]), (&json!("plugin_status"), &json!("ff")));
    assert!(refused.json()["message"].as_str().unwrap().contains("did not answer within 50 ms"));
    // An unreadable result fails the action at once.
    let status = json!({"action": "plugin_status", "timeout_ms": 3_600_000});
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &status).await;
    let first = asked(&firefox, "plugin_status").await;
    let second = firefox.expect_where("plugin_status", |m| m["request_id"] != first["request_id"]).await.unwrap();
    result(&firefox, &second, json!({"failed": "yes"})).await;
    let garbled = within("an answer", call.answer(false)).await;
    assert_eq!(garbled.error(), (502, "browser_bridge_error".into()));
    // A late result is shown, although no caller waits.
    let message = first;
    result(&firefox, &message, json!({"reason": "late"})).await;
    until("the late result", async || {
        let last = daemon.caller().browser().await["current_client"]["last_action_result"].take();
        (last["reason"] == "late" && last["request_id"] == message["request_id"]).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_client_that_goes_away_ends_its_actions_at_once() {
    let daemon = Daemon::start("bridge.action_timeout_ms = 3600000").await;
    let firefox = silent(&daemon, "ff").await;
    let order = json!({"action": "controller_reload"});
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &order).await;
    asked(&firefox, "controller_reload").await;
    firefox.drop_connection().await.unwrap();
    let failed = within("an answer", call.answer(false)).await;
    assert_eq!(failed.error(), (503, "browser_bridge_unavailable".into()));
    assert_eq!(failed.error_code(), "client_disconnected");

    let first = silent(&daemon, "twice").await;
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &order).await;
    asked(&first, "controller_reload").await;
    let _second = silent(&daemon, "twice").await;
    assert_eq!(within("an answer", call.answer(false)).await.error_code(), "client_replaced");
}

#[actix_rt::test]
async fn a_reconnect_is_complete_when_the_client_is_back() {
    let daemon = Daemon::start("").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.reconnect = Some(Duration::from_millis(1));
    let _firefox = connect(&daemon, profile).await;
    let before = daemon.caller().browser().await["bridge"]["active_connection_id"].clone();
    let order = json!({"action": "ws_reconnect", "wait": true});
    let done = within("an answer", daemon.caller().post("/v1/browser/actions", &order)).await.data();
    assert_eq!((&done["completed"], &done["failed"]), (&json!(true), &json!(false)));
    assert_eq!(done["connection_id"], before, "the order went to the old connection");
    let now = until("the client", async || {
        let id = daemon.caller().browser().await["bridge"]["active_connection_id"].take();
        (!id.is_null()).then_some(id)
    })
    .await;
    assert_ne!(now, before);
    assert_eq!(done["reconnected"]["connection_id"], now);
    let last = until("the result", async || {
        let last = daemon.caller().browser().await["current_client"]["last_action_result"].take();
        (last["completed"] == true).then_some(last)
    })
    .await;
    assert_eq!((&last["action"], &last["request_id"]), (&json!("ws_reconnect"), &done["request_id"]));
    assert!(done["reconnected"]["after_ms"].is_u64());
}

#[actix_rt::test]
async fn a_reconnect_without_a_word_counts_and_one_that_is_refused_is_not_waited_for() {
    let daemon = Daemon::start("bridge.action_timeout_ms = 3600000").await;
    let firefox = silent(&daemon, "ff").await;
    let wait = json!({"action": "ws_reconnect", "wait": true});
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &wait).await;
    asked(&firefox, "ws_reconnect").await;
    firefox.drop_connection().await.unwrap();
    let again = silent(&daemon, "ff").await;
    let done = within("an answer", call.answer(false)).await.data();
    assert_eq!((&done["accepted"], &done["completed"]), (&json!(true), &json!(true)));

    let mut call = daemon.caller().begin_at("/v1/browser/actions", &wait).await;
    let message = asked(&again, "ws_reconnect").await;
    result(&again, &message, json!({"failed": true, "reason": "busy"})).await;
    let done = within("an answer", call.answer(false)).await.data();
    assert_eq!((&done["completed"], &done["failed"], &done["reason"]), (&json!(false), &json!(true), &json!("busy")));
    assert!(done.get("reconnected").is_none());

    let mut call = daemon.caller().begin_at("/v1/browser/actions", &json!({"action": "ws_reconnect"})).await;
    again.expect_where("ws_reconnect", |asked| asked["request_id"] != message["request_id"]).await.unwrap();
    again.drop_connection().await.unwrap();
    let done = within("an answer", call.answer(false)).await.data();
    assert_eq!((&done["accepted"], &done["completed"]), (&json!(true), &json!(false)), "it went, as it was asked to");
}

#[actix_rt::test]
async fn a_stop_ends_actions_that_wait_for_a_reconnect() {
    let mut daemon = Daemon::start("bridge.action_timeout_ms = 3600000").await;
    let firefox = silent(&daemon, "ff").await;
    let wait = json!({"action": "ws_reconnect", "wait": true});
    let mut call = daemon.caller().begin_at("/v1/browser/actions", &wait).await;
    asked(&firefox, "ws_reconnect").await;
    firefox.drop_connection().await.unwrap();
    until("its end", async || daemon.caller().browser().await["current_client"].is_null().then_some(())).await;
    let (answer, code) = futures_util::join!(call.answer(false), daemon.stop());
    assert_eq!((answer.error_code(), code), ("service_stopped".into(), Some(0)));
}

#[actix_rt::test]
async fn the_older_routes_are_these_actions_and_say_so() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let opened = daemon.caller().post("/v1/browser/claude/open", &json!({})).await;
    assert!(opened.header("deprecation").unwrap().contains("/v1/browser/actions"));
    assert_eq!(
        (&opened.data()["action"], &opened.data()["open_url"]),
        (&json!("tab_open"), &json!("https://claude.ai/"))
    );
    let reloaded = daemon.caller().post("/v1/browser/claude/reload", &json!({})).await;
    assert!(reloaded.header("deprecation").unwrap().contains("/v1/browser/actions"));
    let message = firefox.expect("reload").await.unwrap();
    assert_eq!((&message["platform"], &message["reason"]), (&json!("claude"), &json!("browser_http_reload")));
    let body = json!({"path": "/api/x", "request_id": "r-1"});
    let mut sent = daemon.caller().begin_at("/v1/browser/claude/send", &body).await;
    let request = firefox.next_request().await.unwrap();
    assert_eq!((request.id(), request.message()["method"].as_str()), ("r-1", Some("POST")));
    request.answer(200, json!({"a": 1})).await.unwrap();
    let answer = within("an answer", sent.answer(false)).await;
    assert!(answer.header("deprecation").unwrap().contains("/v1/browser/request"));
    assert_eq!(answer.data()["platform"], "claude");
    let form = daemon.caller().with("content-type", "text/plain").post("/v1/browser/claude/open", &json!({})).await;
    assert!(form.status == 415 && form.header("deprecation").is_some(), "also on what its guard refuses");
    let elsewhere = daemon.caller().post("/v1/browser/claude/send", &json!({"platform": "gemini", "path": "/x"})).await;
    assert_eq!((elsewhere.error().0, elsewhere.json()["details"]["field"].as_str()), (400, Some("platform")));
}
