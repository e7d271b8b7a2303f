//! Wall time, given to whoever needs it, so that tests can hold it.

use tokio::time::Instant;

/// Milliseconds since the Unix epoch, as in every `_at` and `_until` field.
pub type WallMs = i64;

/// Tells the wall time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that started at `epoch_ms` and moves with tokio's time, also when that is paused or advanced.
    Virtual {
        /// What the clock showed when it was made.
        epoch_ms: WallMs,
        /// When it was made.
        since: Instant,
    },
}

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the process's own timeline, which nobody can set.
    pub instant: Instant,
    /// On the wall.
    pub wall: WallMs,
}

impl Clock {
    /// Now, by both clocks.
    pub fn moment(&self) -> Moment {
        Moment { instant: Instant::now(), wall: self.now_ms() }
    }

    /// A clock for tests that moves with tokio's (paused) time.
    pub fn starting_at(epoch_ms: WallMs) -> Self {
        Clock::Virtual { epoch_ms, since: Instant::now() }
    }

    /// What this clock showed at `moment`, as far as it can tell now.
    pub fn at(&self, moment: Instant) -> WallMs {
        self.now_ms().saturating_sub(WallMs::try_from(moment.elapsed().as_millis()).unwrap_or(WallMs::MAX))
    }

    /// Now, in milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_types, reason = "the one place that reads the system's clock")]
    pub fn now_ms(&self) -> WallMs {
        match self {
            Clock::System => {
                // A clock set before 1970 reads as 1970.
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                WallMs::try_from(since.as_millis()).unwrap_or(WallMs::MAX)
            }
            Clock::Virtual { epoch_ms, since } => {
                let gone = WallMs::try_from(since.elapsed().as_millis()).expect("a test runs less than an age");
                epoch_ms + gone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_virtual_clock_moves_with_tokios_time() {
        let clock = Clock::starting_at(1_000);
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now_ms(), 91_000);
    }
}
