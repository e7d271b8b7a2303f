//! `/v1/instructions`: the instructions of a message run once, in order, or not at all.

mod approval;
mod crash;
mod delivery;
mod faults;
pub(crate) mod live;

pub(crate) use approval::tamper;

use crate::support::{Answer, Caller, Daemon, fault};
use serde_json::{Value, json};
use std::path::Path;

/// Allows the tests to run as root.
pub(crate) const SETTINGS: &str = "host_ops.allow_root = true\ninstructions.sandbox = \"off\"\n";

pub(crate) async fn start(settings: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(&format!("{SETTINGS}{settings}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    (daemon, caller)
}

/// Returns an instruction block of a message.
pub(crate) fn block(content: &str) -> String {
    format!("```baa\n{content}\n```\n")
}

/// Returns an instruction that appends a line to a file each time it runs.
fn leaves_a_line(file: &Path) -> String {
    block(&format!("@conductor::exec::echo x >> {}", file.display()))
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn message(id: &str, text: &str) -> Value {
    json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": id, "text": text})
}

pub(crate) async fn submit(caller: &Caller, id: &str, text: &str) -> Answer {
    caller.post("/v1/instructions/messages", &message(id, text)).await
}

pub(crate) async fn submit_with(caller: &Caller, id: &str, text: &str, field: &str, value: bool) -> Answer {
    let mut body = message(id, text);
    body[field] = value.into();
    caller.post("/v1/instructions/messages", &body).await
}

pub(crate) async fn batch(caller: &Caller, batch_id: &str) -> Value {
    caller.get(&format!("/v1/instructions/{batch_id}")).await.data()
}

pub(crate) fn id_of(answer: &Value) -> String {
    answer["batch_id"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn a_batch_runs_in_order_and_is_a_task_with_runs_and_a_trail() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("made");
    let text = [
        block(&format!("@conductor::files/write::{}", json!({"path": file, "content": "one\n"}))),
        "Then:\n".to_owned(),
        leaves_a_line(&file),
        block("@system::exec::exit 3"),
        block(&format!("@system::files/read::{}", file.display())),
        block("@system::status"),
    ];
    let done = submit(&caller, "m", &text.concat()).await.data();
    assert_eq!(done["status"], "executed");
    let of = |field: &str| -> Vec<Value> {
        done["executions"].as_array().unwrap().iter().map(|one| one.pointer(field).unwrap().clone()).collect()
    };
    assert_eq!(of("/ok"), [true, true, false, true, true]);
    assert_eq!(of("/http_status"), [200; 5]);
    assert_eq!(of("/block_index"), [0, 1, 2, 3, 4]);
    assert_eq!(done["executions"][2]["data"]["result"]["exit_code"], 3);
    assert_eq!(done["executions"][3]["data"]["result"]["content"], "one\nx\n");
    assert_eq!(done["executions"][4]["data"]["mode"], "running");
    assert_eq!(done["blocks"].as_array().unwrap().len(), 5);

    let shown = batch(&caller, &id_of(&done)).await;
    // Only the names of a command's variables are stored.
    let mut kept = done["executions"].clone();
    for env in kept.as_array_mut().unwrap().iter_mut().filter_map(|one| one.pointer_mut("/data/input/env")) {
        env.as_object_mut().unwrap().values_mut().for_each(|value| *value = Value::Null);
    }
    assert_eq!((&shown["status"], &shown["executions"]), (&json!("executed"), &kept));
    assert_eq!(shown["instructions"], done["instructions"]);
    let task_id = shown["task_id"].as_str().unwrap();
    let task = caller.get(&format!("/v1/tasks/{task_id}")).await.data();
    for (field, value) in [
        ("kind", json!("instruction_batch")),
        ("status", json!("failed")),
        ("title", json!("5 instructions for claude")),
        ("run_count", json!(5)),
        ("source", json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": "m"})),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    let runs = caller.get(&format!("/v1/runs?task_id={task_id}")).await.data();
    let statuses: Vec<_> = runs["runs"].as_array().unwrap().iter().rev().map(|run| &run["status"]).collect();
    assert_eq!(statuses, ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]);
    let logs = caller.get(&format!("/v1/tasks/{task_id}/logs")).await.data();
    // queued, running, failed of the task; queued, running and an end of each run
    assert_eq!(logs["count"], 3 + 5 * 3);
}

#[actix_rt::test]
async fn one_bad_block_and_nothing_runs_and_the_reason_is_kept() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("never");
    for (number, (bad, stage, code)) in [
        ("nonsense", "parse", "invalid_header"),
        ("@conductor::reboot", "policy", "unsupported_tool"),
        ("@conductor::exec::[1]", "route", "invalid_params"),
        ("@conductor::exec::{\"command\":\"true\",\"n\":9007199254740993}", "parse", "number_out_of_range"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("{}{}", leaves_a_line(&file), block(bad));
        let refused = submit(&caller, &format!("m{number}"), &text).await;
        assert_eq!(refused.error(), (422, "instruction_rejected".into()), "{bad}");
        let details = &refused.json()["details"];
        assert_eq!(
            (&details["stage"], &details["code"], &details["block_index"]),
            (&stage.into(), &code.into(), &1.into())
        );
        let shown = batch(&caller, &id_of(details)).await;
        assert_eq!((&shown["status"], &shown["rejection"]["code"]), (&json!("rejected"), &code.into()));
        let task = caller.get(&format!("/v1/tasks/{}", shown["task_id"].as_str().unwrap())).await.data();
        assert_eq!((&task["status"], &task["run_count"]), (&json!("rejected"), &json!(0)));
    }
    assert!(!file.exists());
    let good = submit(&caller, "m0", &leaves_a_line(&file)).await.data();
    assert_eq!((&good["status"], lines(&file)), (&json!("executed"), 1), "nothing was remembered as done");
}

#[actix_rt::test]
async fn a_message_is_one_mebibyte_at_most_and_holds_32_blocks() {
    let (_daemon, caller) = start("").await;
    let padded = |bytes: usize| {
        let block = block("@system::status");
        format!("{block}{}", "x".repeat(bytes - block.len()))
    };
    assert_eq!(submit(&caller, "m1", &padded((1 << 20) - 1)).await.data()["status"], "executed");
    assert_eq!(submit(&caller, "m2", &padded(1 << 20)).await.data()["status"], "executed");
    for (id, text) in [("m3", padded((1 << 20) + 1)), ("m4", block("@system::status").repeat(1_000))] {
        let refused = submit(&caller, id, &text).await;
        assert_eq!(refused.error(), (422, "instruction_rejected".into()));
        let details = &refused.json()["details"];
        assert_eq!((&details["stage"], &details["code"]), (&json!("extract"), &json!("too_large")));
    }
}

#[actix_rt::test]
async fn what_was_taken_on_before_does_not_run_again() {
    let (daemon, caller) = start("").await;
    let (one, two) = (daemon.folder().path().join("one"), daemon.folder().path().join("two"));
    let first = submit(&caller, "m", &leaves_a_line(&one)).await.data();
    let again = submit(&caller, "m", &leaves_a_line(&one)).await.data();
    assert_eq!((&again["status"], &again["executions"]), (&json!("duplicate_only"), &json!([])));
    assert_eq!(again["duplicates"][0]["batch_id"], first["batch_id"]);
    assert_eq!(batch(&caller, &id_of(&again)).await["status"], "duplicate_only");
    let grown = submit(&caller, "m", &format!("{}{}", leaves_a_line(&one), leaves_a_line(&two))).await.data();
    assert_eq!((&grown["status"], &grown["executions"][0]["block_index"]), (&json!("executed"), &json!(1)));
    // The same id with another text at the same place is another instruction.
    let other = submit(&caller, "m", &leaves_a_line(&two)).await.data();
    assert_eq!(other["status"], "executed");
    assert_eq!((lines(&one), lines(&two)), (1, 2));
}

#[actix_rt::test]
async fn two_of_the_same_at_once_run_once() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("once");
    let text = leaves_a_line(&file);
    let sent = futures_util::future::join_all((0..8).map(|_| submit(&caller, "m", &text))).await;
    let mut statuses: Vec<_> = sent.iter().map(|answer| answer.data()["status"].as_str().unwrap().to_owned()).collect();
    statuses.sort();
    assert_eq!(statuses.iter().filter(|status| *status == "duplicate_only").count(), 7, "{statuses:?}");
    assert_eq!(lines(&file), 1);
}

#[actix_rt::test]
async fn a_dry_run_keeps_and_runs_nothing() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("dry");
    let text = leaves_a_line(&file);
    let planned = submit_with(&caller, "m", &text, "dry_run", true).await.data();
    assert_eq!((&planned["status"], &planned["batch_id"]), (&json!("planned"), &Value::Null));
    assert_eq!(planned["instructions"][0]["plan"]["operation"], "exec");
    let refused = submit_with(&caller, "m", &block("nonsense"), "dryRun", true).await;
    assert_eq!((refused.error().0, refused.json()["details"].get("batch_id").cloned()), (422, None));
    assert_eq!(caller.get("/v1/instructions").await.data(), json!({"batches": [], "count": 0}));
    assert_eq!(submit(&caller, "m", &text).await.data()["status"], "executed");
    let planned = submit_with(&caller, "m", &text, "dry_run", true).await.data();
    assert_eq!((&planned["status"], planned["duplicates"].as_array().unwrap().len()), (&json!("planned"), 1));
    assert_eq!(lines(&file), 1);
}

#[actix_rt::test]
async fn after_a_failure_the_rest_runs_unless_it_is_to_stop() {
    for (settings, runs) in [("", 1), ("instructions.stop_on_failure = true", 0)] {
        let (daemon, caller) = start(settings).await;
        let file = daemon.folder().path().join("after");
        let text = format!("{}{}", block("@system::exec::false"), leaves_a_line(&file));
        let done = submit(&caller, "m", &text).await.data();
        assert_eq!((&done["status"], lines(&file)), (&json!("executed"), runs), "{settings}");
        let shown = batch(&caller, &id_of(&done)).await;
        let last = if runs == 1 { "succeeded" } else { "cancelled" };
        assert_eq!((&shown["runs"][0]["status"], &shown["runs"][1]["status"]), (&json!("failed"), &json!(last)));
    }
}

#[actix_rt::test]
async fn long_output_is_whole_for_the_caller_and_kept_cut() {
    let (_daemon, caller) = start("instructions.result_max_bytes = 10").await;
    let done = submit(&caller, "m", &block("@system::exec::printf 0123456789abcdef")).await.data();
    assert_eq!(done["executions"][0]["data"]["result"]["stdout"], "0123456789abcdef");
    let shown = batch(&caller, &id_of(&done)).await;
    let result = &shown["executions"][0]["data"]["result"];
    assert_eq!((&result["stdout"], &result["cut"]), (&json!("0123456789"), &json!(["stdout"])));
}

#[actix_rt::test]
async fn what_a_route_refuses_an_instruction_is_refused_too() {
    let (_daemon, caller) = start("host_ops.enabled = false").await;
    let done = submit(&caller, "m", &block("@system::exec::true")).await.data();
    let execution = &done["executions"][0];
    assert_eq!((&done["status"], &execution["ok"]), (&json!("executed"), &json!(false)));
    assert_eq!((&execution["http_status"], &execution["error"]), (&json!(404), &json!("not_found")));
}

#[actix_rt::test]
async fn bad_input_names_its_field() {
    let (_daemon, caller) = start("").await;
    for field in ["platform", "conversation_id", "assistant_message_id", "text"] {
        let mut body = message("m", "x");
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(fault(&caller.post("/v1/instructions/messages", &body).await), field);
        body[field] = json!(7);
        assert_eq!(fault(&caller.post("/v1/instructions/messages", &body).await), field);
    }
    for (field, value) in
        [("dry_run", json!("yes")), ("require_approval", json!(1)), ("platform", json!("x".repeat(513)))]
    {
        let mut body = message("m", "x");
        body[field] = value;
        assert_eq!(fault(&caller.post("/v1/instructions/messages", &body).await), field);
    }
    for (path, field) in
        [("?status=happy", "status"), ("?limit=0", "limit"), ("?limit=101", "limit"), ("?before=x", "before")]
    {
        assert_eq!(fault(&caller.get(&format!("/v1/instructions{path}")).await), field);
    }
    for path in ["/v1/instructions/nope", "/v1/instructions/nope/approve", "/v1/instructions/nope/reject"] {
        let method = if path.ends_with("nope") { "GET" } else { "POST" };
        let missing = caller.send(method, path, None).await;
        assert_eq!(missing.json()["details"]["resource"], "instruction_batch", "{path}");
    }
}

#[actix_rt::test]
async fn batches_are_listed_newest_first_by_status_and_platform_in_pages() {
    let (_daemon, caller) = start("").await;
    let mut ids = Vec::new();
    for (id, text) in [("m1", block("@system::status")), ("m2", "nothing".into()), ("m3", block("@system::status"))] {
        ids.push(id_of(&submit(&caller, id, &text).await.data()));
    }
    let listed = async |query: &str| -> (Vec<String>, Value) {
        let page = caller.get(&format!("/v1/instructions{query}")).await.data();
        (page["batches"].as_array().unwrap().iter().map(id_of).collect(), page["next_before"].clone())
    };
    let [first, second, third] = &ids[..] else { panic!("three") };
    assert_eq!(listed("").await, (vec![third.clone(), second.clone(), first.clone()], Value::Null));
    assert_eq!(listed("?status=no_instructions").await.0, std::slice::from_ref(second));
    assert!(listed("?platform=gemini").await.0.is_empty());
    let (page, next) = listed("?limit=2").await;
    assert_eq!(page, [third.clone(), second.clone()]);
    assert_eq!(listed(&format!("?limit=2&before={next}")).await, (vec![first.clone()], Value::Null));
}

#[actix_rt::test]
async fn commands_and_files_by_hand_are_in_the_same_trail() {
    let (daemon, caller) = start("instructions.result_max_bytes = 4").await;
    let file = daemon.folder().path().join("by-hand");
    let (file, outside) = (file.to_str().unwrap(), daemon.folder().state().join("token"));
    for (path, body, tool, status) in [
        ("/v1/exec", json!({"command": "printf 123456"}), "exec", "succeeded"),
        ("/v1/exec", json!({"command": "false"}), "exec", "failed"),
        ("/v1/files/write", json!({"path": file, "content": "secret"}), "files/write", "succeeded"),
        ("/v1/files/read", json!({"path": file}), "files/read", "succeeded"),
        ("/v1/files/read", json!({"path": outside}), "files/read", "failed"),
    ] {
        caller.post(path, &body).await.data();
        let task = caller.get("/v1/tasks?limit=1").await.data()["tasks"][0].clone();
        let expected = (&json!("host_operation"), &json!(status), &json!(tool), &json!({"caller": "bearer"}));
        assert_eq!((&task["kind"], &task["status"], &task["title"], &task["source"]), expected);
        let logs = caller.get(&format!("/v1/tasks/{}/logs", task["task_id"].as_str().unwrap())).await;
        assert!(!String::from_utf8_lossy(&logs.body).contains("secret"), "content is in no line");
    }
    let runs = caller.get("/v1/runs").await.data();
    let stdout = runs["runs"].as_array().unwrap().last().unwrap()["result"]["result"]["stdout"].clone();
    assert_eq!(stdout, "1234", "kept cut");
    let none = daemon.caller().get("/v1/runs").await.data();
    assert_eq!(none["runs"][0].get("result"), None, "for the bearer alone");
}
