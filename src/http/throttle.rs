//! Who has guessed wrong too often: wrong tokens and codes, counted by address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Wrong guesses from one address within a minute before further ones are not even looked at.
pub(super) const WRONG_MAX: u32 = 10;
/// How long wrong guesses count, and how long the silence after too many lasts.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond it all are forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// Counts wrong guesses.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    wrong: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Throttle {
    /// Counts a wrong guess; answers whether there were too many before it.
    pub(super) fn count_wrong(&self, address: IpAddr) -> bool {
        let now = Instant::now();
        // Counts survive a panic whole: each change is one insertion.
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= ADDRESSES_MAX {
            wrong.clear();
        }
        let (since, count) = wrong.entry(address).or_insert((now, 0));
        if now - *since >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count == WRONG_MAX {
            *since = now; // the minute of silence begins
        }
        *count > WRONG_MAX
    }
}
