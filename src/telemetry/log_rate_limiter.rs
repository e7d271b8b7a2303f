//! A rate limiter for log lines that any peer can cause, so that none can fill the log.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Lines per window.
const LINES_MAX: u32 = 20;

/// Limits the log lines of one kind.
#[derive(Debug)]
pub struct LogRateLimiter(Mutex<Option<RateWindow>>);

#[derive(Debug)]
struct RateWindow {
    began: Instant,
    lines: u32,
}

impl LogRateLimiter {
    /// Creates a limiter.
    pub const fn new() -> Self {
        LogRateLimiter(Mutex::new(None))
    }

    /// Returns whether a line may be written: `Some` with the number of lines that were suppressed in the previous window.
    pub fn admit(&self) -> Option<u32> {
        let now = Instant::now();
        let mut window = self.0.lock();
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
    async fn the_next_window_has_the_number_of_suppressed_lines() {
        let lines = LogRateLimiter::new();
        let written: Vec<_> = (0..25).filter_map(|_| lines.admit()).collect();
        assert_eq!(written, [0; 20]);
        tokio::time::advance(WINDOW - Duration::from_millis(1)).await;
        assert_eq!(lines.admit(), None, "the window has not ended");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(lines.admit(), Some(6));
        assert_eq!(lines.admit(), Some(0));
        tokio::time::advance(WINDOW * 3).await;
        assert_eq!(lines.admit(), Some(0), "none was suppressed");
    }
}
