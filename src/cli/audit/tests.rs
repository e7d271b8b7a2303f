//! The rendered trail of a database on disk.

use super::*;
use crate::store::{
    SqliteConnection, Store, StoreError, StoreSettings,
    batches::{self, BatchMessage, BatchOrigin, BatchStatus, BatchWork, NewBatch},
    tasks,
};
use clap::Parser;
use std::path::PathBuf;

/// A database that is deleted after the test.
struct TestDatabase(PathBuf);

impl TestDatabase {
    /// Returns the path of a database that does not exist yet.
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("baa-audit-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        TestDatabase(folder.join("kept.db"))
    }

    /// The database's file, or one with a suffix.
    fn file(&self, suffix: &str) -> PathBuf {
        format!("{}{suffix}", self.0.display()).into()
    }

    /// Creates a database with one batch of one ended run.
    async fn filled() -> (Self, String) {
        let database = TestDatabase::new();
        let task = database.write(|conn| {
            let new = NewBatch {
                batch_id: "batch_1".into(),
                status: BatchStatus::Running,
                origin: BatchOrigin::Http,
                message: BatchMessage {
                    platform: "claude".into(),
                    conversation_id: Some("c".into()),
                    assistant_message_id: "m\u{1b}[31m".into(),
                    client_id: None,
                },
                reason: None,
                expires_at: None,
                digest: None,
                plan: "{}".into(),
                rejection: None,
                work: Some(BatchWork { title: "one instruction".into(), tools: vec!["exec".into()] }),
            };
            let created = batches::create(conn, &new, 1_893_456_000_000)?;
            tasks::change_run(conn, &created.run_ids[0], tasks::TaskStatus::Running, "", 1_893_456_000_001)?;
            tasks::end_run(conn, &created.run_ids[0], tasks::TaskStatus::Failed, "{}", 1_893_456_000_002)?;
            batches::finish(conn, "batch_1", 1_893_456_000_003)?;
            Ok(created.task_id.unwrap())
        });
        let task = task.await;
        (database, task)
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        let store = Store::open(&self.0, &StoreSettings::default()).unwrap();
        let written = store.transact(operation).await.unwrap();
        store.close().await.unwrap();
        written
    }

    fn trail(&self) -> AuditTrail {
        AuditTrail::open(&self.0, 100).unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().expect("the database is in a folder"));
    }
}

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: AuditCommand,
}

fn run_line(trail: &mut AuditTrail, line: &str) -> anyhow::Result<(String, ExitCode)> {
    let line = CommandLine::try_parse_from(["audit"].into_iter().chain(line.split(' '))).unwrap();
    execute(trail, line.command)
}

#[actix_rt::test]
async fn the_newest_lines_are_listed() {
    let (database, task) = TestDatabase::filled().await;
    let (text, _) = run_line(&mut database.trail(), "list --limit 2").unwrap();
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let lines: Vec<_> = text.lines().collect();
    let ended =
        format!("     5  2030-01-01T00:00:00.003Z  warn   {task}  the task failed: runs that did not succeed: 1");
    assert_eq!(lines[0], ended);
    let run = format!("     4  2030-01-01T00:00:00.002Z  warn   {task}  exec failed: result sha256:{digest}");
    assert_eq!((lines[1], &lines[2..]), (&*run, &["for older lines, use --before 4"][..]));
    let (text, _) = run_line(&mut database.trail(), "list --before 4 --json").unwrap();
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    let values = (&page["count"], &page["logs"][0]["number"], &page["logs"][0]["event"], page.get("next_before"));
    assert_eq!(values, (&3.into(), &3.into(), &"running".into(), None));
}

#[actix_rt::test]
async fn a_task_a_run_a_batch_and_a_line_show_the_same() {
    let (database, task) = TestDatabase::filled().await;
    let mut trail = database.trail();
    let (text, _) = run_line(&mut trail, "show batch_1").unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "batch_1  executed  http  claude/c/m\\u{1b}[31m  delivery off");
    assert_eq!(lines[1], format!("{task}  failed  one instruction"));
    assert!(lines[2].starts_with("  0  run_") && lines[2].ends_with("  failed  exec"), "{text}");
    assert_eq!(lines[3], "     1  2030-01-01T00:00:00.000Z  info     -  the task began: batch_1");
    assert_eq!((lines[5], lines.len()), ("     3  2030-01-01T00:00:00.001Z  info     0  exec began", 8));
    let json = run_line(&mut trail, "show batch_1 --json").unwrap().0;
    let run = serde_json::from_str::<serde_json::Value>(&json).unwrap()["runs"][0]["run_id"].clone();
    for name in [&*task, "log_0000000000000003", run.as_str().unwrap()] {
        assert_eq!(run_line(&mut trail, &format!("show {name}")).unwrap().0, text, "{name}");
    }
    let error = run_line(&mut trail, "show unknown").unwrap_err().to_string();
    assert_eq!(error, "the audit trail has no task, run, batch or line \"unknown\"");
}

#[actix_rt::test]
async fn an_intact_trail_exits_0_and_a_broken_one_names_the_line_and_exits_1() {
    let (database, _) = TestDatabase::filled().await;
    let (text, code) = run_line(&mut database.trail(), "verify").unwrap();
    assert!(text.starts_with("the audit trail is intact: 5 lines\nlast line written: 5, hash "), "{text}");
    assert_eq!(code, ExitCode::SUCCESS);
    database
        .write(|conn| Ok(crate::store::tests::execute(conn, "UPDATE task_logs SET message = 'nothing' WHERE id = 3")))
        .await;
    let (text, code) = run_line(&mut database.trail(), "verify").unwrap();
    assert!(text.starts_with("the audit trail breaks at line 3: its fields have the hash "), "{text}");
    assert!(text.contains("\n2 lines before it are intact\n"), "{text}");
    assert_eq!(code, ExitCode::FAILURE);
    let (text, code) = run_line(&mut database.trail(), "verify --json").unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&verdict["lines"], &verdict["break"]["line"], &verdict["head"]["number"]),
        (&2.into(), &3.into(), &5.into())
    );
    assert_eq!((&verdict["break"]["fault"], &verdict["anchor"]), (&"hash".into(), &serde_json::Value::Null));
    assert_eq!(code, ExitCode::FAILURE);
}

#[actix_rt::test]
async fn an_empty_trail_is_intact() {
    let database = TestDatabase::new();
    let error = AuditTrail::open(&database.0, 1).unwrap_err().to_string();
    assert!(error.contains("cannot be opened") && !database.0.exists(), "{error}");
    database.write(|_| Ok(())).await;
    assert_eq!(run_line(&mut database.trail(), "list").unwrap().0, "the audit trail is empty\n");
    assert_eq!(run_line(&mut database.trail(), "verify").unwrap().0, "the audit trail is intact: 0 lines\n");
}

#[actix_rt::test]
async fn the_trail_is_readable_while_a_store_writes() {
    let (database, _) = TestDatabase::filled().await;
    let store = Store::open(&database.0, &StoreSettings::default()).unwrap();
    let mut trail = database.trail();
    let deliver = |conn: &mut _| batches::deliver(conn, "batch_1", batches::DeliveryStatus::Failed, "late", 1);
    store.transact(deliver).await.unwrap();
    assert!(run_line(&mut trail, "verify").unwrap().0.contains("intact: 6 lines"));
}

#[actix_rt::test]
async fn reading_does_not_change_the_files_that_a_crash_left() {
    let (database, _) = TestDatabase::filled().await;
    let store = Store::open(&database.0, &StoreSettings::default()).unwrap();
    let deliver = |conn: &mut _| batches::deliver(conn, "batch_1", batches::DeliveryStatus::Failed, "late", 1);
    store.transact(deliver).await.unwrap();
    // The files on disk now are those that a crash would leave.
    let left = TestDatabase::new();
    for suffix in ["", "-wal"] {
        std::fs::copy(database.file(suffix), left.file(suffix)).unwrap();
    }
    let read = || ["", "-wal"].map(|suffix| std::fs::read(left.file(suffix)).unwrap());
    let before = read();
    assert!(run_line(&mut left.trail(), "verify").unwrap().0.contains("intact: 6 lines"));
    assert!(read() == before, "neither the database nor its log changed");
}
