//! Retention on a paused clock, with a virtual wall clock.

use super::*;
use crate::{
    store::{
        batches::NewBatch,
        dedupe_keys,
        logins::tests::{LIMITS, endpoint, seen},
        messages::tests::message,
        policy::{
            self,
            tests::{calm, troubled, window},
        },
        requests::{JournalEntry, tests::row},
    },
    testing::frozen,
};
use diesel::{RunQueryDsl, connection::SimpleConnection, dsl::sql, sql_types::BigInt};
use std::path::Path;

/// The first of January 2030.
const START: WallMs = 1_893_456_000_000;
const HOUR: Duration = Duration::from_secs(60 * 60);

fn settings() -> StoreSettings {
    StoreSettings { retention_batch_rows: 3, ..StoreSettings::default() }
}

/// A store with rows of each table: one for each of `days` before the start.
async fn filled(days: &[i64]) -> Store {
    let store = Store::open(Path::new(":memory:"), &settings()).unwrap();
    let days = days.to_vec();
    let fill = store.transact(move |conn| {
        for (id, day) in (1..).zip(days) {
            let at = START - day * DAY_MS;
            requests::write_all(conn, &[JournalEntry { requested_at: at, finished_at: Some(at), ..row(id) }])?;
            let endpoints = vec![endpoint("/one", at, at), endpoint("/two", at, at)];
            logins::write_all(conn, [&seen(&format!("c{id}"), "", at, endpoints)], &LIMITS)?;
            messages::write_all(conn, [&message(&format!("m{id}"), "text", at)])?;
        }
        Ok(())
    });
    frozen(fill).await.unwrap();
    store
}

/// Starts retention and its timer, at the virtual start.
async fn start(store: &Store) -> Addr<Retention> {
    let retention = Retention::start(store.clone(), &settings(), Clock::starting_at(START));
    tokio::task::yield_now().await;
    retention
}

/// Counts requests, endpoints, logins and messages.
async fn left(store: &Store) -> [i64; 4] {
    let tables = [
        RetentionTable::BrowserRequests,
        RetentionTable::LoginEndpoints,
        RetentionTable::Logins,
        RetentionTable::FinalMessages,
    ];
    let count = store.run(move |conn| {
        let mut counts = [0; 4];
        for (count, table) in counts.iter_mut().zip(tables) {
            *count = sql::<BigInt>(&format!("SELECT count(*) FROM {}", table.name())).get_result(conn)?;
        }
        Ok(counts)
    });
    frozen(count).await.unwrap()
}

/// Moves the clock on, batch by batch: a batch runs on a thread that the paused clock does not see.
async fn pass(store: &Store, time: Duration) {
    tokio::time::advance(time).await;
    settle(store).await;
}

/// Lets a pass that is due go through all its batches.
async fn settle(store: &Store) {
    for _ in 0..60 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // What was sent before is done when this is.
        frozen(store.run(|_| Ok(()))).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(PAUSE).await;
    }
}

#[test]
fn the_cutoff_lies_so_many_days_back_and_never_overflows() {
    assert_eq!(cutoff(START, 30), START - 30 * DAY_MS);
    assert_eq!(cutoff(0, 36_500), -36_500 * DAY_MS);
    assert_eq!(cutoff(0, u64::MAX), -i64::MAX);
    assert_eq!(cutoff(-9, u64::MAX), i64::MIN);
}

#[test]
fn a_pass_goes_through_every_table_and_ends() {
    let mut batch = SweepBatch::first(START, 30);
    let mut tables = vec![batch.table];
    let on = batch.following(SweepProgress { deleted: 2, next: Some(7) }).unwrap();
    assert_eq!((on.table, on.after, on.deleted), (RetentionTable::BrowserRequests, 7, 2));
    while let Some(next) = batch.following(SweepProgress::default()) {
        assert_eq!((next.after, next.deleted, next.cutoff), (0, 0, START - 30 * DAY_MS));
        tables.push(next.table);
        batch = next;
    }
    let first = [
        RetentionTable::BrowserRequests,
        RetentionTable::LoginEndpoints,
        RetentionTable::Logins,
        RetentionTable::FinalMessages,
    ];
    assert_eq!(
        tables,
        [
            &first[..],
            &[
                RetentionTable::InstructionBatches,
                RetentionTable::Runs,
                RetentionTable::Tasks,
                RetentionTable::TaskLogs
            ]
        ]
        .concat()
    );
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_is_too_old_leaves_a_while_after_the_start_and_then_every_interval() {
    let store = filled(&[40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 29, 1]).await;
    let retention = start(&store).await;
    pass(&store, FIRST_DELAY - Duration::from_secs(2)).await;
    assert_eq!(left(&store).await, [12, 24, 12, 12], "the daemon has other things to do first");
    pass(&store, Duration::from_secs(2)).await;
    assert_eq!(left(&store).await, [2, 4, 2, 2]);
    // The next row is too old a day later.
    for _ in 0..22 {
        pass(&store, HOUR).await;
    }
    assert_eq!(left(&store).await, [2, 4, 2, 2]);
    for _ in 0..3 {
        pass(&store, HOUR).await;
    }
    assert_eq!(left(&store).await, [1, 2, 1, 1]);
    assert!(retention.connected());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_the_policy_remembers_never_leaves_by_age() {
    let store = filled(&[40]).await;
    let fill = store.transact(|conn| {
        policy::write_target(conn, &calm("a", 1))?;
        policy::write_target(conn, &troubled("b", 2))?;
        policy::write_window(conn, &window(1, &[1, 2]))
    });
    frozen(fill).await.unwrap();
    start(&store).await;
    pass(&store, FIRST_DELAY).await;
    pass(&store, HOUR).await;
    assert_eq!(left(&store).await, [0; 4], "the passes went through");
    let kept = store.run(|conn| Ok((policy::targets(conn, 9)?, policy::windows(conn)?)));
    let kept = frozen(kept).await.unwrap();
    assert_eq!(kept, (vec![troubled("b", 2), calm("a", 1)], vec![window(1, &[1, 2])]));
}

/// A batch of two runs that came so many days before the start and ended at once, with its key.
fn batch(conn: &mut SqliteConnection, day: i64) -> Result<(), StoreError> {
    let at = START - day * DAY_MS;
    let new = NewBatch {
        batch_id: format!("batch_{day}"),
        status: batches::BatchStatus::Running,
        origin: batches::BatchOrigin::Live,
        message: batches::BatchMessage::default(),
        reason: None,
        expires_at: None,
        digest: None,
        plan: "{}".into(),
        rejection: None,
        work: Some(batches::BatchWork { title: "title".into(), tools: vec!["exec".into(); 2] }),
    };
    dedupe_keys::reserve(conn, &new.batch_id, &[&new.batch_id], at)?;
    batches::create(conn, &new, at)?;
    batches::finish(conn, &new.batch_id, at).map(drop)
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn batches_tasks_and_their_lines_leave_and_keys_never() {
    let store = Store::open(Path::new(":memory:"), &settings()).unwrap();
    let fill = store.transact(|conn| [50, 40, 31, 29, 1].into_iter().try_for_each(|day| batch(conn, day)));
    frozen(fill).await.unwrap();
    start(&store).await;
    pass(&store, FIRST_DELAY).await;
    let look = store.run(|conn| {
        let mut left = [0; 5];
        let tables =
            [RetentionTable::InstructionBatches, RetentionTable::Runs, RetentionTable::Tasks, RetentionTable::TaskLogs]
                .map(RetentionTable::name);
        for (count, table) in left.iter_mut().zip(tables.into_iter().chain(["dedupe_keys"])) {
            *count = sql::<BigInt>(&format!("SELECT count(*) FROM {table}")).get_result(conn)?;
        }
        Ok((left, audit::verify(conn)?))
    });
    let (left, verdict): ([i64; 5], _) = frozen(look).await.unwrap();
    assert_eq!(left, [2, 4, 2, 8, 5]);
    let anchor = verdict.anchor.map(|anchor| anchor.number);
    assert_eq!((verdict.lines, anchor, verdict.broken), (8, Some(12), None));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_pass_that_fails_is_tried_again_at_the_next_interval() {
    let store = filled(&[40]).await;
    let read_only = |on: bool| store.run(move |conn| Ok(conn.batch_execute(&format!("PRAGMA query_only={on}"))?));
    frozen(read_only(true)).await.unwrap();
    let retention = start(&store).await;
    pass(&store, FIRST_DELAY).await;
    assert_eq!((left(&store).await, retention.connected()), ([1, 2, 1, 1], true));
    frozen(read_only(false)).await.unwrap();
    pass(&store, HOUR / 2).await;
    assert_eq!(left(&store).await, [1, 2, 1, 1]);
    pass(&store, HOUR / 2).await;
    assert_eq!(left(&store).await, [0, 0, 0, 0]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn it_ends_with_the_store_also_while_it_rests() {
    let store = filled(&[40]).await;
    let retention = start(&store).await;
    assert!(retention.connected());
    frozen(store.close()).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!retention.connected());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn others_get_the_writer_between_two_batches() {
    let store = filled(&[40; 9]).await;
    start(&store).await;
    tokio::time::advance(FIRST_DELAY).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    // The first batch was sent; the second waits for its pause.
    assert_eq!(left(&store).await[0], 6);
    assert_eq!(left(&store).await[0], 6);
}
