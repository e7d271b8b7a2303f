//! Batches with their tasks on a database in memory.

use super::*;
use crate::store::{
    audit, memory,
    query::{BindValue, SqlStatement},
    retention::SweepProgress,
    tasks::{InterruptedWork, StatusChange, logs, runs},
};
use strum::VariantArray;

fn batch(number: i64, status: BatchStatus) -> NewBatch {
    NewBatch {
        batch_id: format!("batch_{number}"),
        status,
        origin: BatchOrigin::Live,
        message: BatchMessage {
            platform: "claude".into(),
            conversation_id: Some("c".into()),
            assistant_message_id: format!("m{number}"),
            client_id: Some("firefox-1".into()),
        },
        reason: Some("exec needs a person".into()),
        expires_at: Some(100),
        digest: Some("sha256:d".into()),
        plan: "{\"instructions\":[]}".into(),
        rejection: None,
        work: Some(BatchWork { title: "two instructions".into(), tools: vec!["exec".into(), "status".into()] }),
    }
}

fn made(conn: &mut SqliteConnection, number: i64, status: BatchStatus) -> CreatedBatch {
    create(conn, &batch(number, status), number).unwrap()
}

/// The status of a batch, its task and its runs.
fn statuses(conn: &mut SqliteConnection, number: i64) -> Vec<String> {
    let row = one(conn, &format!("batch_{number}")).unwrap().unwrap().row;
    let task = tasks::one(conn, row.task_id.as_deref().unwrap()).unwrap().unwrap();
    let filter = runs::RunFilter { task_id: row.task_id, before: None, limit: 9 };
    let runs = runs::list(conn, &filter).unwrap().rows.into_iter().rev().map(|run| run.status);
    [row.status, task.status].into_iter().chain(runs).collect()
}

/// The events of a batch's task, oldest first; of runs with an index.
fn trail(conn: &mut SqliteConnection, created: &CreatedBatch) -> Vec<String> {
    let filter = logs::LogFilter { task_id: created.task_id.clone().unwrap(), limit: 99, ..logs::LogFilter::default() };
    let rows = logs::list(conn, &filter).unwrap().rows.into_iter().rev();
    let told = rows.map(|row| match row.run_id {
        Some(run_id) => {
            let at = created.run_ids.iter().position(|id| *id == run_id).unwrap();
            format!("{at} {}", row.event)
        }
        None => row.event,
    });
    told.collect()
}

fn given(digest: &str) -> ApprovalDecision<'_> {
    ApprovalDecision { approval: Approval::Given { digest }, by: "bearer", reason: Some("fine") }
}

const REFUSED: ApprovalDecision<'_> = ApprovalDecision { approval: Approval::Refused, by: "bearer", reason: None };

#[test]
fn a_status_is_read_as_it_is_written() {
    for &status in BatchStatus::VARIANTS {
        assert_eq!(status.name().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
    assert!("cancelled".parse::<BatchStatus>().is_err());
}

#[test]
fn a_batch_comes_back_as_it_was_written() {
    let conn = &mut memory();
    let new = batch(1, BatchStatus::PendingApproval);
    let created = create(conn, &new, 7).unwrap();
    let found = one(conn, "batch_1").unwrap().unwrap();
    let approval = BatchApproval { expires_at: Some(100), reason: new.reason.clone(), ..BatchApproval::default() };
    let row = BatchSummary {
        id: 1,
        batch_id: "batch_1".into(),
        task_id: created.task_id.clone(),
        status: "pending_approval".into(),
        origin: "live".into(),
        message: new.message.clone(),
        created_at: 7,
        finished_at: None,
        approval,
        delivery: "off".into(),
        digest: new.digest.clone(),
    };
    assert_eq!(found, StoredBatch { row, plan: new.plan, rejection: None });
    let task = tasks::one(conn, &created.task_id.unwrap()).unwrap().unwrap();
    assert_eq!((task.kind.as_str(), task.run_count), ("instruction_batch", 2));
    assert_eq!((task.source.assistant_message_id.as_deref(), task.source.caller), (Some("m1"), None));
    assert_eq!(one(conn, "batch_9"), Ok(None));
}

#[test]
fn an_approval_holds_once_and_only_for_what_was_shown() {
    let conn = &mut memory();
    let created = made(conn, 1, BatchStatus::PendingApproval);
    assert_eq!(decide(conn, "batch_1", &given("sha256:other"), 50), Ok(DecisionOutcome::Differs));
    assert_eq!(statuses(conn, 1), ["pending_approval"; 4]);
    assert_eq!(decide(conn, "batch_1", &given("sha256:d"), 50), Ok(DecisionOutcome::Made));
    assert_eq!(statuses(conn, 1), ["queued"; 4]);
    for again in [given("sha256:d"), REFUSED] {
        assert_eq!(decide(conn, "batch_1", &again, 51), Ok(DecisionOutcome::Stale(BatchStatus::Queued)));
    }
    let row = one(conn, "batch_1").unwrap().unwrap().row;
    let approval = BatchApproval {
        expires_at: Some(100),
        decided_at: Some(50),
        decided_by: Some("bearer".into()),
        reason: Some("fine".into()),
    };
    assert_eq!(row.approval, approval);
    let waits = ["pending_approval", "0 pending_approval", "1 pending_approval"];
    assert_eq!(trail(conn, &created), [&waits[..], &["queued", "0 queued", "1 queued"]].concat());
    let filter = logs::LogFilter { task_id: created.task_id.unwrap(), limit: 9, ..logs::LogFilter::default() };
    let messages: Vec<_> = logs::list(conn, &filter).unwrap().rows.into_iter().rev().map(|row| row.message).collect();
    assert_eq!(messages[0], "the task waits for approval: batch_1, digest sha256:d: exec needs a person");
    assert_eq!(messages[3], "the task waits for its turn: approved by bearer, digest sha256:d: fine");
}

#[test]
fn a_decision_that_comes_too_late_expires_the_batch() {
    let conn = &mut memory();
    made(conn, 1, BatchStatus::PendingApproval);
    assert_eq!(decide(conn, "batch_1", &given("sha256:d"), 100), Ok(DecisionOutcome::Stale(BatchStatus::Expired)));
    assert_eq!(statuses(conn, 1), ["expired"; 4]);
    assert_eq!(decide(conn, "batch_9", &REFUSED, 1), Err(StoreError::NotFound));
}

#[test]
fn what_is_refused_never_runs() {
    let conn = &mut memory();
    made(conn, 1, BatchStatus::PendingApproval);
    assert_eq!(begin(conn, "batch_1", 5), Ok(StatusChange::Refused(tasks::TaskStatus::PendingApproval)));
    assert_eq!(decide(conn, "batch_1", &REFUSED, 50), Ok(DecisionOutcome::Made));
    assert_eq!(statuses(conn, 1), ["rejected"; 4]);
    assert_eq!(begin(conn, "batch_1", 60), Ok(StatusChange::Refused(tasks::TaskStatus::Rejected)));
    assert_eq!(one(conn, "batch_1").unwrap().unwrap().row.finished_at, Some(50));
}

#[test]
fn approvals_expire_the_oldest_first_and_only_when_their_time_is_over() {
    let conn = &mut memory();
    for number in 1..=3 {
        let new = NewBatch { expires_at: Some(100 * number), ..batch(number, BatchStatus::PendingApproval) };
        create(conn, &new, 1).unwrap();
    }
    let new = NewBatch { expires_at: None, ..batch(4, BatchStatus::PendingApproval) };
    create(conn, &new, 1).unwrap();
    assert_eq!(expire_approvals(conn, 99, 9), Ok(vec![]));
    assert_eq!(expire_approvals(conn, 250, 1), Ok(vec!["batch_1".to_owned()]));
    assert_eq!(expire_approvals(conn, 250, 9), Ok(vec!["batch_2".to_owned()]));
    let all = [1, 2, 3, 4].map(|number| statuses(conn, number)[0].clone());
    assert_eq!(all, ["expired", "expired", "pending_approval", "pending_approval"]);
}

#[test]
fn a_batch_runs_from_its_turn_to_its_end() {
    let conn = &mut memory();
    made(conn, 1, BatchStatus::Queued);
    let created = made(conn, 2, BatchStatus::Queued);
    assert_eq!(next_queued(conn, true).unwrap().unwrap().row.batch_id, "batch_1");
    assert_eq!(begin(conn, "batch_1", 10), Ok(StatusChange::Made));
    assert_eq!(next_queued(conn, true).unwrap().unwrap().row.batch_id, "batch_2");
    assert_eq!(begin(conn, "batch_2", 11), Ok(StatusChange::Made));
    assert_eq!(begin(conn, "batch_2", 12), Ok(StatusChange::Refused(tasks::TaskStatus::Running)), "once");
    for (run_id, to) in created.run_ids.iter().zip([tasks::TaskStatus::Failed, tasks::TaskStatus::Succeeded]) {
        assert_eq!(tasks::end_run(conn, run_id, to, "{}", 12), Ok(StatusChange::Refused(tasks::TaskStatus::Queued)));
        assert_eq!(tasks::change_run(conn, run_id, tasks::TaskStatus::Running, "", 12), Ok(StatusChange::Made));
        assert_eq!(
            tasks::change_run(conn, run_id, tasks::TaskStatus::Running, "", 12),
            Ok(StatusChange::Refused(tasks::TaskStatus::Running))
        );
        assert_eq!(tasks::end_run(conn, run_id, to, "{}", 13), Ok(StatusChange::Made));
    }
    assert_eq!(finish(conn, "batch_2", 14), Ok(StatusChange::Made));
    assert_eq!(statuses(conn, 2), ["executed", "failed", "failed", "succeeded"]);
    deliver(conn, "batch_2", DeliveryStatus::Failed, "no client", 15).unwrap();
    assert_eq!(one(conn, "batch_2").unwrap().unwrap().row.delivery, "failed");
    let told = trail(conn, &created);
    let end = ["running", "0 running", "0 failed", "1 running", "1 succeeded", "failed", "delivery"];
    assert_eq!(told, [&["queued", "0 queued", "1 queued"], &end[..]].concat());
    assert_eq!(audit::verify(conn).unwrap().broken, None);
}

#[test]
fn a_batch_with_nothing_to_do_has_a_line_and_no_task() {
    let conn = &mut memory();
    for (number, status) in
        (1..).zip([BatchStatus::DuplicateOnly, BatchStatus::NotAllowed, BatchStatus::NoInstructions])
    {
        assert_eq!(made(conn, number, status), CreatedBatch::default());
    }
    assert_eq!(begin(conn, "batch_1", 9), Err(StoreError::NotFound));
    let filter = logs::LogFilter { task_id: "batch_2".into(), limit: 9, ..logs::LogFilter::default() };
    let rows = logs::list(conn, &filter).unwrap().rows;
    let said = ("not_allowed", "warn", "the batch is not_allowed: exec needs a person");
    assert_eq!((&*rows[0].event, &*rows[0].level, &*rows[0].message), said);
    assert_eq!(
        tasks::list(conn, &tasks::TaskFilter { limit: 9, ..tasks::TaskFilter::default() }).unwrap().rows.len(),
        0
    );
}

#[test]
fn after_a_crash_what_ran_is_interrupted_and_what_waits_still_waits() {
    let conn = &mut memory();
    let ran = made(conn, 1, BatchStatus::Running);
    tasks::change_run(conn, &ran.run_ids[0], tasks::TaskStatus::Running, "", 2).unwrap();
    made(conn, 2, BatchStatus::Queued);
    made(conn, 3, BatchStatus::PendingApproval);
    let found = InterruptedWork {
        task_ids: ran.task_id.into_iter().collect(),
        run_ids: vec![ran.run_ids[0].clone()],
        unstarted: 1,
    };
    assert_eq!(interrupt(conn, 50), Ok(found));
    assert_eq!(statuses(conn, 1), ["interrupted", "interrupted", "interrupted", "cancelled"]);
    assert_eq!(
        (statuses(conn, 2), statuses(conn, 3)),
        (vec!["queued".to_owned(); 4], vec!["pending_approval".to_owned(); 4])
    );
    assert_eq!(one(conn, "batch_1").unwrap().unwrap().row.finished_at, Some(50));
    assert_eq!(interrupt(conn, 51), Ok(InterruptedWork::default()), "once");
    assert_eq!(audit::verify(conn).unwrap().broken, None);
}

#[test]
fn batches_are_listed_newest_first_narrowed_and_page_by_page() {
    let conn = &mut memory();
    for number in 1..=5 {
        let status = if number % 2 == 0 { BatchStatus::Queued } else { BatchStatus::DuplicateOnly };
        let mut new = batch(number, status);
        if number == 5 {
            new.message.platform = "chatgpt".into();
        }
        create(conn, &new, number).unwrap();
    }
    let mut ids = |filter: BatchFilter| {
        let page = list(conn, &filter).unwrap();
        (page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), page.next_before)
    };
    assert_eq!(ids(BatchFilter { limit: 2, ..BatchFilter::default() }), (vec![5, 4], Some(4)));
    assert_eq!(ids(BatchFilter { limit: 3, before: Some(4), ..BatchFilter::default() }), (vec![3, 2, 1], None));
    assert_eq!(ids(BatchFilter { limit: 9, status: Some(BatchStatus::Queued), ..BatchFilter::default() }).0, [4, 2]);
    assert_eq!(ids(BatchFilter { limit: 9, platform: Some("chatgpt".into()), ..BatchFilter::default() }).0, [5]);
}

#[test]
fn a_message_leads_to_its_newest_batch() {
    let conn = &mut memory();
    for number in 1..=2 {
        let mut new = batch(number, BatchStatus::DuplicateOnly);
        new.message.assistant_message_id = "m".into();
        create(conn, &new, number).unwrap();
    }
    let mut nowhere = batch(3, BatchStatus::DuplicateOnly);
    nowhere.message.conversation_id = None;
    create(conn, &nowhere, 3).unwrap();
    let mut of =
        |conversation, message| of_message(conn, "claude", conversation, message).unwrap().map(|row| row.batch_id);
    assert_eq!(of(Some("c"), "m").as_deref(), Some("batch_2"));
    assert_eq!(of(None, "m3").as_deref(), Some("batch_3"));
    assert_eq!((of(None, "m"), of(Some("c"), "m3")), (None, None));
}

#[test]
fn ended_batches_leave_a_few_at_a_time_and_others_stay() {
    let conn = &mut memory();
    for number in 1..=3 {
        made(conn, number, BatchStatus::DuplicateOnly);
    }
    made(conn, 4, BatchStatus::PendingApproval);
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 3, 1).unwrap().deleted, 1);
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 3, 9).unwrap().deleted, 1);
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 3, 9).unwrap(), Default::default());
    let left = list(conn, &BatchFilter { limit: 9, ..BatchFilter::default() }).unwrap().rows;
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [4, 3]);
}

#[test]
fn every_listing_and_every_expiry_has_an_index() {
    let conn = &mut memory();
    for (query, index) in [
        ("SELECT * FROM instruction_batches WHERE status = ? ORDER BY id DESC LIMIT 2", "by_status"),
        ("SELECT * FROM instruction_batches WHERE platform = ? ORDER BY id DESC LIMIT 2", "by_platform"),
        ("SELECT * FROM instruction_batches WHERE assistant_message_id = ? ORDER BY id DESC LIMIT 1", "by_message"),
        ("SELECT * FROM instruction_batches WHERE task_id = ?", "by_task"),
        ("SELECT id FROM instruction_batches WHERE finished_at < ? ORDER BY finished_at LIMIT 9", "by_end"),
        ("SELECT id FROM tasks WHERE finished_at < ? ORDER BY finished_at LIMIT 9", "tasks_by_end"),
    ] {
        let plan = SqlStatement::<()>::new(query, [BindValue::Int(1)]).plan(conn);
        assert!(plan.contains(index) && !plan.contains("B-TREE"), "{query}: {plan}");
    }
    let runs = "SELECT runs.id FROM tasks CROSS JOIN runs ON runs.task_id = tasks.task_id WHERE tasks.finished_at < ?";
    let plan = SqlStatement::<()>::new(runs, [BindValue::Int(1)]).plan(conn);
    assert!(plan.contains("tasks_by_end") && plan.contains("runs_by_task"), "{plan}");
}
