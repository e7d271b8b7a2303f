//! Approval: of exactly what was shown, in time, once.

use super::{SETTINGS, batch, block, id_of, leaves_a_line, lines, start, submit, submit_with};
use crate::support::{Caller, Daemon, until};
use baa_conductor::store::{Store, StoreSettings};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

async fn pending(caller: &Caller, id: &str, text: &str) -> String {
    let waits = submit_with(caller, id, text, "require_approval", true).await.data();
    assert_eq!((&waits["status"], &waits["executions"]), (&json!("pending_approval"), &json!([])));
    id_of(&waits)
}

async fn settles(caller: &Caller, batch_id: &str, status: &str) -> Value {
    until(status, async || {
        let shown = batch(caller, batch_id).await;
        (shown["status"] == status).then_some(shown)
    })
    .await
}

fn word(batch_id: &str, verb: &str) -> String {
    format!("/v1/instructions/{batch_id}/{verb}")
}

#[actix_rt::test]
async fn an_approval_holds_for_what_was_shown_and_once() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("approved");
    let id = pending(&caller, "m", &leaves_a_line(&file)).await;
    let shown = batch(&caller, &id).await;
    let command = &shown["instructions"][0]["plan"]["input"]["command"];
    assert_eq!(command, &json!(format!("echo x >> {}", file.display())), "exactly what would run");
    let other = caller.post(&word(&id, "approve"), &json!({"digest": "sha256:other"})).await;
    assert_eq!(other.error(), (409, "approval_stale".into()));
    assert_eq!(batch(&caller, &id).await["status"], "pending_approval", "it still waits");
    let body = json!({"digest": shown["digest"], "reason": "as discussed"});
    assert_eq!(caller.post(&word(&id, "approve"), &body).await.data()["status"], "queued");
    let done = settles(&caller, &id, "executed").await;
    assert_eq!((&done["decided_by"], &done["reason"]), (&json!("bearer"), &json!("as discussed")));
    for verb in ["approve", "reject"] {
        let late = caller.post(&word(&id, verb), &json!({})).await;
        assert_eq!(
            (late.error(), &late.json()["details"]["status"]),
            ((409, "approval_stale".into()), &json!("executed"))
        );
    }
    assert_eq!(lines(&file), 1);
}

#[actix_rt::test]
async fn what_is_rejected_or_expires_keeps_its_keys_and_never_runs() {
    let (daemon, caller) = start("instructions.approval_ttl_ms = 300").await;
    let file = daemon.folder().path().join("never");
    let rejected = pending(&caller, "m1", &leaves_a_line(&file)).await;
    let long = json!({"reason": "x".repeat(501)});
    assert_eq!(crate::support::fault(&caller.post(&word(&rejected, "reject"), &long).await), "reason");
    assert_eq!(caller.post(&word(&rejected, "reject"), &json!({"reason": "no"})).await.data()["status"], "rejected");
    let expired = pending(&caller, "m2", &leaves_a_line(&file)).await;
    let shown = settles(&caller, &expired, "expired").await;
    assert_eq!(shown["runs"][0]["status"], "expired");
    for (id, batch_id) in [("m1", &rejected), ("m2", &expired)] {
        let again = submit(&caller, id, &leaves_a_line(&file)).await.data();
        assert_eq!(
            (&again["status"], &again["duplicates"][0]["batch_id"]),
            (&json!("duplicate_only"), &json!(batch_id))
        );
        let late = caller.post(&word(batch_id, "approve"), &json!({})).await;
        assert_eq!(late.error(), (409, "approval_stale".into()));
    }
    assert!(!file.exists());
}

#[actix_rt::test]
async fn what_waits_outlives_the_daemon_and_expires_in_the_next_one() {
    let (mut daemon, caller) = start("").await;
    let file = daemon.folder().path().join("restart");
    let id = pending(&caller, "m1", &leaves_a_line(&file)).await;
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    caller.post(&word(&id, "approve"), &json!({})).await.data();
    settles(&caller, &id, "executed").await;
    assert_eq!(lines(&file), 1);

    let folder = daemon.kill().await;
    let short = format!("{SETTINGS}instructions.approval_ttl_ms = 1000");
    let daemon = Daemon::start_in(folder, &short).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let id = pending(&caller, "m2", &leaves_a_line(&file)).await;
    let folder = daemon.kill().await;
    let daemon = Daemon::start_in(folder, &short).await;
    let caller = daemon.caller().bearer(&daemon.token());
    settles(&caller, &id, "expired").await;
}

/// Writes to the daemon's database as another process would.
pub(crate) async fn tamper(daemon: &Daemon, sql: &'static str) {
    let store = Store::open(&daemon.folder().state().join("conductor.db"), &StoreSettings::default()).unwrap();
    store.transact(move |conn| Ok(conn.batch_execute(sql)?)).await.unwrap();
    store.close().await.unwrap_or_default();
}

#[actix_rt::test]
async fn a_tampered_plan_is_not_approved_and_does_not_run() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().path().join("changed");
    let id = pending(&caller, "m1", &leaves_a_line(&file)).await;
    tamper(&daemon, "UPDATE instruction_batches SET plan = replace(plan, 'echo x', 'echo y; echo z')").await;
    assert_eq!(caller.post(&word(&id, "approve"), &json!({})).await.error(), (409, "approval_stale".into()));

    // Changed between approval and execution: a pause holds only live batches back, so this one is made live.
    caller.post("/v1/system/pause", &json!({})).await.data();
    let id = pending(&caller, "m2", &leaves_a_line(&file)).await;
    tamper(&daemon, "UPDATE instruction_batches SET origin = 'live' WHERE assistant_message_id = 'm2'").await;
    caller.post(&word(&id, "approve"), &json!({})).await.data();
    tamper(
        &daemon,
        "UPDATE instruction_batches SET plan = replace(plan, 'echo x', 'echo y') WHERE assistant_message_id = 'm2'",
    )
    .await;
    caller.post("/v1/system/resume", &json!({})).await.data();
    let ended = settles(&caller, &id, "interrupted").await;
    assert_eq!((&ended["executions"], file.exists()), (&json!([]), false));
}

#[actix_rt::test]
async fn reading_needs_no_approval_even_where_it_is_required() {
    let (_daemon, caller) = start("").await;
    let done = submit_with(&caller, "m", &block("@system::status"), "requireApproval", true).await.data();
    assert_eq!(done["status"], "executed");
}
