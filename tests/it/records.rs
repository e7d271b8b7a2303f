//! The view of logins and messages: while a client is connected, after it disconnected, after a restart and after a
//! crash, and its events.

use crate::support::{Caller, Daemon, connect, handled, manual, until, within};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection, sql_types::Text};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Connects a peer that reports nothing by itself.
async fn quiet(daemon: &Daemon, client_id: &str) -> Firefox {
    let mut profile = FirefoxProfile::manual(client_id);
    profile.behaviour.credentials = false;
    connect(daemon, profile).await
}

fn login(platform: &str, account: &str) -> Value {
    json!({"type": "credentials", "platform": platform, "account": account, "fingerprint": "fp", "headers": {"a": "b"}})
}

fn endpoints(platform: &str, account: &str, list: &[&str]) -> Value {
    json!({"type": "api_endpoints", "platform": platform, "account": account, "endpoints": list})
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "browser.final_message", "platform": "claude", "conversation_id": "c-1", "message_id": id,
        "rawText": text, "observed_at": 1_700_000_000_000_u64})
}

async fn tell(firefox: &Firefox, messages: &[Value]) {
    for message in messages {
        firefox.send_json(message).await.unwrap();
    }
    handled(firefox).await;
}

async fn records(caller: &Caller, query: &str) -> Vec<Value> {
    let state = caller.get(&format!("/v1/browser?{query}")).await.data();
    assert!(state["summary"].get("persisted_error").is_none(), "{}", state["summary"]);
    state["records"].as_array().unwrap().clone()
}

fn named(record: &Value) -> String {
    let part = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    ["platform", "client_id", "account", "status", "view"].map(part).join(" ")
}

#[actix_rt::test]
async fn a_login_is_shown_live_then_stored_and_after_a_restart() {
    let mut daemon = Daemon::start("node.host = \"box\"").await;
    let firefox = quiet(&daemon, "ff").await;
    tell(&firefox, &[login("claude", "me"), endpoints("claude", "me", &["GET /a", "POST /b/{id}"])]).await;
    let live = &records(&daemon.caller(), "").await[0];
    assert_eq!(named(live), "claude ff me fresh active_and_persisted");
    assert_eq!((&live["host"], &live["is_active_client"]), (&json!("box"), &json!(true)));
    assert_eq!(live["live"]["credentials"]["header_count"], 1);
    assert_eq!(live["live"]["request_hooks"]["endpoint_count"], 2);
    // The live list may become shorter; the record remembers what was seen once.
    tell(&firefox, &[endpoints("claude", "me", &["GET /c"])]).await;
    let live = &records(&daemon.caller(), "").await[0];
    assert_eq!(live["live"]["request_hooks"]["endpoints"], json!(["GET /c"]));
    assert_eq!(live["persisted"]["endpoints"], json!(["GET /a", "POST /b/{id}", "GET /c"]));
    firefox.close(1000, "bye").await.unwrap();
    let gone = until("a stored record", async || {
        records(&daemon.caller(), "").await.into_iter().find(|record| record["view"] == "persisted_only")
    })
    .await;
    assert_eq!(named(&gone), "claude ff me stale persisted_only");
    assert_eq!((&gone["live"], &gone["is_active_client"]), (&Value::Null, &json!(false)));
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), "node.host = \"box\"").await;
    assert_eq!(records(&daemon.caller(), "").await, std::slice::from_ref(&gone), "the same for every caller");
    assert_eq!(records(&daemon.caller(), "status=fresh").await, Vec::<Value>::new());
    // After the client reconnects there is one record, both live and stored.
    let firefox = quiet(&daemon, "ff").await;
    tell(&firefox, &[login("claude", "me")]).await;
    let again = records(&daemon.caller(), "clientId=ff").await;
    assert_eq!((again.len(), named(&again[0])), (1, "claude ff me fresh active_and_persisted".to_owned()));
    assert_eq!(again[0]["persisted"]["endpoints"], gone["persisted"]["endpoints"]);
}

#[actix_rt::test]
async fn short_settings_make_a_login_old_soon() {
    let daemon = Daemon::start("login_state.stale_after_ms = 40\nlogin_state.lost_after_ms = 120").await;
    let firefox = quiet(&daemon, "ff").await;
    tell(&firefox, &[login("claude", "me")]).await;
    let mut seen = Vec::new();
    until("a lost login", async || {
        let state = daemon.caller().browser().await;
        let status = state["records"][0]["status"].as_str().unwrap().to_owned();
        let ready = state["platforms"].as_array().unwrap().iter().any(|p| p["ready"] == true);
        let over = status == "lost" && !ready;
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        over.then_some(())
    })
    .await;
    // A slow machine may miss one state, but never sees one again.
    let order = ["fresh", "stale", "lost"];
    let places: Vec<_> = seen.iter().map(|status| order.iter().position(|known| known == status).unwrap()).collect();
    assert!(places.is_sorted(), "{seen:?}");
}

#[actix_rt::test]
async fn bad_filters_are_refused_by_name() {
    let daemon = Daemon::start("").await;
    for (query, field) in [
        ("status=happy", "status"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("before=x", "before"),
    ] {
        let refused = daemon.caller().get(&format!("/v1/browser?{query}")).await;
        assert_eq!(refused.error(), (400, "invalid_request".into()), "{query}");
        assert_eq!(refused.json()["details"]["field"], field, "{query}");
    }
    let filters = daemon.caller().get("/v1/browser?platform=%20claude%20&account=").await.data()["filters"].take();
    assert_eq!(filters, json!({"platform": "claude", "limit": 1_000}));
}

#[actix_rt::test]
async fn final_messages_are_kept_for_the_bearer_alone() {
    let mut daemon = Daemon::start("").await;
    let firefox = quiet(&daemon, "ff").await;
    let many: Vec<_> = (0..12).map(|i| message(&format!("m-{i}"), &format!("ONLY-FOR-THE-BEARER {i}"))).collect();
    tell(&firefox, &many).await;
    // The same message again, and the same id with another text, which is another message.
    tell(&firefox, &[many[3].clone(), message("m-3", "grown")]).await;
    let caller = daemon.caller();
    assert_eq!(caller.get("/v1/browser/messages").await.error(), (401, "unauthorized".into()));
    let state = caller.get("/v1/browser").await;
    assert!(!String::from_utf8_lossy(&state.body).contains("ONLY-FOR"));
    let shown = &state.data()["current_client"]["final_messages"];
    assert_eq!(shown.as_array().unwrap().len(), 10);
    assert_eq!((&shown[9]["assistant_message_id"], &shown[9]["raw_length"]), (&json!("m-3"), &json!(5)));
    let bearer = caller.bearer(&daemon.token());
    let list = bearer.get("/v1/browser/messages?limit=5").await.data();
    let ids = |list: &Value| -> Vec<String> {
        let of = |message: &Value| message["assistant_message_id"].as_str().unwrap().to_owned();
        list["messages"].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(ids(&list), ["m-3", "m-11", "m-10", "m-9", "m-8"]);
    assert_eq!((&list["count"], &list["messages"][0]["raw_text"]), (&json!(5), &json!("grown")));
    let rest = bearer.get(&format!("/v1/browser/messages?before={}", list["next_before"])).await.data();
    assert_eq!(ids(&rest), ["m-7", "m-6", "m-5", "m-4", "m-3", "m-2", "m-1", "m-0"]);
    assert_eq!((&rest["messages"][4]["raw_text"], rest.get("next_before")), (&json!("ONLY-FOR-THE-BEARER 3"), None));
    for (query, count) in
        [("platform=claude", 13), ("platform=gemini", 0), ("conversationId=c-1", 13), ("conversation_id=x", 0)]
    {
        assert_eq!(bearer.get(&format!("/v1/browser/messages?{query}")).await.data()["count"], count, "{query}");
    }
    let snapshots = firefox.received_of("state_snapshot");
    assert!(!format!("{snapshots:?}").contains("ONLY-FOR"), "a snapshot holds no text");
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    let kept = daemon.caller().bearer(&daemon.token()).get("/v1/browser/messages").await.data();
    assert_eq!(kept["count"], 13, "they outlive the daemon");
    assert!(!daemon.stderr().contains("ONLY-FOR"));
}

#[derive(diesel::QueryableByName)]
struct Check {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

#[actix_rt::test]
async fn a_crash_loses_nothing_that_is_a_second_old() {
    const CLIENTS: usize = 50;
    let daemon = Daemon::start("bridge.max_final_message_bytes = 1").await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(quiet(&daemon, &format!("ff-{number:02}")).await);
    }
    let state = |round: usize| {
        let (account, id) = (format!("account-{round}"), format!("m-{round}"));
        [login("claude", &account), endpoints("claude", &account, &["GET /a"]), message(&id, "text")]
    };
    // Repeated reports; the crash comes in the middle of a round, more than a second after the first.
    let began = Instant::now();
    let mut round = 0;
    while round < 2 || began.elapsed() < Duration::from_millis(1_200) {
        for (number, firefox) in clients.iter().enumerate() {
            for mut told in state(round) {
                if told["type"] == "browser.final_message" {
                    told["message_id"] = json!(format!("m-{round}-{number}"));
                }
                firefox.send_json(&told).await.unwrap();
            }
        }
        if round == 0 {
            for firefox in &clients {
                handled(firefox).await;
            }
        }
        round = (round + 1) % 200;
    }
    let folder = daemon.kill().await;
    let database = folder.state().join("conductor.db");
    let mut conn = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    let found: Vec<Check> = diesel::sql_query("PRAGMA quick_check").load(&mut conn).unwrap();
    assert_eq!(found.iter().map(|row| row.quick_check.as_str()).collect::<Vec<_>>(), ["ok"]);
    drop(conn);
    let daemon = Daemon::start_in(folder, "").await;
    let first = records(&daemon.caller(), "account=account-0&limit=10000").await;
    let clients: Vec<_> = first.iter().map(|record| record["client_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(clients, (0..CLIENTS).map(|number| format!("ff-{number:02}")).collect::<Vec<_>>());
    assert!(first.iter().all(|record| record["persisted"]["endpoints"] == json!(["GET /a"])), "{first:?}");
    let bearer = daemon.caller().bearer(&daemon.token());
    let (mut kept, mut before) = (Vec::new(), String::new());
    loop {
        let page = bearer.get(&format!("/v1/browser/messages?limit=100{before}")).await.data();
        kept.extend(page["messages"].as_array().unwrap().iter().map(|m| m["assistant_message_id"].clone()));
        match page.get("next_before") {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    for number in 0..CLIENTS {
        assert!(kept.contains(&json!(format!("m-0-{number}"))), "message {number} of the first round is lost");
    }
}

#[actix_rt::test]
async fn reports_and_connections_of_clients_are_published_as_events() {
    let daemon = Daemon::start("").await;
    let mut feed = daemon.caller().follow().await;
    let firefox = manual(&daemon, "ff").await;
    tell(
        &firefox,
        &[endpoints("claude", "me", &["GET /a"]), message("m-1", "NOT-TO-BE-TOLD"), message("m-1", "NOT-TO-BE-TOLD")],
    )
    .await;
    daemon.caller().post("/v1/browser/actions", &json!({"action": "plugin_status"})).await.data();
    daemon.caller().post("/v1/system/pause", &json!({"reason": "lunch"})).await.data();
    firefox.drop_connection().await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|(event, _): &(String, Value)| event != "client_disconnected") {
        let frame = within("an event", feed.event()).await;
        told.push((frame.event, frame.data));
    }
    assert!(!format!("{told:?}").contains("NOT-TO-BE-TOLD"));
    let names: Vec<_> = told.iter().map(|(event, _)| event.as_str()).collect();
    let wanted = [
        "client_connected",
        "login_state",
        "shell_runtime",
        "login_state",
        "final_message",
        "final_message",
        "action_result",
        "system",
        "client_disconnected",
    ];
    // The result of an action shows tabs with newer times.
    let names: Vec<_> = names.iter().enumerate().filter(|(at, name)| **name != "shell_runtime" || *at == 2).collect();
    assert_eq!(names.iter().map(|(_, name)| **name).collect::<Vec<_>>(), wanted);
    let data = |event: &str| &told.iter().find(|(name, _)| name == event).unwrap().1;
    assert_eq!(data("client_connected")["client_id"], "ff");
    assert_eq!(
        (&data("login_state")["platform"], &data("login_state")["freshness"]),
        (&json!("claude"), &json!("fresh"))
    );
    assert_eq!(
        (&data("shell_runtime")["client_id"], &data("shell_runtime")["platform"]),
        (&json!("ff"), &json!("claude"))
    );
    assert_eq!(
        (&data("final_message")["assistant_message_id"], &data("final_message")["raw_length"]),
        (&json!("m-1"), &json!(14))
    );
    assert_eq!(
        (&data("action_result")["action"], &data("action_result")["failed"]),
        (&json!("plugin_status"), &json!(false))
    );
    assert_eq!((&data("system")["mode"], &data("system")["reason"]), (&json!("paused"), &json!("lunch")));
    let left = data("client_disconnected");
    assert_eq!((&left["client_id"], &left["reason"]), (&json!("ff"), &json!("client_disconnected")));
    assert_eq!(left["connection_id"], data("client_connected")["connection_id"]);
}
