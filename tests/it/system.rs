//! The modes of the system, the status, and the lists of tasks, runs and controllers.

use crate::support::{
    Answer, Caller, Daemon, ask, ask_sse, automatic, cancel_of, manual, request_of, settled, stranger, waiting,
};
use baa_conductor::{
    simulator::Firefox,
    store::{Store, StoreSettings},
};
use serde_json::{Value, json};

const STATE: &str = "/v1/system/state";

async fn enter(caller: &Caller, action: &str, reason: Value) -> Value {
    caller.post(&format!("/v1/system/{action}"), &json!({"reason": reason})).await.data()
}

/// The field at fault.
fn fault(answer: &Answer) -> String {
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    answer.json()["details"]["field"].as_str().unwrap().to_owned()
}

/// Waits until the peer was shown that mode.
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
            // One that was taken is in the journal, one that was not has its answer.
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
    // What is written is what was told last.
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
async fn every_client_is_told_of_a_change_and_only_of_itself() {
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
    assert!(silent.received_of("state_snapshot").is_empty(), "who said no hello is told nothing");
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
        assert_eq!((&state["mode"], &state["reason"]), (&json!(mode), &json!("client a asked for it")));
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
    // Those that were refused, for there being too many at once, changed nothing.
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

#[actix_rt::test]
async fn there_are_no_tasks_yet_and_one_controller() {
    let daemon = Daemon::start("node.id = \"n1\"\nnode.host = \"box\"").await;
    let caller = daemon.caller();
    for (path, name) in [("/v1/tasks?status=queued&limit=100", "tasks"), ("/v1/runs?task_id=t&limit=1", "runs")] {
        assert_eq!(caller.get(path).await.data(), json!({name: [], "count": 0}));
    }
    for path in ["/v1/tasks/nope", "/v1/tasks/nope/logs?run_id=r"] {
        let missing = caller.get(path).await;
        assert_eq!(missing.error(), (404, "not_found".into()));
        assert_eq!(missing.json()["details"]["resource"], "task");
    }
    for (path, field) in [
        ("/v1/tasks?status=happy", "status"),
        ("/v1/tasks?limit=0", "limit"),
        ("/v1/tasks?limit=101", "limit"),
        ("/v1/tasks?before=x", "before"),
        ("/v1/tasks/nope/logs?limit=501", "limit"),
        ("/v1/runs?limit=-1", "limit"),
        ("/v1/controllers?limit=0", "limit"),
    ] {
        assert_eq!(fault(&caller.get(path).await), field, "{path}");
    }
    let list = caller.get("/v1/controllers").await.data();
    let this = &list["controllers"][0];
    assert_eq!((&list["count"], list["controllers"].as_array().unwrap().len()), (&json!(1), 1));
    for (field, value) in [
        ("controller_id", json!("n1")),
        ("host", json!("box")),
        ("role", json!("primary")),
        ("version", json!(baa_conductor::VERSION)),
        ("status", json!("active")),
        ("is_leader", json!(true)),
    ] {
        assert_eq!(this[field], value, "{field}");
    }
    assert!(this["started_at"].as_i64().unwrap() <= this["last_heartbeat_at"].as_i64().unwrap(), "{this}");
}

#[actix_rt::test]
async fn tasks_runs_and_logs_are_listed_newest_first_and_say_more_to_the_token() {
    let mut daemon = Daemon::start("").await;
    assert_eq!(daemon.stop().await, Some(0));
    let folder = daemon.into_folder();
    fill(&folder.state().join("conductor.db")).await;
    let daemon = Daemon::start_in(folder, "").await;
    let (local, bearer) = (daemon.caller(), daemon.caller().bearer(&daemon.token()));
    let names = |list: &Value, name: &str, id: &str| -> Vec<String> {
        let rows = list[name].as_array().unwrap();
        assert_eq!(list["count"], rows.len());
        rows.iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
    };

    let page = local.get("/v1/tasks?limit=2").await.data();
    assert_eq!((names(&page, "tasks", "task_id"), &page["next_before"]), (vec!["t3".into(), "t2".into()], &json!(2)));
    let page = local.get("/v1/tasks?limit=2&before=2").await.data();
    assert_eq!((names(&page, "tasks", "task_id"), page.get("next_before")), (vec!["t1".into()], None));
    assert_eq!(names(&local.get("/v1/tasks?status=queued").await.data(), "tasks", "task_id"), ["t3", "t2"]);
    let task = json!({
        "task_id": "t1", "kind": "instruction_batch", "status": "running", "title": "title", "created_at": 1,
        "started_at": 2, "finished_at": null, "run_count": 2,
        "source": {"platform": "claude", "conversation_id": "c", "assistant_message_id": "m", "client_id": "ff"},
    });
    assert_eq!(local.get("/v1/tasks/t1").await.data(), task);

    let runs = bearer.get("/v1/runs?task_id=t1").await.data();
    assert_eq!(names(&runs, "runs", "run_id"), ["r2", "r1"]);
    let run = json!({
        "run_id": "r1", "task_id": "t1", "index": 0, "status": "succeeded", "tool": "exec", "started_at": 3,
        "finished_at": 4, "result": {"stdout": "secret"},
    });
    assert_eq!(runs["runs"][1], run);
    let runs = local.get("/v1/runs").await;
    assert!(!String::from_utf8_lossy(&runs.body).contains("secret"), "{runs:?}");
    assert_eq!(runs.data()["runs"][1].get("result"), None);

    let logs = bearer.get("/v1/tasks/t1/logs").await.data();
    assert_eq!(names(&logs, "logs", "log_id"), ["l3", "l2", "l1"]);
    assert_eq!((&logs["logs"][0]["message"], &logs["logs"][0]["previous_hash"]), (&json!("secret"), &json!("h2")));
    assert_eq!(names(&bearer.get("/v1/tasks/t1/logs?run_id=r1").await.data(), "logs", "log_id"), ["l3", "l2"]);
    let logs = local.get("/v1/tasks/t1/logs?limit=1").await.data();
    assert_eq!((logs["logs"][0].get("message"), &logs["next_before"]), (None, &json!(3)));

    let state = local.get(STATE).await.data();
    assert_eq!((&state["active_runs"], &state["queued_tasks"]), (&json!(1), &json!(2)));
}

/// Three tasks, one of them with runs and a log, as nothing in the daemon makes them yet.
async fn fill(database: &std::path::Path) {
    let store = Store::open(database, &StoreSettings::default()).unwrap();
    let write = store.run(|conn| {
        let rows = "INSERT INTO tasks VALUES
                (1, 't1', 'instruction_batch', 'running', 'title', 1, 2, NULL, 'claude', 'c', 'm', 'ff', NULL, 2),
                (2, 't2', 'host_operation', 'queued', 'title', 1, NULL, NULL, NULL, NULL, NULL, NULL, 'bearer', 1),
                (3, 't3', 'host_operation', 'queued', 'title', 1, NULL, NULL, NULL, NULL, NULL, NULL, 'bearer', 1);
            INSERT INTO runs VALUES
                (1, 'r1', 't1', 0, 'succeeded', 'exec', 3, 4, '{\"stdout\":\"secret\"}'),
                (2, 'r2', 't1', 1, 'running', 'exec', 5, NULL, NULL);
            INSERT INTO task_logs VALUES
                (1, 'l1', 't1', NULL, 1, 'info', 'started', 'm', 'h1', NULL),
                (2, 'l2', 't1', 'r1', 3, 'info', 'started', 'm', 'h2', 'h1'),
                (3, 'l3', 't1', 'r1', 4, 'info', 'finished', 'secret', 'h3', 'h2');";
        Ok(diesel::connection::SimpleConnection::batch_execute(conn, rows)?)
    });
    write.await.unwrap();
    store.close().await.unwrap();
}
