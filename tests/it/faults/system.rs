//! Exhausted system resources: no more file descriptors, no room for the log.

use super::{limit, readiness};
use crate::support::{Connection, Daemon, Folder, ask, automatic, handled, until};
use rustix::process::Resource;
use std::fs;

/// Returns the number of open files of the daemon.
fn open_files(daemon: &Daemon) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count() as u64
}

#[actix_rt::test]
async fn without_file_descriptors_it_accepts_no_connection_reports_it_and_recovers() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    assert_eq!(caller.request(&ask("before", "/echo")).await.status, 200);
    let mut kept = caller.open().await;
    kept.write(&caller.head("GET", "/readyz", None)).await;
    assert_eq!(kept.answer(false).await.status, 200);
    limit(&daemon, Resource::Nofile, Some(open_files(&daemon)));
    // The kernel accepts the connection; the daemon cannot.
    let mut waiting = Connection::open(daemon.address).await;
    waiting.write(&caller.head("GET", "/version", None)).await;
    kept.write(&caller.head("GET", "/readyz", None)).await;
    let answer = kept.answer(false).await;
    // An unused reader of the database cannot be opened either.
    assert!(matches!(answer.error(), (503, code) if code == "not_ready" || code == "store_unavailable"), "{answer:?}");
    assert!(answer.json()["details"]["reasons"].to_string().contains("files"), "{answer:?}");
    handled(&firefox).await;
    limit(&daemon, Resource::Nofile, None);
    assert_eq!(waiting.answer(false).await.data()["name"], "baa-conductor", "it was only waiting");
    until("readiness", async || (readiness(&caller).await.0 == 200).then_some(())).await;
    assert_eq!(caller.request(&ask("after", "/echo")).await.status, 200);
}

#[actix_rt::test]
async fn a_log_that_takes_nothing_costs_nothing() {
    let folder = Folder::new();
    let command = folder.command("log.filter = \"trace\"");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let daemon = Daemon::spawn_logging(folder, command, full).await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    assert_eq!(caller.request(&ask("r", "/echo")).await.status, 200);
    handled(&firefox).await;
    assert_eq!(caller.get("/readyz").await.status, 200);
}
