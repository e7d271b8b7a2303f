//! `audit` on the database of a daemon: while it runs, after it was killed, and after a line was changed.

use crate::support::{Daemon, Folder};
use baa_conductor::store::{
    Store, StoreSettings,
    tasks::{self, NewTask, TaskKind, TaskSource, TaskStatus},
};
use diesel::connection::SimpleConnection;
use serde_json::Value;
use std::process::{Command, Output};

fn audit(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.arg("audit").args(arguments).arg("--state-dir").arg(folder.state());
    command.env_clear().env("HOME", folder.state()).output().unwrap()
}

/// The exit code and the JSON of `verify`.
fn verify(folder: &Folder) -> (Option<i32>, Value) {
    let output = audit(folder, &["verify", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), verdict)
}

/// Changes the database as another process.
async fn write(folder: &Folder, operation: impl FnOnce(&mut baa_conductor::store::SqliteConnection) + Send + 'static) {
    let store = Store::open(&folder.state().join("conductor.db"), &StoreSettings::default()).unwrap();
    let write = store.transact(|conn| {
        operation(conn);
        Ok(())
    });
    write.await.unwrap();
    // A reader of the daemon may hold the log.
    store.close().await.unwrap_or_default();
}

fn task(conn: &mut baa_conductor::store::SqliteConnection) {
    let source = TaskSource { caller: Some("bearer".into()), ..TaskSource::default() };
    let (title, tools) = ("a command".to_owned(), vec!["exec".to_owned()]);
    let new = NewTask { kind: TaskKind::HostOperation, status: TaskStatus::Queued, title, source, tools };
    tasks::create(conn, &new, "", 1_893_456_000_000).unwrap();
}

#[actix_rt::test]
async fn the_trail_is_checked_while_the_daemon_runs_after_it_was_killed_and_after_a_forgery() {
    let daemon = Daemon::start("").await;
    assert_eq!(verify(daemon.folder()).1["lines"], 0);
    write(daemon.folder(), task).await;
    let (code, verdict) = verify(daemon.folder());
    assert_eq!((code, &verdict["lines"], verdict.get("break")), (Some(0), &2.into(), Some(&Value::Null)), "{verdict}");
    let folder = daemon.kill().await;
    assert_eq!(verify(&folder), (code, verdict));
    let list = audit(&folder, &["list"]);
    let text = String::from_utf8_lossy(&list.stdout);
    assert!(text.contains("exec waits for its turn") && list.status.success(), "{text}");

    write(&folder, |conn| conn.batch_execute("UPDATE task_logs SET at = 0 WHERE id = 1").unwrap()).await;
    let (code, verdict) = verify(&folder);
    assert_eq!((code, &verdict["break"]["line"]), (Some(1), &1.into()), "{verdict}");
    let output = audit(&folder, &["verify"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("the audit trail breaks at line 1: "), "{output:?}");
}

#[actix_rt::test]
async fn without_a_database_it_fails_and_creates_none() {
    let folder = Folder::new();
    let output = audit(&folder, &["verify"]);
    assert_eq!((output.status.code(), folder.state().exists()), (Some(1), false));
    assert!(String::from_utf8_lossy(&output.stderr).contains("conductor.db cannot be opened"), "{output:?}");
}
