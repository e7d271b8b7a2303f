//! A dead thread ends the process, so that the service manager starts another.

use super::{Faults, fragile};
use crate::support::{Daemon, ask, automatic, until};
use rustix::process::Signal;

const SHORT: &str = "server.watchdog_timeout_ms = 500";

async fn dies(daemon: &mut Daemon, thread: &str, cause: &str) {
    assert_eq!(daemon.exit_code().await, Some(1), "{thread}");
    let log = daemon.stderr();
    let line = log.lines().find(|line| line.contains("must be restarted")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(thread) && line.contains(cause), "{line}");
}

#[actix_rt::test]
async fn a_hung_thread() {
    for thread in ["http worker", "main"] {
        let (mut daemon, faults) = fragile(SHORT).await;
        faults.hang(thread);
        dies(&mut daemon, thread, "is hung").await;
        assert!(!faults.is_set(thread));
    }
}

#[actix_rt::test]
async fn the_thread_of_the_store() {
    let (mut daemon, faults) = fragile(SHORT).await;
    faults.panic("store thread");
    dies(&mut daemon, "store", "has exited").await;
}

#[actix_rt::test]
async fn the_thread_of_the_write_behind() {
    let (mut daemon, faults) = fragile(SHORT).await;
    let _firefox = automatic(&daemon, "ff").await;
    faults.panic("write behind");
    daemon.caller().request(&ask("r", "/echo")).await;
    dies(&mut daemon, "write behind", "has exited").await;
}

/// Starts another daemon on the folder of a dead one, like a service manager.
async fn again(daemon: Daemon) {
    let next = Daemon::start_in(daemon.into_folder(), "").await;
    assert_eq!(next.caller().get("/readyz").await.status, 200);
}

#[actix_rt::test]
async fn after_which_the_next_daemon_starts_on_what_was_left() {
    let (mut daemon, faults) = fragile(SHORT).await;
    faults.hang("http worker");
    assert_eq!(daemon.exit_code().await, Some(1));
    again(daemon).await;
}

#[actix_rt::test]
async fn but_not_a_store_that_takes_long_nor_a_process_that_was_stopped() {
    let (daemon, faults): (Daemon, Faults) = fragile(SHORT).await;
    let caller = daemon.caller();
    daemon.signal(Signal::STOP);
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await; // twice the watchdog's timeout
    daemon.signal(Signal::CONT);
    assert_eq!(caller.get("/health").await.status, 200);
    faults.hang("store operation");
    until("the hanging operation", async || (!faults.is_set("store operation")).then_some(())).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(caller.get("/health").await.status, 200, "who hangs at the disk is not dead");
}
