//! The system modes, for callers, clients and new requests, and the status.

use crate::support::{
    Caller, Daemon, ask, ask_sse, automatic, cancel_of, fault, manual, request_of, settled, stranger, until, waiting,
};
use baa_conductor::simulator::Firefox;
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection};
use serde_json::{Value, json};

const STATE: &str = "/v1/system/state";

async fn enter(caller: &Caller, action: &str, reason: Value) -> Value {
    caller.post(&format!("/v1/system/{action}"), &json!({"reason": reason})).await.data()
}

/// Waits until the peer received that mode.
async fn told(firefox: &Firefox, mode: &str) -> Value {
    let fits = |message: &Value| message["snapshot"]["system"]["mode"] == mode;
    (*firefox.expect_where("state_snapshot", fits).await.unwrap()).clone()
}

#[actix_rt::test]
async fn a_fresh_system_runs_and_is_called_as_configured() {
    let daemon = Daemon::start("node.id = \"n1\"\nnode.host = \"box\"").await;
    let state = daemon.caller().get(STATE).await.data();
    let started_at = daemon.caller().get("/version").await.data()["started_at"].as_i64().unwrap();
    assert!(state["changed_at"].as_i64().unwrap() >= started_at - 1_000, "{state}");
    for (field, value) in [
        ("mode", json!("running")),
        ("reason", Value::Null),
        ("active_runs", json!(0)),
        ("queued_tasks", json!(0)),
        ("in_flight_requests", json!(0)),
        ("leader", json!(true)),
        ("node", json!({"id": "n1", "host": "box", "role": "primary"})),
    ] {
        assert_eq!(state[field], value, "{field}");
    }
}

#[actix_rt::test]
async fn modes_change_and_say_why() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut before = caller.get(STATE).await.data()["changed_at"].as_i64().unwrap();
    for (action, mode, given, reason) in [
        ("pause", "paused", json!("  lunch "), json!("lunch")),
        ("drain", "draining", json!("x".repeat(500)), json!("x".repeat(500))),
        ("drain", "draining", json!("   "), Value::Null),
        ("resume", "running", Value::Null, Value::Null),
    ] {
        let answer = enter(&caller, action, given).await;
        assert_eq!((&answer["mode"], &answer["reason"]), (&json!(mode), &reason), "{action}");
        assert!(answer["changed_at"].as_i64().unwrap() >= before, "{answer}");
        before = answer["changed_at"].as_i64().unwrap();
        assert_eq!(caller.get(STATE).await.data(), answer);
    }
    let bare = caller.send("POST", "/v1/system/pause", None).await;
    assert_eq!(bare.data()["mode"], "paused", "no body is no reason");
}

#[actix_rt::test]
async fn a_reason_that_cannot_be_changes_nothing() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    for reason in [json!(7), json!("x".repeat(501))] {
        let answer = caller.post("/v1/system/drain", &json!({"reason": reason})).await;
        assert_eq!(fault(&answer), "reason");
    }
    assert_eq!(caller.get(STATE).await.data()["mode"], "running");
    let refused = Daemon::start("auth.local_trust = \"none\"").await;
    let answer = refused.caller().post("/v1/system/drain", &json!({})).await;
    assert_eq!(answer.error(), (401, "unauthorized".into()));
    let bearer = refused.caller().bearer(&refused.token());
    assert_eq!(enter(&bearer, "drain", Value::Null).await["mode"], "draining");
}

#[actix_rt::test]
async fn paused_serves_callers() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    enter(&caller, "pause", Value::Null).await;
    caller.request(&ask("r1", "/echo")).await.data();
    caller.stream(&ask_sse("r2", "/events/2")).await.end().await;
}

#[actix_rt::test]
async fn draining_refuses_what_is_new_and_lets_what_runs_finish() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 3").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut buffered = caller.begin(&ask("buffered", "/one")).await;
    let first = request_of(&firefox, "buffered").await;
    let mut stream = caller.stream(&ask_sse("stream", "/two")).await;
    let second = request_of(&firefox, "stream").await;
    second.event("message", json!("early")).await.unwrap();
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;
    let mut cancelled = caller.begin(&ask("cancelled", "/three")).await;
    request_of(&firefox, "cancelled").await;
    let mut queued = caller.begin(&ask("queued", "/four")).await;
    waiting(&caller, 1).await;

    assert_eq!(enter(&caller, "drain", json!("update")).await["in_flight_requests"], 4);
    for body in [ask("new", "/new"), ask_sse("new", "/new"), ask("buffered", "/again")] {
        let answer = caller.request(&body).await;
        assert_eq!(answer.error(), (503, "system_draining".into()), "{body}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let invalid = caller.request(&json!({"platform": "claude", "path": "nowhere"})).await;
    assert_eq!(fault(&invalid), "path", "what is wrong with a request is said first");

    caller.cancel("cancelled").await.data();
    cancel_of(&firefox, "cancelled").await;
    assert_eq!(cancelled.answer(false).await.error(), (499, "browser_request_cancelled".into()));
    first.answer(200, json!({"done": 1})).await.unwrap();
    assert_eq!(buffered.answer(false).await.data()["response"], json!({"done": 1}));
    second.event("message", json!("late")).await.unwrap();
    second.end(200).await.unwrap();
    stream.expect("stream_event").await;
    stream.expect("stream_end").await;
    let last = request_of(&firefox, "queued").await;
    last.answer(200, json!("from the queue")).await.unwrap();
    assert_eq!(queued.answer(false).await.data()["response"], "from the queue");
    settled(&caller).await;
    assert_eq!(caller.get(STATE).await.data()["in_flight_requests"], 0);

    enter(&caller, "resume", Value::Null).await;
    let mut new = caller.begin(&ask("new", "/new")).await;
    request_of(&firefox, "new").await.answer(200, json!(2)).await.unwrap();
    assert_eq!(new.answer(false).await.data()["response"], 2);
}

#[actix_rt::test]
async fn once_a_drain_is_answered_nothing_more_is_taken() {
    let daemon = Daemon::start("server.workers = 4").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for round in 0..5 {
        let id = |n: usize| format!("r{round}-{n}");
        let mut asked = Vec::new();
        for n in 0..10 {
            asked.push(caller.begin(&ask(&id(n), "/held")).await);
        }
        let mut draining = caller.begin_at("/v1/system/drain", &json!({})).await;
        for n in 10..20 {
            asked.push(caller.begin(&ask(&id(n), "/held")).await);
        }
        let drained = draining.answer(false).await.data();
        let mut refused = 0;
        for (n, connection) in asked.iter_mut().enumerate() {
            // An accepted request is in the journal; a refused one has its response.
            let live = caller.get(&format!("/v1/browser/requests/{}", id(n))).await.status == 200;
            refused += u64::from(!live && connection.peek_status().await == 503);
        }
        assert_eq!(drained["in_flight_requests"].as_u64().unwrap() + refused, 20, "as many as the answer says");
        drop(asked);
        settled(&caller).await;
        enter(&caller, "resume", Value::Null).await;
    }
    drop(firefox);
}

#[actix_rt::test]
async fn changes_at_once_leave_one_mode_for_everybody() {
    let daemon = Daemon::start("server.workers = 4").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut asked = Vec::new();
    for n in 0..30 {
        let action = ["pause", "drain", "resume"][n % 3];
        let path = format!("/v1/system/{action}");
        asked.push(caller.begin_at(&path, &json!({"reason": n.to_string()})).await);
    }
    for connection in &mut asked {
        connection.answer(false).await.data();
    }
    let last = caller.get(STATE).await.data();
    let fits = |message: &Value| message["snapshot"]["system"]["reason"] == last["reason"];
    let told = firefox.expect_where("state_snapshot", fits).await.unwrap();
    assert_eq!(told["snapshot"]["system"]["mode"], last["mode"]);
    // The stored mode is the last published one.
    let next = Daemon::start_in(daemon.kill().await, "").await;
    let after = next.caller().get(STATE).await.data();
    assert_eq!(["mode", "reason", "changed_at"].map(|f| &after[f]), ["mode", "reason", "changed_at"].map(|f| &last[f]));
}

#[actix_rt::test]
async fn the_mode_outlives_the_process() {
    let daemon = Daemon::start("").await;
    let drained = enter(&daemon.caller(), "drain", json!("update")).await;
    let daemon = Daemon::start_in(daemon.kill().await, "").await;
    assert_eq!(daemon.caller().get(STATE).await.data(), drained);
    let refused = daemon.caller().request(&ask("r1", "/x")).await;
    assert_eq!(refused.error(), (503, "system_draining".into()));
    let log = daemon.stderr();
    assert!(log.lines().any(|line| line.contains("draining") && line.contains("update")), "{log}");
    let firefox = manual(&daemon, "ff").await;
    assert_eq!(told(&firefox, "draining").await["snapshot"]["system"]["reason"], "update");
}

#[actix_rt::test]
async fn a_change_that_cannot_be_written_is_refused_and_the_mode_stays() {
    let daemon = Daemon::start("store.busy_timeout_ms = 0").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let database = daemon.folder().state().join("conductor.db");
    let mut other = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    // The client's report is being stored.
    until("the lock", async || other.batch_execute("BEGIN IMMEDIATE").ok()).await;
    let answer = caller.post("/v1/system/drain", &json!({})).await;
    assert_eq!(answer.error(), (503, "store_unavailable".into()));
    firefox.send_json(&json!({"type": "action_request", "action": "pause"})).await.unwrap();
    let answer = firefox.expect("action_result").await.unwrap();
    assert_eq!((&answer["ok"], &answer["system"]["mode"]), (&json!(false), &json!("running")));
    assert_eq!(caller.get(STATE).await.data()["mode"], "running");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(enter(&caller, "drain", Value::Null).await["mode"], "draining");
}

#[actix_rt::test]
async fn every_client_is_notified_of_a_change_and_only_of_its_own() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let clients = [manual(&daemon, "a").await, manual(&daemon, "b").await];
    let silent = stranger(&daemon).await;
    enter(&caller, "pause", json!("lunch")).await;
    for (firefox, client_id) in clients.iter().zip(["a", "b"]) {
        let snapshot = told(firefox, "paused").await;
        assert_eq!(snapshot["reason"], "system");
        assert_eq!(snapshot["snapshot"]["system"]["reason"], "lunch");
        let shown = snapshot["snapshot"]["browser"]["clients"].as_array().unwrap();
        assert!(shown.len() == 1 && shown[0]["client_id"] == client_id, "{shown:?}");
    }
    silent.send_json(&json!({"type": "state_request"})).await.unwrap();
    silent.expect("error").await.unwrap();
    assert!(silent.received_of("state_snapshot").is_empty(), "a client without a hello receives nothing");
}

#[actix_rt::test]
async fn a_client_may_change_the_mode() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let (asking, other) = (manual(&daemon, "a").await, manual(&daemon, "b").await);
    for (action, id, mode) in
        [("pause", "request_id", "paused"), ("drain", "requestId", "draining"), ("resume", "request_id", "running")]
    {
        asking
            .send_json(&json!({"type": "action_request", "action": action, id: format!("id-{action}")}))
            .await
            .unwrap();
        let answer = asking.expect_where("action_result", |m| m["action"] == action).await.unwrap();
        assert_eq!((&answer["ok"], &answer["request_id"]), (&json!(true), &json!(format!("id-{action}"))));
        assert_eq!(answer["system"]["mode"], mode);
        let state = caller.get(STATE).await.data();
        assert_eq!((&state["mode"], &state["reason"]), (&json!(mode), &json!("requested by client a")));
        told(&other, mode).await;
        told(&asking, mode).await;
    }
}

#[actix_rt::test]
async fn every_action_request_of_a_flood_is_answered() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    for n in 0..30 {
        let action = ["pause", "resume"][n % 2];
        firefox
            .send_json(&json!({"type": "action_request", "action": action, "request_id": n.to_string()}))
            .await
            .unwrap();
    }
    let mut done = Vec::new();
    for n in 0..30 {
        let id = n.to_string();
        let answer = firefox.expect_where("action_result", |m| m["request_id"] == *id).await.unwrap();
        if answer["ok"] == true {
            done.push(answer["system"].clone());
        }
    }
    // Changes that were refused because there were too many at once had no effect.
    let state = daemon.caller().get(STATE).await.data();
    let last = done.last().unwrap();
    assert_eq!((&state["mode"], &state["changed_at"]), (&last["mode"], &last["changed_at"]));
}

#[actix_rt::test]
async fn the_status_is_numbers() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (caller, version) = (daemon.caller(), baa_conductor::VERSION);
    let empty = caller.get("/v1/status").await.data();
    assert_eq!((&empty["mode"], &empty["version"]), (&json!("running"), &json!(version)));
    assert_eq!((&empty["active_runs"], &empty["queued_tasks"]), (&json!(0), &json!(0)));
    assert_eq!(empty["bridge"], json!({"status": "disconnected", "client_count": 0, "active_client_id": null}));
    assert_eq!(empty["store"], json!({"status": "ok", "faults": []}));
    assert_eq!(empty["policy"], json!({"targets": 0, "waiting": 0, "in_flight": 0, "open_circuits": 0}));
    let firefox = manual(&daemon, "ff").await;
    let _running = caller.begin(&ask("r1", "/x")).await;
    request_of(&firefox, "r1").await;
    let _waiting = caller.begin(&ask("r2", "/y")).await;
    waiting(&caller, 1).await;
    let busy = caller.get("/v1/status").await.data();
    assert!(busy["uptime_ms"].as_u64().unwrap() >= empty["uptime_ms"].as_u64().unwrap(), "{busy}");
    assert_eq!(busy["in_flight_requests"], 2);
    assert_eq!(busy["bridge"], json!({"status": "connected", "client_count": 1, "active_client_id": "ff"}));
    assert_eq!(busy["policy"], json!({"targets": 1, "waiting": 1, "in_flight": 1, "open_circuits": 0}));
}
