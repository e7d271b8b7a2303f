//! The store on real files: opening, refusing, surviving.

use super::*;
use crate::store::requests::{self, RequestFilter, tests::row};
use diesel::{connection::SimpleConnection, prelude::*};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

/// A folder of its own that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("baa-store-{}", uuid::Uuid::new_v4()));
        // What the tests put there themselves is not private.
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("conductor.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a statement that no function of the store would.
pub(crate) fn execute(conn: &mut SqliteConnection, statement: &str) -> usize {
    diesel::sql_query(statement).execute(conn).unwrap()
}

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(path, &StoreSettings::default())
}

fn refusal(path: &Path) -> String {
    open(path).expect_err("it is refused").to_string()
}

/// A database with some rows, closed.
async fn filled(path: &Path, rows: i64) {
    let store = open(path).unwrap();
    store.transact(move |conn| requests::write_all(conn, &(1..=rows).map(row).collect::<Vec<_>>())).await.unwrap();
    store.close().await.unwrap();
}

#[actix_rt::test]
async fn what_was_written_is_there_after_closing_and_opening() {
    let folder = Folder::new();
    filled(&folder.database(), 3).await;
    let entries = fs::read_dir(&folder.0).unwrap().count();
    assert_eq!(entries, 1, "no log and no draft are left");
    let store = open(&folder.database()).unwrap();
    assert_eq!(store.run(requests::last_id).await, Ok(3));
}

#[actix_rt::test]
async fn the_file_and_its_log_are_for_their_owner_alone() {
    let folder = Folder::new();
    let _store = open(&folder.database()).unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[actix_rt::test]
async fn a_log_that_lost_its_database_is_not_replayed_into_a_new_one() {
    let folder = Folder::new();
    let old = open(&folder.database()).unwrap();
    old.transact(|conn| requests::write_all(conn, &[row(1)])).await.unwrap();
    let log = folder.0.join("conductor.db-wal");
    let bytes = fs::read(&log).unwrap();
    old.close().await.unwrap();
    fs::remove_file(folder.database()).unwrap();
    fs::write(&log, bytes).unwrap();
    let store = open(&folder.database()).unwrap();
    assert_eq!(store.run(requests::last_id).await, Ok(0));
}

#[actix_rt::test]
async fn the_connection_waits_syncs_and_checks_as_it_must() {
    let folder = Folder::new();
    filled(&folder.database(), 1).await;
    let store = open(&folder.database()).unwrap();
    let pragmas = store.run(|conn| {
        let ask = "SELECT (SELECT journal_mode FROM pragma_journal_mode) || ' ' || \
                   (SELECT synchronous FROM pragma_synchronous) || ' ' || \
                   (SELECT foreign_keys FROM pragma_foreign_keys) || ' ' || \
                   (SELECT timeout FROM pragma_busy_timeout)";
        Ok(diesel::dsl::sql::<diesel::sql_types::Text>(ask).get_result::<String>(conn)?)
    });
    assert_eq!(pragmas.await.unwrap(), "wal 2 1 5000");
}

#[actix_rt::test]
async fn operations_run_in_the_order_they_were_sent() {
    let store = open(Path::new(":memory:")).unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let sent = (0..100).map(|number| {
        let next = Arc::clone(&next);
        store.run(move |_| Ok((number, next.fetch_add(1, Ordering::SeqCst))))
    });
    for result in futures_util::future::join_all(sent).await {
        let (number, turn) = result.unwrap();
        assert_eq!(number, turn);
    }
}

#[actix_rt::test]
async fn a_panic_costs_its_own_operation_and_is_rolled_back() {
    let folder = Folder::new();
    let store = open(&folder.database()).unwrap();
    let panicked = store.transact(|conn| -> Result<(), _> {
        requests::write_all(conn, &[row(1)])?;
        panic!("a bug")
    });
    assert_eq!(panicked.await, Err(StoreError::Panicked));
    assert_eq!(store.run(requests::last_id).await, Ok(0));
    assert_eq!(store.transact(|conn| requests::write_all(conn, &[row(2)])).await, Ok(()));
    assert_eq!(store.run(requests::last_id).await, Ok(2));
}

#[actix_rt::test]
async fn a_failed_transaction_leaves_nothing_behind() {
    let store = open(Path::new(":memory:")).unwrap();
    let failed = store.transact(|conn| -> Result<(), _> {
        requests::write_all(conn, &[row(1)])?;
        Err(StoreError::NotFound)
    });
    assert_eq!(failed.await, Err(StoreError::NotFound));
    assert_eq!(store.run(requests::last_id).await, Ok(0));
}

#[actix_rt::test]
async fn a_transaction_that_an_operation_left_open_does_not_poison_the_next() {
    let folder = Folder::new();
    let store = open(&folder.database()).unwrap();
    use diesel::connection::{AnsiTransactionManager, TransactionManager};
    store.run(|conn| Ok(AnsiTransactionManager::begin_transaction(conn)?)).await.unwrap();
    assert_eq!(store.transact(|conn| requests::write_all(conn, &[row(1)])).await, Ok(()));
}

#[actix_rt::test]
async fn a_full_disk_and_a_locked_database_are_unavailable_and_pass() {
    let folder = Folder::new();
    let path = folder.database();
    let store = Store::open(&path, &StoreSettings { busy_timeout_ms: 1, ..StoreSettings::default() }).unwrap();
    let many = || (1..=2_000).map(row).collect::<Vec<_>>();
    store.run(|conn| Ok(conn.batch_execute("PRAGMA max_page_count=10")?)).await.unwrap();
    let full = store.transact(move |conn| requests::write_all(conn, &many()));
    assert_eq!(full.await, Err(Unavailable::Full.into()));
    store.run(|conn| Ok(conn.batch_execute("PRAGMA max_page_count=100000")?)).await.unwrap();
    assert_eq!(store.transact(move |conn| requests::write_all(conn, &many())).await, Ok(()));

    let mut other = open::connect(&path, 0).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    assert_eq!(store.transact(|conn| requests::write_all(conn, &[row(1)])).await, Err(Unavailable::Busy.into()));
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(store.transact(|conn| requests::write_all(conn, &[row(1)])).await, Ok(()));
}

#[actix_rt::test]
async fn a_database_that_is_damaged_while_it_is_open_is_unavailable() {
    let folder = Folder::new();
    let path = folder.database();
    filled(&path, 10_000).await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + (64 << 10)].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    let store = open(&path).unwrap();
    let all = || RequestFilter { limit: 99_999, ..RequestFilter::default() };
    let read = store.read(move |conn| requests::list(conn, &all(), i64::MAX)).await;
    assert!(matches!(read, Err(StoreError::Unavailable(Unavailable::Damaged(_)))), "{read:?}");
    bytes[..100].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    let settings = StoreSettings { readers: 1, ..StoreSettings::default() };
    let readers = ReaderPool::start(&path, &settings, 9);
    let read = readers.run(requests::last_id).await;
    assert!(matches!(read, Err(StoreError::Unavailable(Unavailable::Damaged(_)))), "{read:?}");
}

#[actix_rt::test]
async fn closing_waits_for_what_was_sent_and_ends_the_rest() {
    let folder = Folder::new();
    let store = open(&folder.database()).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let slow = store.run(move |_| Ok(held.recv().is_err()));
    let write = store.transact(|conn| requests::write_all(conn, &[row(1)]));
    let release = async { drop(release) };
    let (slow, write, closed, ()) = tokio::join!(slow, write, store.close(), release);
    assert_eq!((slow, write, closed), (Ok(true), Ok(()), Ok(())));
    assert_eq!(store.run(requests::last_id).await, Err(StoreError::Gone));
    assert_eq!(store.close().await, Ok(()), "closing twice does no harm");
    assert_eq!(open(&folder.database()).unwrap().run(requests::last_id).await, Ok(1));
}

#[actix_rt::test]
async fn more_operations_than_there_is_room_for_wait_their_turn() {
    let store = Store::open(Path::new(":memory:"), &StoreSettings { max_operations: 2, ..StoreSettings::default() });
    let store = store.unwrap();
    let all = (0..50).map(|number| store.run(move |_| Ok(number)));
    let all: Vec<i32> = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn a_database_of_a_newer_version_is_refused_untouched() {
    let folder = Folder::new();
    let path = folder.database();
    filled(&path, 1).await;
    let store = open(&path).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    store.run(move |conn| Ok(conn.batch_execute(newer)?)).await.unwrap();
    store.close().await.unwrap();
    let before = fs::read(&path).unwrap();
    let text = refusal(&path);
    assert!(text.contains("newer version") && text.contains("9999") && text.contains("conductor.db"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[actix_rt::test]
async fn a_file_that_is_no_database_of_ours_is_refused_untouched() {
    let folder = Folder::new();
    let path = folder.database();
    for garbage in [b"short".to_vec(), b"not a database\n".repeat(1_000), vec![0; 8_192]] {
        fs::write(&path, &garbage).unwrap();
        let text = refusal(&path);
        assert!(text.contains("corrupt") && text.contains("conductor.db"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), garbage);
    }
    fs::remove_file(&path).unwrap();
    let mut foreign = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    foreign.batch_execute("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(foreign);
    let before = fs::read(&path).unwrap();
    let text = refusal(&path);
    assert!(text.contains("another program") && text.contains("recipes"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[actix_rt::test]
async fn a_damaged_database_is_refused_untouched_small_or_big() {
    for rows in [200, 10_000] {
        let folder = Folder::new();
        let path = folder.database();
        filled(&path, rows).await;
        let whole = fs::read(&path).unwrap();
        let damage = |from: usize, to: usize| {
            let mut bytes = whole.clone();
            bytes[from..to].fill(0xA5);
            bytes
        };
        let cut = whole[..whole.len() / 2].to_vec();
        for broken in [damage(0, 100), damage(200, 4_096), damage(4_096, 24_576), cut] {
            fs::write(&path, &broken).unwrap();
            let text = refusal(&path);
            assert!(text.contains("corrupt") && text.contains("conductor.db"), "{text}");
            assert_eq!(fs::read(&path).unwrap(), broken);
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(open(&path).unwrap().run(requests::last_id).await, Ok(rows));
    }
}

#[actix_rt::test]
async fn a_path_that_cannot_be_reached_is_named() {
    let folder = Folder::new();
    let text = refusal(&folder.0.join("missing").join("conductor.db"));
    assert!(text.contains("missing/conductor.db") && text.contains("cannot be opened"), "{text}");
    assert!(refusal(&folder.0).contains("cannot be opened"));
}

#[actix_rt::test]
async fn an_empty_file_becomes_a_database() {
    let folder = Folder::new();
    fs::write(folder.database(), b"").unwrap();
    let store = open(&folder.database()).unwrap();
    assert_eq!(
        store.run(|conn| requests::tests::list(conn, &RequestFilter { limit: 1, ..RequestFilter::default() })).await,
        Ok(vec![])
    );
}

/// A database as the version wrote it that knew the journal alone.
fn of_the_first_version(path: &Path, rows: &[requests::JournalEntry]) {
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    conn.batch_execute("PRAGMA journal_mode=WAL").unwrap();
    conn.batch_execute(include_str!("../../migrations/0001_requests/up.sql")).unwrap();
    conn.batch_execute(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
         INSERT INTO __diesel_schema_migrations (version) VALUES ('0001')",
    )
    .unwrap();
    requests::write_all(&mut conn, rows).unwrap();
}

#[actix_rt::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_its_rows() {
    let folder = Folder::new();
    let rows: Vec<_> = (1..=300).map(row).collect();
    of_the_first_version(&folder.database(), &rows);
    for _ in 0..2 {
        let store = open(&folder.database()).unwrap();
        let all = RequestFilter { limit: 999, ..RequestFilter::default() };
        let mut kept = store.read(move |conn| requests::tests::list(conn, &all)).await.unwrap();
        kept.reverse();
        assert_eq!(kept, rows);
        let told = logins::tests::told("a", "x", 1);
        store.transact(move |conn| logins::write_all(conn, [&told], &logins::tests::LIMITS)).await.unwrap();
        let message = messages::tests::message("m", "text", 1);
        store.transact(move |conn| messages::write_all(conn, [&message])).await.unwrap();
        store.transact(|conn| policy::write_target(conn, &policy::tests::troubled("a", 1))).await.unwrap();
        store.close().await.unwrap();
    }
}

#[test]
fn every_migration_can_be_taken_back() {
    use diesel_migrations::MigrationHarness;
    let mut conn = open::memory();
    conn.revert_all_migrations(open::MIGRATIONS).unwrap();
    let tables: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>(
        "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
    )
    .get_result(&mut conn)
    .unwrap();
    assert_eq!(tables, 0);
}

/// What is kept of values by a version that left none out is overwritten when the next one starts.
#[test]
fn values_that_were_kept_are_overwritten_and_the_trail_stays_as_it_is() {
    use diesel_migrations::MigrationHarness;
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = diesel::sql_types::Text)]
        kept: String,
    }
    let conn = &mut open::memory();
    // The identity of the database came after it.
    for _ in ["0020_store_identity", "0010_names_alone"] {
        conn.revert_last_migration(open::MIGRATIONS).unwrap();
    }
    conn.batch_execute(
        r#"INSERT INTO browser_requests VALUES
            (1,'r','p',NULL,'GET','/a?k=hush#hush','m','m','done',NULL,NULL,NULL,1,NULL,NULL,NULL,0,0,0,0,0,0),
            (2,'r','p',NULL,'GET','/a#hush','m','m','done',NULL,NULL,NULL,1,NULL,NULL,NULL,0,0,0,0,0,0),
            (3,'r','p',NULL,'GET','/a','m','m','done',NULL,NULL,NULL,1,NULL,NULL,NULL,0,0,0,0,0,0);
        INSERT INTO logins VALUES (1,'c','p','',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1);
        INSERT INTO login_endpoints VALUES (1,1,'GET','/a?k=hush',1,1), (2,1,'GET','/a?k=hush2',1,1), (3,1,'GET','/b',1,1);
        INSERT INTO tasks VALUES (1,'t','k','failed','t',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,3);
        INSERT INTO runs VALUES
            (1,'a','t',0,'failed','exec',NULL,NULL,'{"input":{"env":{"K":"hush","L":""}},"ok":true}'),
            (2,'b','t',1,'failed','exec',NULL,NULL,'{"data":{"input":{"env":{"K":"hush"}}}}'),
            (3,'c','t',2,'failed','exec',NULL,NULL,'no json'),
            (4,'d','t',3,'running','exec',NULL,NULL,NULL);
        INSERT INTO task_logs VALUES (1,'l','t',NULL,1,'info','e','hush','h',NULL);"#,
    )
    .unwrap();
    conn.run_pending_migrations(open::MIGRATIONS).unwrap();
    let mut kept = |query: &str| {
        let rows = diesel::sql_query(query).load::<Kept>(conn).unwrap();
        rows.into_iter().map(|row| row.kept).collect::<Vec<_>>()
    };
    assert_eq!(kept("SELECT path AS kept FROM browser_requests ORDER BY id"), ["/a?…", "/a", "/a"]);
    assert_eq!(kept("SELECT path AS kept FROM login_endpoints ORDER BY id"), ["/a", "/b"]);
    assert_eq!(
        kept("SELECT result AS kept FROM runs WHERE result IS NOT NULL ORDER BY id"),
        [r#"{"input":{"env":{"K":null,"L":null}},"ok":true}"#, r#"{"data":{"input":{"env":{"K":null}}}}"#, "no json"]
    );
    assert_eq!(kept("SELECT message AS kept FROM task_logs"), ["hush"], "its hash covers it");
}
