//! Tasks and runs as they are made, changed and let go.

use super::*;
use crate::store::{audit, retention::SweepProgress};
use diesel::RunQueryDsl;
use strum::VariantArray;

fn new(status: TaskStatus, tools: &[&str]) -> NewTask {
    NewTask {
        kind: TaskKind::HostOperation,
        status,
        title: "a command".into(),
        source: TaskSource { caller: Some("bearer".into()), ..TaskSource::default() },
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
    }
}

fn task_of(conn: &mut SqliteConnection, created: &CreatedTask) -> Task {
    super::super::one(conn, &created.task_id).unwrap().unwrap()
}

fn runs_of(conn: &mut SqliteConnection, created: &CreatedTask) -> Vec<RunRow> {
    let filter = runs::RunFilter { task_id: Some(created.task_id.clone()), before: None, limit: 9 };
    runs::list(conn, &filter).unwrap().rows.into_iter().rev().collect()
}

fn lines(conn: &mut SqliteConnection) -> Vec<LogRow> {
    schema::task_logs::table.order(schema::task_logs::id).load(conn).unwrap()
}

#[test]
fn every_edge_of_a_status() {
    use TaskStatus::*;
    let edges = [
        (PendingApproval, &[Queued, Rejected, Expired, Cancelled][..]),
        (Queued, &[Running, Cancelled]),
        (Running, &[Succeeded, Failed, Interrupted, Cancelled]),
    ];
    for &from in TaskStatus::VARIANTS {
        let next = edges.iter().find(|(status, _)| *status == from).map_or(&[][..], |(_, next)| next);
        let found: Vec<_> = TaskStatus::VARIANTS.iter().copied().filter(|to| from.may_become(*to)).collect();
        assert!(found.len() == next.len() && found.iter().all(|to| next.contains(to)), "{from:?}: {found:?}");
        assert_eq!(from.is_final(), next.is_empty(), "{from:?}");
    }
}

#[test]
fn a_task_and_its_runs_are_made_with_a_line_each() {
    let conn = &mut memory();
    let created = create(conn, &new(TaskStatus::Queued, &["exec", "files/read"]), "by hand", 5).unwrap();
    let task = task_of(conn, &created);
    assert_eq!((&*task.status, task.run_count, task.created_at, task.started_at), ("queued", 2, 5, None));
    assert!(task.task_id.starts_with("task_") && task.task_id.len() == 31, "{}", task.task_id);
    let runs = runs_of(conn, &created);
    let told: Vec<_> = runs.iter().map(|run| (&*run.run_id, run.position, &*run.tool, &*run.status)).collect();
    let [one, two] = [&*created.run_ids[0], &*created.run_ids[1]];
    assert_eq!(told, [(one, 0, "exec", "queued"), (two, 1, "files/read", "queued")]);
    let said: Vec<_> = lines(conn).into_iter().map(|row| (row.run_id, row.at, row.message)).collect();
    assert_eq!(
        said,
        [
            (None, 5, "the task waits for its turn: by hand".to_owned()),
            (Some(one.to_owned()), 5, "exec waits for its turn".to_owned()),
            (Some(two.to_owned()), 5, "files/read waits for its turn".to_owned()),
        ]
    );
}

#[test]
fn a_task_that_runs_at_once_has_begun_and_its_runs_have_not() {
    let conn = &mut memory();
    let created = create(conn, &new(TaskStatus::Running, &["exec"]), "", 5).unwrap();
    assert_eq!(task_of(conn, &created).started_at, Some(5));
    assert_eq!((&*runs_of(conn, &created)[0].status, runs_of(conn, &created)[0].started_at), ("queued", None));
}

#[test]
fn a_run_ends_with_its_result_and_the_trail_knows_the_results_digest() {
    let conn = &mut memory();
    let created = create(conn, &new(TaskStatus::Running, &["exec"]), "", 5).unwrap();
    let run_id = &created.run_ids[0];
    change_run(conn, run_id, TaskStatus::Running, "", 6).unwrap();
    assert_eq!(end_run(conn, run_id, TaskStatus::Succeeded, "{\"ok\":true}", 7), Ok(StatusChange::Made));
    assert_eq!(end_run(conn, run_id, TaskStatus::Failed, "{}", 8), Ok(StatusChange::Refused(TaskStatus::Succeeded)));
    let run = runs_of(conn, &created).remove(0);
    let times = (run.started_at, run.finished_at, run.result.as_deref());
    assert_eq!(times, (Some(6), Some(7), Some("{\"ok\":true}")));
    let last = lines(conn).pop().unwrap();
    let digest = "4062edaf750fb8074e7e83e0c9028c94e32468a8b6f1614774328ef045150f93";
    assert_eq!(last.message, format!("exec succeeded: result sha256:{digest}"));
    assert_eq!(finish(conn, &created.task_id, 9), Ok(StatusChange::Made));
    let task = task_of(conn, &created);
    assert_eq!((&*task.status, task.finished_at), ("succeeded", Some(9)));
}

#[test]
fn a_refused_change_leaves_no_trace_and_what_is_not_there_is_not_found() {
    let conn = &mut memory();
    let created = create(conn, &new(TaskStatus::PendingApproval, &["exec"]), "", 5).unwrap();
    let before = (task_of(conn, &created), runs_of(conn, &created), lines(conn));
    assert_eq!(
        change(conn, &created.task_id, TaskStatus::Running, "", 6),
        Ok(StatusChange::Refused(TaskStatus::PendingApproval))
    );
    assert_eq!(finish(conn, &created.task_id, 6), Ok(StatusChange::Refused(TaskStatus::PendingApproval)));
    assert_eq!((task_of(conn, &created), runs_of(conn, &created), lines(conn)), before);
    assert_eq!(change(conn, "nope", TaskStatus::Running, "", 6), Err(StoreError::NotFound));
    assert_eq!(change_run(conn, "nope", TaskStatus::Running, "", 6), Err(StoreError::NotFound));
}

#[test]
fn a_change_that_cannot_be_logged_is_not_made() {
    let conn = &mut memory();
    let created = create(conn, &new(TaskStatus::Queued, &["exec"]), "", 5).unwrap();
    diesel::sql_query("DELETE FROM audit_chain").execute(conn).unwrap();
    assert_eq!(change(conn, &created.task_id, TaskStatus::Running, "", 6), Err(StoreError::NotFound));
    assert_eq!(&*task_of(conn, &created).status, "queued");
    assert!(create(conn, &new(TaskStatus::Queued, &[]), "", 5).is_err());
    assert_eq!(list(conn, &TaskFilter { limit: 9, ..TaskFilter::default() }).unwrap().rows.len(), 1);
}

#[test]
fn ended_tasks_leave_after_their_runs_and_open_ones_stay() {
    let conn = &mut memory();
    for at in 1..=3 {
        let created = create(conn, &new(TaskStatus::Running, &["exec", "exec"]), "", at).unwrap();
        if at < 3 {
            finish(conn, &created.task_id, at).unwrap();
        }
    }
    assert_eq!(
        [SweepProgress::of_delete(conn, EXPIRE_RUNS, 2, 1), SweepProgress::of_delete(conn, EXPIRE_RUNS, 2, 9)]
            .map(|swept| swept.unwrap().deleted),
        [1, 1]
    );
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE_RUNS, 2, 9), Ok(Default::default()));
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 2, 9).unwrap().deleted, 1);
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 99, 9).unwrap().deleted, 1, "what never ended stays");
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 99, 9), Ok(Default::default()));
    let left = runs::list(conn, &runs::RunFilter { limit: 9, ..runs::RunFilter::default() }).unwrap().rows;
    assert_eq!(left.len(), 2, "runs leave with their task at the latest");
    assert_eq!(audit::verify(conn).unwrap().broken, None, "the trail keeps what it said");
}
