//! Tasks, runs and logs on a database in memory.

mod written;

use super::*;
use crate::store::{memory, schema};
use logs::LogRow;
use runs::RunRow;
use strum::VariantArray;

/// A task that waits.
fn task(id: i64, status: TaskStatus) -> Task {
    Task {
        id,
        task_id: format!("task_{id}"),
        kind: "instruction_batch".into(),
        status: status.name().into(),
        title: "two instructions".into(),
        created_at: 1_000 + id,
        started_at: None,
        finished_at: None,
        source: TaskSource {
            platform: Some("claude".into()),
            conversation_id: Some("c".into()),
            assistant_message_id: Some(format!("m{id}")),
            client_id: None,
            caller: None,
        },
        run_count: 2,
    }
}

fn run(id: i64, task: i64, status: TaskStatus) -> RunRow {
    RunRow {
        id,
        run_id: format!("run_{id}"),
        task_id: format!("task_{task}"),
        position: id % 10,
        status: status.name().into(),
        tool: "exec".into(),
        started_at: Some(2_000),
        finished_at: None,
        result: Some("{\"exit_code\":0}".into()),
    }
}

fn log(id: i64, task: i64, run: Option<i64>) -> LogRow {
    LogRow {
        id,
        log_id: format!("log_{id}"),
        task_id: format!("task_{task}"),
        run_id: run.map(|run| format!("run_{run}")),
        at: 3_000 + id,
        level: "info".into(),
        event: "started".into(),
        message: "it began".into(),
        hash: format!("{id:064x}"),
        previous_hash: (id > 1).then(|| format!("{:064x}", id - 1)),
    }
}

fn filled(rows: &[Task], runs: &[RunRow], logs: &[LogRow]) -> SqliteConnection {
    let mut conn = memory();
    for row in rows {
        let row = (
            (tasks::id.eq(row.id), tasks::task_id.eq(&row.task_id), tasks::kind.eq(&row.kind)),
            (tasks::status.eq(&row.status), tasks::title.eq(&row.title), tasks::run_count.eq(row.run_count)),
            (tasks::created_at.eq(row.created_at), tasks::started_at.eq(row.started_at)),
            (tasks::finished_at.eq(row.finished_at), source_values!(&row.source)),
        );
        diesel::insert_into(schema::tasks::table).values(row).execute(&mut conn).unwrap();
    }
    for row in runs {
        diesel::insert_into(schema::runs::table).values(row.clone()).execute(&mut conn).unwrap();
    }
    for row in logs {
        diesel::insert_into(schema::task_logs::table).values(row.clone()).execute(&mut conn).unwrap();
    }
    conn
}

fn ids(page: &RowPage<Task>) -> (Vec<i64>, Option<i64>) {
    (page.rows.iter().map(|row| row.id).collect(), page.next_before)
}

#[test]
fn a_status_is_read_as_it_is_written() {
    for &status in TaskStatus::VARIANTS {
        assert_eq!(status.name().parse(), Ok(status));
    }
    assert!("happy".parse::<TaskStatus>().is_err());
}

#[test]
fn tasks_come_back_as_they_were_written_newest_first_and_page_by_page() {
    let rows: Vec<_> = (1..=5).map(|id| task(id, TaskStatus::Queued)).collect();
    let conn = &mut filled(&rows, &[], &[]);
    let all = list(conn, &TaskFilter { limit: 5, ..TaskFilter::default() }).unwrap();
    assert_eq!(all, RowPage { rows: rows.iter().rev().cloned().collect(), next_before: None });
    let first = list(conn, &TaskFilter { limit: 2, ..TaskFilter::default() }).unwrap();
    assert_eq!(ids(&first), (vec![5, 4], Some(4)));
    let rest = list(conn, &TaskFilter { limit: 3, before: Some(4), ..TaskFilter::default() }).unwrap();
    assert_eq!(ids(&rest), (vec![3, 2, 1], None));
}

#[test]
fn a_status_narrows_the_list() {
    let rows = [task(1, TaskStatus::Queued), task(2, TaskStatus::Failed), task(3, TaskStatus::Queued)];
    let conn = &mut filled(&rows, &[], &[]);
    let mut of = |status| ids(&list(conn, &TaskFilter { status: Some(status), limit: 9, before: None }).unwrap()).0;
    assert_eq!(of(TaskStatus::Queued), [3, 1]);
    assert_eq!(of(TaskStatus::Failed), [2]);
    assert_eq!(of(TaskStatus::Expired), Vec::<i64>::new());
}

#[test]
fn a_task_is_found_by_its_name() {
    let mut by_caller = task(2, TaskStatus::Succeeded);
    by_caller.source = TaskSource { caller: Some("bearer".into()), ..TaskSource::default() };
    let conn = &mut filled(&[task(1, TaskStatus::Queued), by_caller.clone()], &[], &[]);
    assert_eq!(one(conn, "task_2"), Ok(Some(by_caller)));
    assert_eq!(one(conn, "nope"), Ok(None));
}

#[test]
fn runs_are_those_of_a_task_or_all() {
    let tasks = [task(1, TaskStatus::Running), task(2, TaskStatus::Running)];
    let rows = [run(1, 1, TaskStatus::Succeeded), run(2, 1, TaskStatus::Running), run(3, 2, TaskStatus::Running)];
    let conn = &mut filled(&tasks, &rows, &[]);
    let mut of = |task_id: Option<&str>, limit| {
        let filter = runs::RunFilter { task_id: task_id.map(str::to_owned), before: None, limit };
        runs::list(conn, &filter).unwrap()
    };
    assert_eq!(of(None, 9).rows, [rows[2].clone(), rows[1].clone(), rows[0].clone()]);
    assert_eq!(of(Some("task_1"), 9).rows, [rows[1].clone(), rows[0].clone()]);
    assert_eq!(of(Some("task_1"), 1).next_before, Some(2));
    assert_eq!(of(Some("nope"), 9).rows, Vec::<RunRow>::new());
}

#[test]
fn the_log_is_that_of_a_task_or_of_one_of_its_runs() {
    let rows = [log(1, 1, None), log(2, 1, Some(1)), log(3, 2, Some(9)), log(4, 1, Some(2))];
    let conn = &mut filled(&[task(1, TaskStatus::Running)], &[], &rows);
    let mut of = |run_id: Option<&str>| {
        let run_id = run_id.map(str::to_owned);
        logs::list(conn, &logs::LogFilter { task_id: "task_1".into(), run_id, before: None, limit: 9 }).unwrap().rows
    };
    assert_eq!(of(None), [rows[3].clone(), rows[1].clone(), rows[0].clone()]);
    assert_eq!(of(Some("run_1")), [rows[1].clone()]);
    assert_eq!(of(Some("run_9")), Vec::<LogRow>::new(), "a run of another task");
}

#[test]
fn work_is_what_runs_and_what_waits() {
    let tasks = [
        task(1, TaskStatus::Running),
        task(2, TaskStatus::Queued),
        task(3, TaskStatus::Queued),
        task(4, TaskStatus::Failed),
    ];
    let rows = [run(1, 1, TaskStatus::Succeeded), run(2, 1, TaskStatus::Running)];
    let conn = &mut filled(&tasks, &rows, &[]);
    assert_eq!(work(conn), Ok(WorkCounts { active_runs: 1, queued_tasks: 2 }));
}

#[test]
fn every_listing_has_an_index() {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let conn = &mut memory();
    for (query, index) in [
        ("SELECT * FROM tasks WHERE status = ?1 ORDER BY id DESC LIMIT 2", "tasks_by_status"),
        ("SELECT * FROM runs WHERE task_id = ?1 ORDER BY id DESC LIMIT 2", "runs_by_task"),
        ("SELECT COUNT(*) FROM runs WHERE status = 'running'", "runs_running"),
        ("SELECT * FROM task_logs WHERE task_id = ?1 ORDER BY id DESC LIMIT 2", "task_logs_by_task"),
    ] {
        let plan: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(conn).unwrap();
        let plan: Vec<_> = plan.into_iter().map(|step| step.detail).collect();
        assert!(plan.len() == 1 && plan[0].contains(index), "{query}: {plan:?}");
    }
}
