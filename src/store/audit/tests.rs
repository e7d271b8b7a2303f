//! The chain under random histories of everything that writes it, and under every single forgery.

use super::*;
use crate::store::{
    batches::{self, Approval, ApprovalDecision, BatchMessage, BatchOrigin, BatchStatus, BatchWork, NewBatch},
    memory, tasks,
};
use proptest::{prelude::*, sample::Index, test_runner::Config};

/// Something that is written, or goes.
#[derive(Clone, Debug)]
enum Step {
    Batch(BatchStatus, usize),
    Operation,
    Begin(Index),
    EndRun(Index, bool),
    Finish(Index),
    Decide(Index, bool),
    Deliver(Index),
    ExpireApprovals,
    Interrupt,
    /// Lines up to so many milliseconds before now leave, so many at once.
    Retain(i64, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let statuses = [
        BatchStatus::PendingApproval,
        BatchStatus::Queued,
        BatchStatus::Running,
        BatchStatus::Rejected,
        BatchStatus::DuplicateOnly,
    ];
    let index = || any::<Index>();
    let step = prop_oneof![
        3 => (prop::sample::select(statuses.to_vec()), 0_usize..4).prop_map(|(status, runs)| Step::Batch(status, runs)),
        1 => Just(Step::Operation),
        2 => index().prop_map(Step::Begin),
        4 => (index(), any::<bool>()).prop_map(|(run, ok)| Step::EndRun(run, ok)),
        2 => index().prop_map(Step::Finish),
        2 => (index(), any::<bool>()).prop_map(|(batch, yes)| Step::Decide(batch, yes)),
        1 => index().prop_map(Step::Deliver),
        1 => Just(Step::ExpireApprovals),
        1 => Just(Step::Interrupt),
        1 => (0_i64..60, 1_i64..20).prop_map(|(age, rows)| Step::Retain(age, rows)),
    ];
    prop::collection::vec(step, 0..40)
}

#[derive(Default)]
struct World {
    batches: Vec<String>,
    runs: Vec<String>,
    now: WallMs,
}

impl World {
    fn play(&mut self, conn: &mut SqliteConnection, step: &Step) {
        self.now += 1;
        let now = self.now;
        match step {
            Step::Batch(status, runs) => {
                let new = NewBatch {
                    batch_id: batches::new_id(),
                    status: *status,
                    origin: BatchOrigin::Live,
                    message: BatchMessage {
                        platform: "claude".into(),
                        assistant_message_id: "m".into(),
                        ..Default::default()
                    },
                    reason: Some("some reason".into()),
                    expires_at: Some(now + 20),
                    digest: Some("d".into()),
                    plan: "{}".into(),
                    rejection: None,
                    work: Some(BatchWork { title: "title".into(), tools: vec!["exec".into(); *runs] }),
                };
                self.runs.extend(batches::create(conn, &new, now).unwrap().run_ids);
                self.batches.push(new.batch_id);
            }
            Step::Operation => {
                let source = tasks::TaskSource { caller: Some("bearer".into()), ..tasks::TaskSource::default() };
                let new = tasks::NewTask {
                    kind: tasks::TaskKind::HostOperation,
                    status: tasks::TaskStatus::Running,
                    title: "exec".into(),
                    source,
                    tools: vec!["exec".into()],
                };
                self.runs.extend(tasks::create(conn, &new, "", now).unwrap().run_ids);
            }
            Step::Begin(at) => on(&self.batches, at, |batch| drop(batches::begin(conn, batch, now))),
            Step::EndRun(at, ok) => on(&self.runs, at, |run| {
                let to = if *ok { tasks::TaskStatus::Succeeded } else { tasks::TaskStatus::Failed };
                tasks::change_run(conn, run, tasks::TaskStatus::Running, "", now).unwrap();
                tasks::end_run(conn, run, to, "{}", now).unwrap();
            }),
            Step::Finish(at) => on(&self.batches, at, |batch| drop(batches::finish(conn, batch, now))),
            Step::Decide(at, yes) => on(&self.batches, at, |batch| {
                let approval = if *yes { Approval::Given { digest: "d" } } else { Approval::Refused };
                batches::decide(conn, batch, &ApprovalDecision { approval, by: "me", reason: None }, now).unwrap();
            }),
            Step::Deliver(at) => on(&self.batches, at, |batch| {
                batches::deliver(conn, batch, batches::DeliveryStatus::Delivered, "", now).unwrap();
            }),
            Step::ExpireApprovals => drop(batches::expire_approvals(conn, now, 2).unwrap()),
            Step::Interrupt => drop(batches::interrupt(conn, now).unwrap()),
            Step::Retain(age, rows) => drop(expire(conn, now - age, now, *rows).unwrap()),
        }
    }
}

fn on(names: &[String], at: &Index, then: impl FnOnce(&str)) {
    if !names.is_empty() {
        then(&names[at.index(names.len())]);
    }
}

fn lines(conn: &mut SqliteConnection) -> Vec<LogRow> {
    logs::table.order(logs::id).load(conn).unwrap()
}

/// The first break of the lines that follow those that were taken.
fn broken(taken: &ChainVerifier, rows: &[LogRow]) -> Option<ChainBreak> {
    let mut verifier = taken.clone();
    rows.iter().find_map(|row| verifier.take(row).err()).or_else(|| verifier.finish().err())
}

/// A line with one field changed; the field by its place.
fn changed(row: &LogRow, field: usize) -> LogRow {
    let mut row = row.clone();
    match field {
        0 => row.id += 1,
        1 => row.log_id.push('x'),
        2 => row.task_id.push('x'),
        3 => row.run_id = row.run_id.is_none().then(|| "run_x".into()),
        4 => row.at += 1,
        5 => row.level = "debug".into(),
        6 => row.event.push('x'),
        7 => row.message.push('x'),
        8 => row.hash = format!("{:0>64}", "1"),
        _ => row.previous_hash = row.previous_hash.is_none().then(|| "x".into()),
    }
    row
}

const FIELDS: usize = 10;

fn cases() -> Config {
    let cases = if std::env::var_os("BAA_SLOW").is_some() { 2_000 } else { 128 };
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_history_leaves_a_whole_chain_and_every_single_forgery_is_found(
        steps in steps(),
        fields in any::<Index>(),
        far in any::<Index>(),
    ) {
        let conn = &mut memory();
        let mut world = World::default();
        for step in &steps {
            world.play(conn, step);
            let verdict = verify(conn).unwrap();
            prop_assert_eq!(&verdict.broken, &None, "after {:?}", step);
        }
        let rows = lines(conn);
        let mut verifier = ChainVerifier::new(ends(conn).unwrap());
        let field = fields.index(FIELDS);
        for (at, row) in rows.iter().enumerate() {
            let (rest, behind) = (&rows[at..], &rows[at + 1..]);
            prop_assert!(broken(&verifier, behind).is_some(), "line {} was taken away", row.id);

            let mut forged = changed(row, field);
            let found = broken(&verifier, &[&[forged.clone()], behind].concat());
            prop_assert_eq!(found.map(|found| found.line), Some(forged.id), "field {}", field);
            for twice in [&forged, row] {
                let more = [std::slice::from_ref(twice), rest].concat();
                prop_assert!(broken(&verifier, &more).is_some(), "line {} was put in", row.id);
            }
            // With a hash that fits it the next line, or the end, does not.
            forged.hash = hash(&forged);
            let found = broken(&verifier, &[&[forged.clone()], behind].concat());
            prop_assert!(found.is_some() || forged == *row, "field {} with its hash", field);

            // Its neighbour, and some other line.
            for other in [1, far.index(rest.len())] {
                if other == 0 || other >= rest.len() {
                    continue;
                }
                let mut swapped = rest.to_vec();
                swapped.swap(0, other);
                prop_assert!(broken(&verifier, &swapped).is_some(), "line {} went {} down", row.id, other);
                (swapped[0].id, swapped[other].id) = (rest[0].id, rest[other].id);
                prop_assert!(broken(&verifier, &swapped).is_some(), "line {} was renumbered", row.id);
            }
            verifier.take(row).unwrap();
        }
        prop_assert_eq!(verifier.finish(), Ok(()));
        let id = verifier.last().map_or(1, |last| last.number + 1);
        let mut forged = LogRow {
            id,
            log_id: log_id(id),
            task_id: "t".into(),
            run_id: None,
            at: 1,
            level: "info".into(),
            event: "queued".into(),
            message: String::new(),
            hash: String::new(),
            previous_hash: verifier.last().map(|last| last.hash.clone()),
        };
        forged.hash = hash(&forged);
        prop_assert!(broken(&verifier, &[forged]).is_some(), "a line was put behind the last");
    }
}

fn entry(at: WallMs, message: &str) -> AuditEntry<'_> {
    AuditEntry { task_id: "task_1", run_id: None, at, level: AuditLevel::Info, event: "queued", message }
}

fn chain_of(times: &[WallMs]) -> SqliteConnection {
    let mut conn = memory();
    for at in times {
        append(&mut conn, &entry(*at, "it waits")).unwrap();
    }
    conn
}

#[test]
fn lines_are_numbered_named_and_linked() {
    let conn = &mut chain_of(&[5, 6]);
    let rows = lines(conn);
    assert_eq!((rows[0].id, &*rows[0].log_id, &rows[0].previous_hash), (1, "log_0000000000000001", &None));
    assert_eq!((rows[1].id, rows[1].previous_hash.as_ref()), (2, Some(&rows[0].hash)));
    let head = Some(ChainLink { number: 2, hash: rows[1].hash.clone() });
    assert_eq!(verify(conn), Ok(AuditVerdict { lines: 2, anchor: None, head, broken: None }));
    assert_eq!(verify(&mut memory()).unwrap().lines, 0);
}

#[test]
fn a_message_is_cut_where_a_character_begins() {
    let conn = &mut memory();
    let long = "ü".repeat(MESSAGE_BYTES_MAX);
    let row = append(conn, &entry(1, &format!("x{long}"))).unwrap();
    assert_eq!((row.message.len(), row.message.chars().last()), (MESSAGE_BYTES_MAX - 1, Some('ü')));
    assert_eq!(verify(conn).unwrap().broken, None);
}

#[test]
fn a_break_says_its_line_and_what_was_expected() {
    for (forgery, line, part) in [
        ("UPDATE task_logs SET message = 'nothing' WHERE id = 2", 2, "its fields have the hash"),
        ("UPDATE task_logs SET previous_hash = NULL WHERE id = 2", 2, "but is absent"),
        ("UPDATE task_logs SET log_id = 'l' WHERE id = 2", 2, "called log_0000000000000002, but is called \"l\""),
        ("DELETE FROM task_logs WHERE id = 1", 2, "line 1 should stand there, but line 2 does"),
        ("DELETE FROM task_logs WHERE id = 3", 3, "should end with line 3"),
        ("DELETE FROM task_logs", 1, "but ends with nothing"),
        ("UPDATE audit_chain SET head_hash = 'x'", 3, "should end with line 3 (\"x\")"),
        ("UPDATE audit_chain SET head_number = 2", 3, "should end with line 2"),
        ("UPDATE audit_chain SET anchor_number = 1, anchor_hash = 'x'", 1, "line 2 should stand there"),
        ("DELETE FROM audit_chain", 0, "begins and ends is gone"),
    ] {
        let conn = &mut chain_of(&[1, 2, 3]);
        diesel::sql_query(forgery).execute(conn).unwrap();
        let found = verify(conn).unwrap().broken.unwrap();
        assert_eq!(found.line, line, "{forgery}: {found}");
        assert!(found.to_string().contains(part), "{forgery}: {found}");
    }
}

#[test]
fn nothing_is_written_where_nothing_says_how_the_trail_ends() {
    let conn = &mut chain_of(&[1]);
    diesel::delete(chain::table).execute(conn).unwrap();
    assert_eq!(append(conn, &entry(2, "")), Err(StoreError::NotFound));
}

#[test]
fn old_lines_leave_from_the_front_and_the_chain_goes_on() {
    let conn = &mut chain_of(&[10, 20, 90, 30, 40]);
    let last = lines(conn)[3].clone();
    assert_eq!(expire(conn, 35, 50, 3).unwrap().deleted, 2, "a line of the future leaves with an older one behind it");
    assert_eq!(expire(conn, 35, 50, 3).unwrap().deleted, 2);
    assert_eq!(expire(conn, 35, 50, 3).unwrap(), Default::default());
    let verdict = verify(conn).unwrap();
    assert_eq!((verdict.lines, verdict.broken), (1, None));
    assert_eq!(verdict.anchor, Some(ChainLink { number: 4, hash: last.hash }));
    assert_eq!(expire(conn, 45, 50, 3).unwrap().deleted, 1, "all may leave");
    let row = append(conn, &entry(60, "")).unwrap();
    assert_eq!((row.id, verify(conn).unwrap().broken), (6, None));
}

#[test]
fn what_shows_a_break_is_not_let_go() {
    let conn = &mut chain_of(&[1, 2, 3, 4]);
    diesel::sql_query("UPDATE task_logs SET message = 'nothing' WHERE id = 3").execute(conn).unwrap();
    assert_eq!(expire(conn, 9, 9, 9).unwrap().deleted, 2);
    let refused = expire(conn, 9, 9, 9).unwrap_err().to_string();
    assert!(refused.contains("the audit trail breaks at line 3"), "{refused}");
    assert_eq!(lines(conn).len(), 2);
    assert_eq!(verify(conn).unwrap().broken.map(|broken| broken.line), Some(3));
}

#[test]
fn a_chain_of_many_pages_is_read_on() {
    let conn = &mut memory();
    let many = 2_500;
    conn.immediate_transaction(|conn| {
        (0..many).for_each(|at| drop(append(conn, &entry(at, "")).unwrap()));
        diesel::QueryResult::Ok(())
    })
    .unwrap();
    assert_eq!(verify(conn).unwrap().lines, 2_500);
    diesel::sql_query("DELETE FROM task_logs WHERE id = 2001").execute(conn).unwrap();
    assert_eq!(verify(conn).unwrap().broken.map(|broken| broken.line), Some(2_002));
}
