//! The write-behind on a paused clock, over a store in memory.

use super::*;
use crate::{
    store::{
        logins::{
            self,
            tests::{endpoint, seen, told},
        },
        messages::{self, tests::message},
        requests::{self, RequestFilter, tests::row},
        tests::Folder,
    },
    testing::frozen,
};
use diesel::connection::SimpleConnection;
use std::path::Path;

mod policy;

fn start(settings: StoreSettings) -> (Store, WriteBehind) {
    let store = Store::open(Path::new(":memory:"), &settings).unwrap();
    (store.clone(), WriteBehind::start(store, &settings, &LoginStateSettings::default()))
}

/// What the store holds, newest first.
async fn stored(store: &Store) -> Vec<i64> {
    let all = RequestFilter { limit: 10_000, ..RequestFilter::default() };
    let rows = frozen(store.run(move |conn| requests::tests::list(conn, &all))).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

async fn read_only(store: &Store, on: bool) {
    let pragma = format!("PRAGMA query_only={on}");
    frozen(store.run(move |conn| Ok(conn.batch_execute(&pragma)?))).await.unwrap();
}

/// Lets every actor of this thread handle what it got, then moves the clock and lets them act on it.
async fn pass(ms: u64) {
    for advance in [0, ms, 0] {
        tokio::time::advance(Duration::from_millis(advance)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn rows_are_written_together_after_a_rest() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.request(row(1));
    pass(30).await;
    write_behind.request(row(2));
    assert_eq!(stored(&store).await, Vec::<i64>::new());
    pass(30).await;
    assert_eq!(stored(&store).await, [2, 1]);
    write_behind.request(row(3));
    pass(30).await;
    assert_eq!(stored(&store).await, [2, 1], "it sleeps again and rests anew");
    pass(30).await;
    assert_eq!(stored(&store).await, [3, 2, 1]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_flush_writes_at_once_and_in_order() {
    let (store, write_behind) = start(StoreSettings::default());
    frozen(write_behind.flush()).await.unwrap();
    write_behind.request(JournalEntry { phase: "queued".into(), finished_at: None, ..row(1) });
    write_behind.request(row(2));
    write_behind.request(row(1));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(stored(&store).await, [2, 1]);
    let first = frozen(store.run(|conn| requests::latest(conn, "req_1"))).await.unwrap();
    assert_eq!(first, Some(row(1)), "the later version stands");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn flushes_while_it_writes_wait_for_their_own_rows() {
    let (store, write_behind) = start(StoreSettings::default());
    let both = async {
        (1..=2_500).for_each(|id| write_behind.request(row(id)));
        let first = write_behind.flush();
        let second = async {
            tokio::task::yield_now().await;
            (2_501..=2_600).for_each(|id| write_behind.request(row(id)));
            write_behind.flush().await
        };
        tokio::join!(first, second)
    };
    assert_eq!(frozen(both).await, (Ok(()), Ok(())));
    assert_eq!(stored(&store).await, (1..=2_600).rev().collect::<Vec<_>>());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_burst_beyond_the_bound_loses_the_oldest_rows() {
    let (store, write_behind) = start(StoreSettings { max_pending_rows: 10, ..StoreSettings::default() });
    (1..=25).for_each(|id| write_behind.request(row(id)));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(stored(&store).await, (16..=25).rev().collect::<Vec<_>>());
    assert_eq!(write_behind.lost(), 15);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_cannot_be_written_waits_and_is_written_by_itself_later() {
    let (store, write_behind) = start(StoreSettings::default());
    read_only(&store, true).await;
    write_behind.request(row(1));
    assert_eq!(frozen(write_behind.flush()).await, Err(super::super::Unavailable::ReadOnly.into()));
    assert!(!write_behind.healthy());
    write_behind.request(row(2));
    pass(100).await; // the second attempt
    assert_eq!(stored(&store).await, Vec::<i64>::new());
    read_only(&store, false).await;
    pass(199).await;
    assert_eq!(stored(&store).await, Vec::<i64>::new(), "the pause has grown");
    pass(1).await;
    assert_eq!(stored(&store).await, [2, 1]);
    frozen(write_behind.flush()).await.unwrap();
    assert!(write_behind.healthy() && write_behind.lost() == 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_outage_keeps_no_more_than_the_bound() {
    let (store, write_behind) = start(StoreSettings { max_pending_rows: 5, ..StoreSettings::default() });
    read_only(&store, true).await;
    for ids in [1..=4, 5..=8] {
        ids.for_each(|id| write_behind.request(row(id)));
        assert!(frozen(write_behind.flush()).await.is_err());
    }
    read_only(&store, false).await;
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!((stored(&store).await, write_behind.lost()), (vec![8, 7, 6, 5, 4], 3));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn rows_outlive_the_last_handle() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.request(row(1));
    drop(write_behind);
    pass(50).await;
    assert_eq!(stored(&store).await, [1]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_closed_store_takes_no_rows_and_is_not_healthy() {
    let (store, write_behind) = start(StoreSettings::default());
    frozen(store.close()).await.unwrap();
    write_behind.request(row(1));
    assert_eq!(frozen(write_behind.flush()).await, Err(StoreError::Gone));
    assert!(!write_behind.healthy());
    assert_eq!((write_behind.lost(), frozen(write_behind.flush()).await), (1, Ok(())), "nothing waits any more");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn closing_tries_again_until_the_rows_are_written() {
    let (store, write_behind) = start(StoreSettings::default());
    read_only(&store, true).await;
    write_behind.request(row(1));
    let mut closing = Box::pin(write_behind.close());
    for _ in 0..5 {
        // The clock moves for this alone, so that every pause passes.
        let tried = frozen(timeout(Duration::from_millis(0), &mut closing)).await;
        assert!(tried.is_err(), "{tried:?}");
        pass(150).await;
    }
    read_only(&store, false).await;
    assert_eq!(frozen_until(closing).await, Ok(()));
    assert_eq!((stored(&store).await, write_behind.lost()), (vec![1], 0));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn closing_ends_when_the_store_is_gone() {
    let (store, write_behind) = start(StoreSettings::default());
    frozen(store.close()).await.unwrap();
    write_behind.request(row(1));
    assert_eq!(frozen(write_behind.close()).await, Err(StoreError::Gone));
}

/// Waits for `work`, which waits for the clock and for the store by turns.
async fn frozen_until<F: Future + Unpin>(mut work: F) -> F::Output {
    loop {
        if let Ok(done) = frozen(timeout(Duration::ZERO, &mut work)).await {
            return done;
        }
        pass(50).await;
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_reader_waits_for_a_blocked_writer_a_moment_and_not_at_all_once_it_failed() {
    let (store, write_behind) = start(StoreSettings::default());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocked = actix_rt::spawn({
        let store = store.clone();
        async move { store.run(move |_| Ok(held.recv().is_err())).await }
    });
    write_behind.request(row(1));
    // The clock runs: only the bound can end this.
    write_behind.flush_for_reading().await;
    drop(release);
    assert_eq!(frozen(blocked).await.unwrap(), Ok(true));
    read_only(&store, true).await;
    write_behind.request(row(2));
    assert!(frozen(write_behind.flush()).await.is_err());
    // Ready at once, without a turn of the runtime.
    let mut reading = std::pin::pin!(write_behind.flush_for_reading());
    let ready = std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx).is_ready())).await;
    assert!(ready);
    read_only(&store, false).await;
    frozen(write_behind.flush()).await.unwrap();
    write_behind.request(row(3));
    frozen(write_behind.flush_for_reading()).await;
    assert_eq!(stored(&store).await, [3, 2, 1]);
}

#[actix_rt::test]
async fn what_was_recorded_before_closing_is_there_after_opening_again() {
    let folder = Folder::new();
    let settings = StoreSettings::default();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let write_behind = WriteBehind::start(store.clone(), &settings, &LoginStateSettings::default());
    (1..=1_500).for_each(|id| write_behind.request(row(id)));
    write_behind.close().await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&folder.database(), &settings).unwrap();
    assert_eq!(store.run(requests::last_id).await, Ok(1_500));
}

/// The store's logins of client `a` and the names of its messages, newest first.
async fn kept(store: &Store) -> (Vec<logins::StoredLogin>, Vec<String>) {
    let read = store.read(|conn| {
        let logins = logins::tests::of_clients(conn, &logins::LoginFilter::default(), &["a".into()])?;
        let all = messages::MessageFilter {
            platform: None,
            conversation_id: None,
            before: None,
            limit: 99,
            bytes_max: 1 << 20,
        };
        Ok((logins, messages::list(conn, &all)?.messages))
    });
    let (logins, messages) = frozen(read).await.unwrap();
    (logins, messages.into_iter().map(|message| message.assistant_message_id).collect())
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn rows_of_every_kind_are_written_behind_together() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.message(message("m1", "text", 1));
    write_behind.request(row(1));
    write_behind.login(told("a", "x", 1));
    write_behind.login(seen("a", "x", 2, vec![endpoint("/one", 1, 1)]));
    write_behind.message(message("m2", "text", 2));
    write_behind.message(message("m1", "text", 3));
    frozen(write_behind.flush()).await.unwrap();
    let (logins, messages) = kept(&store).await;
    assert_eq!(messages, ["m2", "m1"]);
    assert_eq!((logins.len(), logins[0].updated_at, logins[0].revision), (1, 2, 1), "both parts in one write");
    assert_eq!((logins[0].last_seen_at, logins[0].endpoints.len()), (Some(0), 1));
    assert_eq!(stored(&store).await, [1]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_client_that_repeats_itself_costs_the_journal_nothing() {
    let (store, write_behind) = start(StoreSettings { max_pending_rows: 4, ..StoreSettings::default() });
    write_behind.request(row(1));
    for told_at in 1..=10_000 {
        write_behind.login(told("a", "x", told_at));
        write_behind.message(message("m", "text", told_at));
    }
    write_behind.request(row(2));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!((stored(&store).await, write_behind.lost()), (vec![2, 1], 0));
    assert_eq!(kept(&store).await.0[0].updated_at, 10_000);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_an_outage_held_back_and_what_came_meanwhile_become_one_row() {
    let (store, write_behind) = start(StoreSettings::default());
    read_only(&store, true).await;
    write_behind.login(told("a", "x", 1));
    assert!(frozen(write_behind.flush()).await.is_err());
    write_behind.login(seen("a", "x", 2, vec![endpoint("/one", 1, 1)]));
    assert!(frozen(write_behind.flush()).await.is_err());
    write_behind.login(seen("a", "x", 3, vec![endpoint("/two", 2, 2)]));
    read_only(&store, false).await;
    frozen(write_behind.flush()).await.unwrap();
    let (logins, _) = kept(&store).await;
    assert_eq!((logins[0].updated_at, logins[0].revision, write_behind.lost()), (3, 1, 0));
    assert_eq!(logins[0].credential_fingerprint.as_deref(), Some("fp1"));
    assert_eq!(logins[0].endpoints, [endpoint("/one", 1, 1), endpoint("/two", 2, 2)]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_login_that_was_told_last_is_the_newest_wherever_it_waited() {
    let (store, write_behind) = start(StoreSettings::default());
    for (account, told_at) in [("x", 1), ("y", 2), ("x", 3)] {
        write_behind.login(told("a", account, told_at));
    }
    frozen(write_behind.flush()).await.unwrap();
    let logins = kept(&store).await.0;
    let revisions: Vec<_> = logins.iter().map(|login| (login.account.as_deref().unwrap(), login.revision)).collect();
    assert_eq!(revisions, [("x", 2), ("y", 1)]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_row_that_is_refused_is_dropped_alone() {
    let (store, write_behind) = start(StoreSettings::default());
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON browser_requests WHEN new.id % 10 = 0 \
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END; \
                  CREATE TRIGGER refuse_login BEFORE INSERT ON logins WHEN new.account = 'bad' \
                  BEGIN SELECT RAISE(ABORT, 'nor this one'); END";
    frozen(store.run(move |conn| Ok(conn.batch_execute(refuse)?))).await.unwrap();
    (1..=25).for_each(|id| write_behind.request(row(id)));
    write_behind.login(told("a", "bad", 1));
    write_behind.login(told("a", "good", 2));
    write_behind.message(message("m", "text", 3));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(stored(&store).await, (1..=25).rev().filter(|id| id % 10 != 0).collect::<Vec<_>>());
    let (logins, messages) = kept(&store).await;
    assert_eq!((logins.len(), messages.len(), write_behind.lost(), write_behind.healthy()), (1, 1, 3, true));
    write_behind.request(row(30));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!((stored(&store).await.len(), write_behind.lost()), (23, 4), "also when it stands alone");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn more_bytes_than_may_wait_push_the_oldest_rows_out() {
    let (store, write_behind) = start(StoreSettings { max_pending_bytes: 1 << 16, ..StoreSettings::default() });
    write_behind.request(row(1));
    (1..=3).for_each(|at| write_behind.message(message(&format!("m{at}"), &"x".repeat(30_000), at)));
    write_behind.message(message("huge", &"x".repeat(70_000), 4));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!((kept(&store).await.1, write_behind.lost()), (vec!["m3".into(), "m2".into()], 3));
    assert_eq!(stored(&store).await, Vec::<i64>::new());
}

#[actix_rt::test]
async fn logins_and_messages_outlive_the_store() {
    let folder = Folder::new();
    let settings = StoreSettings::default();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let write_behind = WriteBehind::start(store.clone(), &settings, &LoginStateSettings::default());
    for told_at in 1..=100 {
        write_behind.login(told("a", "x", told_at));
        write_behind.login(seen("a", "y", told_at, vec![endpoint("/one", told_at, told_at)]));
    }
    write_behind.message(message("m", &"long ".repeat(1_000_000), 5));
    write_behind.close().await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let logins = store
        .read(|conn| logins::tests::of_clients(conn, &logins::LoginFilter::default(), &["a".into()]))
        .await
        .unwrap();
    let accounts: Vec<_> = logins.iter().map(|login| (login.account.as_deref().unwrap(), login.updated_at)).collect();
    assert_eq!(accounts, [("x", 100), ("y", 100)]);
    assert_eq!(logins[1].endpoints, [endpoint("/one", 1, 100)]);
    let all = messages::MessageFilter { platform: None, conversation_id: None, before: None, limit: 9, bytes_max: 1 };
    let page = store.read(move |conn| messages::list(conn, &all)).await.unwrap();
    assert_eq!(page.messages[0].raw_text.len(), 5_000_000);
}

#[test]
fn the_pause_doubles_up_to_its_bound() {
    let pauses: Vec<_> = (0..8).map(|failures| writer::retry_delay(failures).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(writer::retry_delay(u32::MAX), writer::RETRY_DELAY_MAX);
}
