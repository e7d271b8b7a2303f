//! The wall clock, passed as a value, so that tests can control it.

pub mod uptime;

use tokio::time::Instant;

/// Milliseconds since the Unix epoch, as in every `_at` and `_until` field.
pub type WallMs = i64;

/// A source of wall time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that advances with tokio's time, which may be paused or advanced.
    Virtual {
        /// Time of the clock at `since`.
        epoch_ms: WallMs,
        /// Creation of the clock.
        since: Instant,
    },
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall time.
    pub wall: WallMs,
}

impl Clock {
    /// Returns the current moment on both clocks.
    pub fn moment(&self) -> Moment {
        Moment { instant: Instant::now(), wall: self.now_ms() }
    }

    /// Creates a virtual clock at `epoch_ms`.
    pub fn starting_at(epoch_ms: WallMs) -> Self {
        Clock::Virtual { epoch_ms, since: Instant::now() }
    }

    /// Returns the wall time of a past `moment`, assuming that the clock was not set since.
    pub fn at(&self, moment: Instant) -> WallMs {
        self.now_ms().saturating_sub(WallMs::try_from(moment.elapsed().as_millis()).unwrap_or(WallMs::MAX))
    }

    /// Returns the current wall time.
    #[expect(clippy::disallowed_types, reason = "the one place that reads the system's clock")]
    pub fn now_ms(&self) -> WallMs {
        match self {
            Clock::System => {
                // A time before 1970 counts as 1970.
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                WallMs::try_from(since.as_millis()).unwrap_or(WallMs::MAX)
            }
            Clock::Virtual { epoch_ms, since } => {
                let gone = WallMs::try_from(since.elapsed().as_millis()).expect("the age of a test's clock fits");
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
