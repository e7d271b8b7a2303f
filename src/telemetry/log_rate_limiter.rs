//! Lines of the log that anybody who can connect may bring about: some a minute, so that nobody fills the log.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(60);
/// Lines of a kind within it.
const LINES_MAX: u32 = 20;

/// Counts the lines of one kind.
#[derive(Debug)]
pub struct LogRateLimiter(Mutex<Option<RateWindow>>);

#[derive(Debug)]
struct RateWindow {
    began: Instant,
    lines: u32,
}

impl LogRateLimiter {
    /// None so far.
    pub const fn new() -> Self {
        LogRateLimiter(Mutex::new(None))
    }

    /// Whether one more may be written, and then how many were not in the last minute that had too many.
    pub fn admit(&self) -> Option<u32> {
        let now = Instant::now();
        // Nothing panics while it is held.
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *window {
            Some(RateWindow { began, lines }) if now - *began < WINDOW => {
                *lines = lines.saturating_add(1);
                (*lines <= LINES_MAX).then_some(0)
            }
            before => {
                let suppressed = before.as_ref().map_or(0, |window| window.lines.saturating_sub(LINES_MAX));
                *before = Some(RateWindow { began: now, lines: 1 });
                Some(suppressed)
            }
        }
    }
}

impl Default for LogRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_minute_has_so_many_lines_and_the_next_says_how_many_are_missing() {
        let lines = LogRateLimiter::new();
        let written: Vec<_> = (0..25).filter_map(|_| lines.admit()).collect();
        assert_eq!(written, [0; 20]);
        tokio::time::advance(WINDOW - Duration::from_millis(1)).await;
        assert_eq!(lines.admit(), None, "the minute is not over");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(lines.admit(), Some(6));
        assert_eq!(lines.admit(), Some(0));
        tokio::time::advance(WINDOW * 3).await;
        assert_eq!(lines.admit(), Some(0), "none was missing");
    }
}
