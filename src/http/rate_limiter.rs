//! A rate limiter with a burst (generic cell rate algorithm).

use std::time::Duration;
use tokio::time::Instant;

/// Limits events to a rate; an event above it is refused or delayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimiter {
    /// Time between two events at the exact rate.
    interval: Duration,
    /// How far ahead of the schedule an event may come.
    burst: Duration,
    /// When the schedule expects the next event; in the past while burst capacity is left.
    next_due: Option<Instant>,
}

impl RateLimiter {
    /// Creates a limiter of `per_second` events that admits `burst` at once.
    pub(super) fn new(per_second: usize, burst: usize) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let interval = Duration::from_secs(1) / count(per_second);
        RateLimiter { interval, burst: interval.saturating_mul(count(burst)), next_due: None }
    }

    /// Counts one event and returns `true`, unless it exceeds the rate.
    pub(super) fn try_acquire(&mut self, now: Instant) -> bool {
        let ahead = self.ahead(now);
        if ahead + self.interval > self.burst {
            return false;
        }
        self.next_due = Some(now + ahead + self.interval);
        true
    }

    /// Counts one event and returns how long it must be delayed.
    pub(super) fn reserve(&mut self, now: Instant) -> Duration {
        let ahead = self.ahead(now);
        self.next_due = Some(now + ahead + self.interval);
        (ahead + self.interval).saturating_sub(self.burst)
    }

    /// Returns whether the full burst is available again.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.ahead(now).is_zero()
    }

    fn ahead(&self, now: Instant) -> Duration {
        self.next_due.map_or(Duration::ZERO, |next_due| next_due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let (mut limiter, now) = (RateLimiter::new(4, 4), Instant::now());
        let acquired = |limiter: &mut RateLimiter, ms| limiter.try_acquire(now + Duration::from_millis(ms));
        assert_eq!([0; 5].map(|at| acquired(&mut limiter, at)), [true, true, true, true, false]);
        assert_eq!([249, 250, 250, 500].map(|at| acquired(&mut limiter, at)), [false, true, false, true]);
        assert!(
            !limiter.is_idle(now + Duration::from_millis(1_499)) && limiter.is_idle(now + Duration::from_millis(1_500))
        );
        assert_eq!(
            [2_000; 5].map(|at| acquired(&mut limiter, at)),
            [true, true, true, true, false],
            "rested, as at first"
        );
    }

    #[test]
    fn delayed_events_are_spaced_by_the_interval() {
        let (mut limiter, now) = (RateLimiter::new(10, 10), Instant::now());
        let delays: Vec<_> = (0..13).map(|_| limiter.reserve(now).as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
    }
}
