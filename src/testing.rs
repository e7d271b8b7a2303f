//! Support for tests: a paused clock for actors, and tests that a machine cannot run.

pub(crate) mod generated;

use actix::{System, SystemRunner};
use std::sync::mpsc;

/// Runs a test body on a current-thread actix system whose tokio clock starts paused.
///
/// Use as `#[actix_rt::test(system = "crate::testing::PausedSystem")]`. The clock then jumps to the next timer
/// whenever every task of this thread is idle.
pub(crate) struct PausedSystem;

impl PausedSystem {
    #[expect(clippy::new_ret_no_self, reason = "the shape that `#[actix_rt::test]` calls")]
    pub(crate) fn new() -> SystemRunner {
        System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a current-thread runtime builds")
        })
    }
}

/// Reports that a part of a test is skipped because this machine cannot run it. Fails the test in continuous integration.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|on| on.is_empty()), "with CI set nothing is left out: {why}");
    eprintln!("SKIPPED: {why}");
}

/// Stops the paused clock while `work` waits for another thread.
///
/// A paused clock jumps ahead whenever this thread is idle, even while another thread or a socket is busy. Only a running
/// blocking task stops it.
pub(crate) async fn frozen<F: Future>(work: F) -> F::Output {
    let (release, held) = mpsc::channel::<()>();
    let guard = tokio::task::spawn_blocking(move || held.recv().is_err());
    let output = work.await;
    drop(release);
    guard.await.expect("the clock guard does not panic");
    output
}
