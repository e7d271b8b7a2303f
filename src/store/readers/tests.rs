//! Reads beside the writer, on real files.

use crate::store::{
    Store, StoreError, StoreSettings, Unavailable,
    requests::{self, tests::row},
    tests::Folder,
};
use diesel::{RunQueryDsl, connection::SimpleConnection};
use std::{
    fs,
    path::Path,
    sync::{Arc, Barrier, mpsc},
};

fn open(path: &Path) -> Store {
    Store::open(path, &StoreSettings::default()).unwrap()
}

async fn write(store: &Store, id: i64) {
    store.transact(move |conn| requests::write_all(conn, &[row(id)])).await.unwrap();
}

#[actix_rt::test]
async fn a_read_sees_what_was_written_before_it() {
    let folder = Folder::new();
    let store = open(&folder.database());
    for id in 1..=20 {
        write(&store, id).await;
        assert_eq!(store.read(requests::last_id).await, Ok(id));
    }
}

#[actix_rt::test]
async fn a_slow_read_delays_neither_the_writer_nor_another_read() {
    let folder = Folder::new();
    let store = open(&folder.database());
    let (release, held) = mpsc::channel::<()>();
    let (begun, began) = tokio::sync::oneshot::channel();
    let slow = store.read(move |conn| {
        let before = requests::last_id(conn)?;
        let _ = begun.send(());
        let _ = held.recv();
        Ok((before, requests::last_id(conn)?))
    });
    let meanwhile = async {
        began.await.unwrap();
        write(&store, 1).await;
        assert_eq!(store.read(requests::last_id).await, Ok(1));
        drop(release);
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    assert_eq!(slow, Ok((0, 0)), "one read is one snapshot");
}

#[actix_rt::test]
async fn all_readers_but_one_run_lists_side_by_side() {
    let folder = Folder::new();
    let store = Store::open(&folder.database(), &StoreSettings { readers: 4, ..StoreSettings::default() }).unwrap();
    let all_there = Arc::new(Barrier::new(3));
    let reads = (0..3).map(|number| {
        let all_there = Arc::clone(&all_there);
        store.read(move |_| {
            all_there.wait();
            Ok(number)
        })
    });
    assert_eq!(futures_util::future::join_all(reads).await, [Ok(0), Ok(1), Ok(2)]);
}

#[actix_rt::test]
async fn lists_that_take_long_leave_one_reader_free_even_when_nobody_waits_for_them_any_more() {
    let folder = Folder::new();
    for readers in [2, 3] {
        let store = Store::open(&folder.database(), &StoreSettings { readers, ..StoreSettings::default() }).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(parking_lot::Mutex::new(held));
        let mut begun = Vec::new();
        let lists: Vec<_> = (0..9)
            .map(|_| {
                let (held, (begin, began)) = (Arc::clone(&held), tokio::sync::oneshot::channel());
                begun.push(began);
                let store = store.clone();
                actix_rt::spawn(async move {
                    let slow = move |_: &mut _| {
                        let _ = begin.send(());
                        Ok(held.lock().recv().is_err())
                    };
                    store.read(slow).await
                })
            })
            .collect();
        for began in begun.drain(..readers - 1) {
            began.await.unwrap();
        }
        // A caller that gives up does not free a permit in use.
        lists[0].abort();
        tokio::task::yield_now().await;
        for _ in 0..20 {
            assert_eq!(store.read_now(requests::last_id).await, Ok(0));
        }
        assert!(begun.iter_mut().all(|began| began.try_recv().is_err()), "no other one has begun");
        drop(release);
        let ended = futures_util::future::join_all(lists).await;
        assert!(ended.iter().skip(1).all(|list| matches!(list, Ok(Ok(true)))), "{ended:?}");
        store.close().await.unwrap();
    }
}

#[actix_rt::test]
async fn a_read_cannot_write_and_its_connection_waits_as_it_must() {
    let folder = Folder::new();
    let store = open(&folder.database());
    let written = store.read(|conn| requests::write_all(conn, &[row(1)])).await;
    assert_eq!(written, Err(Unavailable::ReadOnly.into()));
    let pragmas = store.read(|conn| {
        let ask = "SELECT (SELECT journal_mode FROM pragma_journal_mode) || ' ' || \
                   (SELECT query_only FROM pragma_query_only) || ' ' || \
                   (SELECT timeout FROM pragma_busy_timeout)";
        Ok(diesel::dsl::sql::<diesel::sql_types::Text>(ask).get_result::<String>(conn)?)
    });
    assert_eq!(pragmas.await.unwrap(), "wal 1 5000");
}

#[actix_rt::test]
async fn a_panic_costs_its_own_read() {
    let folder = Folder::new();
    let store = Store::open(&folder.database(), &StoreSettings { readers: 1, ..StoreSettings::default() }).unwrap();
    for _ in 0..3 {
        assert_eq!(store.read(|_| -> Result<(), _> { panic!("a bug") }).await, Err(StoreError::Panicked));
        assert_eq!(store.read(requests::last_id).await, Ok(0));
    }
    let broken = store.read(|conn| Ok(conn.batch_execute("COMMIT")?)).await;
    assert!(broken.is_err(), "{broken:?}");
    assert_eq!(store.read(requests::last_id).await, Ok(0), "a transaction that was ended behind its back");
}

#[actix_rt::test]
async fn closing_waits_for_reads_and_leaves_no_log() {
    let folder = Folder::new();
    let store = open(&folder.database());
    write(&store, 1).await;
    let (release, held) = mpsc::channel::<()>();
    let slow = store.read(move |conn| {
        let last = requests::last_id(conn)?;
        let _ = held.recv();
        Ok(last)
    });
    let others = futures_util::future::join_all((0..9).map(|_| store.read(requests::last_id)));
    let release = async { drop(release) };
    let (slow, others, closed, ()) = tokio::join!(slow, others, store.close(), release);
    assert_eq!((slow, closed), (Ok(1), Ok(())));
    assert!(others.iter().all(|last| *last == Ok(1)));
    assert_eq!(store.read(requests::last_id).await, Err(StoreError::Gone));
    assert_eq!(store.close().await, Ok(()), "closing twice does no harm");
    let files = fs::read_dir(folder.database().parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "every connection is closed, so that no log is left");
    assert_eq!(open(&folder.database()).read(requests::last_id).await, Ok(1));
}

#[actix_rt::test]
async fn closing_waits_until_every_connection_is_closed() {
    let folder = Folder::new();
    for _ in 0..5 {
        let settings = StoreSettings { readers: 33, ..StoreSettings::default() };
        let store = Store::open(&folder.database(), &settings).unwrap();
        let all_there = Arc::new(Barrier::new(32));
        let reads = (0..32).map(|_| {
            let all_there = Arc::clone(&all_there);
            store.read(move |conn| {
                all_there.wait();
                requests::last_id(conn)
            })
        });
        assert!(futures_util::future::join_all(reads).await.iter().all(Result::is_ok));
        write(&store, 1).await;
        assert_eq!(store.close().await, Ok(()));
        let files = fs::read_dir(folder.database().parent().unwrap()).unwrap();
        assert_eq!(files.count(), 1, "the log goes with the last connection");
    }
}

#[actix_rt::test]
async fn a_file_that_is_gone_is_not_made_again() {
    let folder = Folder::new();
    let store = open(&folder.database());
    fs::remove_file(folder.database()).unwrap();
    let read = store.read(requests::last_id).await;
    assert!(matches!(read, Err(StoreError::Unavailable(Unavailable::NotOpen(_)))), "{read:?}");
    assert!(!folder.database().exists());
}

#[actix_rt::test]
async fn a_path_with_signs_that_mean_something_in_a_uri_is_found() {
    let folder = Folder::new();
    let path = folder.database().with_file_name("what? 100%23 #1&mode=memory.db");
    let store = open(&path);
    write(&store, 7).await;
    assert_eq!(store.read(requests::last_id).await, Ok(7));
}

#[actix_rt::test]
async fn a_database_in_memory_is_read_by_its_writer() {
    let store = open(Path::new(":memory:"));
    write(&store, 3).await;
    assert_eq!(store.read(requests::last_id).await, Ok(3));
    assert_eq!(store.close().await, Ok(()));
    assert_eq!(store.read(requests::last_id).await, Err(StoreError::Gone));
}
