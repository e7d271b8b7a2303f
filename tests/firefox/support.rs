//! Parts of the tests: a browser, web apps, a daemon, and bounded waiting for a condition.

pub(crate) mod app;
pub(crate) mod bidi;
pub(crate) mod firefox;
mod http;
pub(crate) mod record;
pub(crate) mod stage;
pub(crate) mod status;

use super::shared;
use std::{fmt::Display, time::Duration};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use stage::Stage;
pub(crate) use status::StatusPage;

/// How long a test waits for a condition. Several browsers that start at once are slow.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Polls until there is a value.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_ok(what, async || ask().await.ok_or("nothing")).await
}

/// Polls until `Ok`; panics with the last error.
pub(crate) async fn until_ok<T, E: Display>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(wrong) => assert!(Instant::now() < give_up, "no {what} within {PATIENCE:?}: {wrong:#}"),
        }
        sleep(POLL_EVERY).await;
    }
}

/// Awaits a future, for a limited time.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}
