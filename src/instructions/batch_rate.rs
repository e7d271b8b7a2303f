//! Rate limit for live batches per minute, as a value: time is a parameter.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A sliding window over the live batches of the last minute.
#[derive(Debug)]
pub(super) struct BatchRateLimiter {
    max: usize,
    came: VecDeque<Instant>,
}

impl BatchRateLimiter {
    pub(super) fn new(max: usize) -> Self {
        BatchRateLimiter { max, came: VecDeque::new() }
    }

    /// Whether one more batch would exceed the limit.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        while self.came.front().is_some_and(|came| now.duration_since(*came) >= MINUTE) {
            self.came.pop_front();
        }
        self.came.len() >= self.max
    }

    /// Records a batch. Beyond the limit only the latest are kept, so that a flood keeps the limit reached without
    /// using memory.
    pub(super) fn count(&mut self, now: Instant) {
        self.came.push_back(now);
        if self.came.len() > self.max {
            self.came.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_takes_as_many_as_may_be() {
        let (mut rate, begin) = (BatchRateLimiter::new(2), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for (seconds, full) in [(0, false), (10, false), (20, true), (59, true)] {
            assert_eq!(rate.is_full(at(seconds)), full, "{seconds}");
            if !full {
                rate.count(at(seconds));
            }
        }
        assert!(!rate.is_full(at(60)), "the first is a minute old");
        rate.count(at(60));
        assert!(rate.is_full(at(69)) && !rate.is_full(at(70)));
    }

    #[test]
    fn a_bound_of_none_is_always_reached_and_a_flood_takes_no_memory() {
        let (mut rate, now) = (BatchRateLimiter::new(0), Instant::now());
        for _ in 0..1_000 {
            assert!(rate.is_full(now));
            rate.count(now);
        }
        assert!(rate.came.len() <= 1);
    }
}
