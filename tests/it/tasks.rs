//! The lists of tasks, runs and controllers.

use crate::support::{Daemon, fault};
use baa_conductor::store::{Store, StoreSettings};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

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
        "task_id": "t1", "kind": "instruction_batch", "status": "failed", "title": "title", "created_at": 1,
        "started_at": 2, "finished_at": 6, "run_count": 2,
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

    let state = local.get("/v1/system/state").await.data();
    assert_eq!((&state["active_runs"], &state["queued_tasks"]), (&json!(0), &json!(2)));
}

/// Stores three tasks, one with runs and a log, with times and texts that a test can name.
async fn fill(database: &std::path::Path) {
    let store = Store::open(database, &StoreSettings::default()).unwrap();
    let write = store.run(|conn| {
        let rows = "INSERT INTO tasks VALUES
                (1, 't1', 'instruction_batch', 'failed', 'title', 1, 2, 6, 'claude', 'c', 'm', 'ff', NULL, 2),
                (2, 't2', 'host_operation', 'queued', 'title', 1, NULL, NULL, NULL, NULL, NULL, NULL, 'bearer', 1),
                (3, 't3', 'host_operation', 'queued', 'title', 1, NULL, NULL, NULL, NULL, NULL, NULL, 'bearer', 1);
            INSERT INTO runs VALUES
                (1, 'r1', 't1', 0, 'succeeded', 'exec', 3, 4, '{\"stdout\":\"secret\"}'),
                (2, 'r2', 't1', 1, 'failed', 'exec', 5, 6, NULL);
            INSERT INTO task_logs VALUES
                (1, 'l1', 't1', NULL, 1, 'info', 'started', 'm', 'h1', NULL),
                (2, 'l2', 't1', 'r1', 3, 'info', 'started', 'm', 'h2', 'h1'),
                (3, 'l3', 't1', 'r1', 4, 'info', 'finished', 'secret', 'h3', 'h2');";
        Ok(conn.batch_execute(rows)?)
    });
    write.await.unwrap();
    store.close().await.unwrap();
}
