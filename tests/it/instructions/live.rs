//! Messages that a client observed: which are accepted, what runs at once, and the effects of a mode and of a flood.

use super::{SETTINGS, batch, block, leaves_a_line, lines};
use crate::support::{Caller, Daemon, automatic, handled, until};
use baa_conductor::simulator::Firefox;
use serde_json::{Value, json};

pub(super) async fn start(settings: &str) -> (Daemon, Caller, Firefox) {
    let live = "instructions.live = true\ninstructions.allow = [{ platform = \"claude\" }]\n";
    start_with(&format!("{live}{settings}")).await
}

async fn start_with(settings: &str) -> (Daemon, Caller, Firefox) {
    let daemon = Daemon::start(&format!("{SETTINGS}{settings}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = automatic(&daemon, "ff").await;
    (daemon, caller, firefox)
}

pub(crate) async fn say(firefox: &Firefox, id: &str, text: &str) {
    let told = json!({"type": "browser.final_message", "platform": "claude", "conversation_id": "conv-1",
        "assistant_message_id": id, "raw_text": text});
    firefox.send_json(&told).await.unwrap();
}

/// Returns the stored messages with that id, newest first.
async fn messages(caller: &Caller, id: &str) -> Vec<Value> {
    let list = caller.get("/v1/browser/messages?limit=100").await.data();
    list["messages"].as_array().unwrap().iter().filter(|one| one["assistant_message_id"] == id).cloned().collect()
}

/// Waits until a message has this status and returns its batch.
pub(crate) async fn becomes(caller: &Caller, id: &str, status: &str) -> Value {
    let batch_id = until(status, async || {
        let message = messages(caller, id).await.into_iter().next()?;
        (message["batch_status"] == status).then(|| message["batch_id"].as_str().unwrap().to_owned())
    })
    .await;
    batch(caller, &batch_id).await
}

#[actix_rt::test]
async fn while_live_is_off_messages_are_stored_and_nothing_else() {
    let (daemon, caller, firefox) = start_with("instructions.auto_approve = [\"read\", \"exec\"]").await;
    let file = daemon.folder().path().join("never");
    say(&firefox, "m", &leaves_a_line(&file)).await;
    handled(&firefox).await;
    let stored = messages(&caller, "m").await.remove(0);
    assert_eq!((stored.get("batch_id"), stored.get("batch_status")), (None, None));
    assert_eq!(caller.get("/v1/instructions").await.data()["count"], 0);
    assert!(!file.exists());
}

#[actix_rt::test]
async fn a_message_without_a_rule_is_not_allowed_and_not_even_read() {
    let settings =
        "instructions.live = true\ninstructions.allow = [{ platform = \"claude\", conversation_id = \"x*\" }]";
    let (_daemon, caller, firefox) = start_with(settings).await;
    say(&firefox, "m", &block("nonsense")).await;
    let batch = becomes(&caller, "m", "not_allowed").await;
    assert_eq!((&batch["instructions"], batch.get("task_id")), (&json!([]), None));
    say(&firefox, "m", &block("nonsense")).await;
    say(&firefox, "n", "other").await;
    becomes(&caller, "n", "not_allowed").await;
    assert_eq!(caller.get("/v1/instructions").await.data()["count"], 2, "told again is noted once");
}

#[actix_rt::test]
async fn reading_runs_at_once_and_a_command_waits_for_a_person() {
    let (daemon, caller, firefox) = start("").await;
    let file = daemon.folder().path().join("waits");
    say(&firefox, "m1", &block("@system::status")).await;
    let done = becomes(&caller, "m1", "executed").await;
    assert_eq!((&done["executions"][0]["ok"], &done["client_id"]), (&json!(true), &json!("ff")));
    say(&firefox, "m2", &format!("{}{}", block("@system::status"), leaves_a_line(&file))).await;
    let waits = becomes(&caller, "m2", "pending_approval").await;
    assert_eq!((&waits["executions"], &waits["origin"]), (&json!([]), &json!("live")));
    let approve = format!("/v1/instructions/{}/approve", waits["batch_id"].as_str().unwrap());
    let body = json!({"digest": waits["digest"]});
    assert_eq!(caller.post(&approve, &body).await.data()["status"], "queued");
    let done = becomes(&caller, "m2", "executed").await;
    assert_eq!((done["executions"].as_array().unwrap().len(), lines(&file)), (2, 1));
}

#[actix_rt::test]
async fn a_message_seen_again_runs_nothing_and_an_edited_one_what_is_new() {
    let (daemon, caller, firefox) = start("instructions.auto_approve = [\"exec\"]").await;
    let file = daemon.folder().path().join("seen");
    let text = leaves_a_line(&file);
    say(&firefox, "m", &text).await;
    becomes(&caller, "m", "executed").await;
    // Again, over another connection too.
    say(&firefox, "m", &text).await;
    drop(firefox);
    let firefox = automatic(&daemon, "ff").await;
    say(&firefox, "m", &text).await;
    say(&firefox, "marker", "no instruction").await;
    becomes(&caller, "marker", "no_instructions").await;
    assert_eq!(lines(&file), 1);
    assert_eq!(caller.get("/v1/instructions").await.data()["count"], 2, "a replay leaves no batch");
    say(&firefox, "m", &format!("{text}{}", leaves_a_line(&file))).await;
    until("the edited message", async || (lines(&file) == 2).then_some(())).await;
    let edited = becomes(&caller, "m", "executed").await;
    assert_eq!(edited["duplicates"].as_array().unwrap().len(), 1);
}

#[actix_rt::test]
async fn a_message_of_results_alone_is_no_instruction() {
    let (daemon, caller, firefox) = start("instructions.auto_approve = [\"exec\"]").await;
    let file = daemon.folder().path().join("result");
    say(&firefox, "m", &format!("````baa-result\nid: inst_1\n\n{}````\n", leaves_a_line(&file))).await;
    becomes(&caller, "m", "no_instructions").await;
    assert!(!file.exists());
}

#[actix_rt::test]
async fn a_message_without_a_conversation_is_refused() {
    let (_daemon, caller, firefox) = start("").await;
    let text = block("@system::status");
    let told =
        json!({"type": "browser.final_message", "platform": "claude", "assistant_message_id": "m", "raw_text": text});
    firefox.send_json(&told).await.unwrap();
    let refused = becomes(&caller, "m", "rejected").await;
    assert_eq!(refused["rejection"]["stage"], "normalize");
    assert!(refused["reason"].as_str().unwrap().contains("conversation_id"), "{refused}");
}

#[actix_rt::test]
async fn a_flood_waits_for_a_person_whatever_it_asks_for() {
    let (_daemon, caller, firefox) = start("instructions.max_live_batches_per_minute = 2").await;
    for id in ["m1", "m2", "m3"] {
        say(&firefox, id, &block("@system::status")).await;
    }
    becomes(&caller, "m1", "executed").await;
    becomes(&caller, "m2", "executed").await;
    let third = becomes(&caller, "m3", "pending_approval").await;
    assert!(third["reason"].as_str().unwrap().contains("within a minute"), "{third}");
}

#[actix_rt::test]
async fn what_waits_is_bounded() {
    let (_daemon, caller, firefox) = start("instructions.max_waiting = 1").await;
    say(&firefox, "m1", &block("@system::exec::true")).await;
    becomes(&caller, "m1", "pending_approval").await;
    let refused = super::submit(&caller, "m2", &block("@system::exec::true")).await;
    assert_eq!((refused.error(), refused.header("retry-after")), ((503, "overloaded".into()), Some("1")));
    // Its dedupe keys were not stored.
    let first = caller.get("/v1/instructions?status=pending_approval").await.data()["batches"][0].clone();
    let reject = format!("/v1/instructions/{}/reject", first["batch_id"].as_str().unwrap());
    assert_eq!(caller.post(&reject, &json!({})).await.data()["status"], "rejected");
    assert_eq!(super::submit(&caller, "m2", &block("@system::exec::true")).await.data()["status"], "executed");
}

#[actix_rt::test]
async fn a_paused_system_queues_live_batches_serves_callers_and_resumes_oldest_first() {
    let (daemon, caller, firefox) = start("instructions.auto_approve = [\"exec\"]").await;
    let file = daemon.folder().path().join("order");
    let writes = |what: &str| block(&format!("@system::exec::echo {what} >> {}", file.display()));
    for mode in ["pause", "drain"] {
        caller.post(&format!("/v1/system/{mode}"), &json!({})).await.data();
        for id in ["a", "b"] {
            say(&firefox, &format!("{mode}-{id}"), &writes(id)).await;
        }
        for id in ["a", "b"] {
            becomes(&caller, &format!("{mode}-{id}"), "queued").await;
        }
        assert_eq!(caller.get("/v1/system/state").await.data()["queued_tasks"], 2);
        assert_eq!(super::submit(&caller, mode, &writes("http")).await.data()["status"], "executed");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "http\n");
        caller.post("/v1/system/resume", &json!({})).await.data();
        becomes(&caller, &format!("{mode}-b"), "executed").await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "http\na\nb\n");
        std::fs::remove_file(&file).unwrap();
    }
}

#[actix_rt::test]
async fn what_was_queued_in_a_pause_outlives_the_daemon() {
    let settings = "instructions.auto_approve = [\"exec\"]";
    let (daemon, caller, firefox) = start(settings).await;
    let file = daemon.folder().path().join("later");
    caller.post("/v1/system/pause", &json!({})).await.data();
    say(&firefox, "m", &leaves_a_line(&file)).await;
    becomes(&caller, "m", "queued").await;
    let folder = daemon.kill().await;
    let daemon = Daemon::start_in(folder, &format!("{SETTINGS}{settings}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    assert_eq!(caller.get("/v1/system/state").await.data()["queued_tasks"], 1);
    caller.post("/v1/system/resume", &json!({})).await.data();
    becomes(&caller, "m", "executed").await;
    assert_eq!(lines(&file), 1);
}

#[actix_rt::test]
async fn each_change_of_a_batch_is_an_event_without_its_text() {
    let (_daemon, caller, firefox) = start("").await;
    let mut events = caller.follow().await;
    say(&firefox, "m", &block("@system::status")).await;
    let mut statuses = Vec::new();
    while statuses.last().is_none_or(|last| last != "executed") {
        let event = events.event().await;
        if event.event != "instruction" {
            continue;
        }
        assert!(!event.data.to_string().contains("@system"), "{event:?}");
        statuses.push(event.data["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(statuses, ["queued", "running", "executed"]);
}

#[actix_rt::test]
async fn live_commands_run_in_the_sandbox_of_the_settings() {
    let settings = "instructions.sandbox = \"landlock\"\ninstructions.auto_approve = [\"exec\", \"file_read\"]";
    let settings = format!(
        "host_ops.allow_root = true\ninstructions.live = true\ninstructions.allow = [{{ platform = \"claude\" }}]\n{settings}"
    );
    let daemon = Daemon::start(&settings).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = automatic(&daemon, "ff").await;
    let file = daemon.folder().path().join("beside");
    say(&firefox, "m", &leaves_a_line(&file)).await;
    let done = becomes(&caller, "m", "executed").await;
    // Confined, or refused if this system has no such sandbox; never run with less confinement.
    assert_eq!((&done["executions"][0]["ok"], file.exists()), (&json!(false), false), "{done}");
}
