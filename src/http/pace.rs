//! How fast something may come: a pace that is kept over time, with a burst.

use std::time::Duration;
use tokio::time::Instant;

/// A pace of so many a second. What comes faster is refused or has to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two, when they come evenly.
    interval: Duration,
    /// How far ahead of its pace something may come.
    burst: Duration,
    /// When the next one is due by the pace; in the past while there is room for a burst.
    due: Option<Instant>,
}

impl Pace {
    /// `burst`: how many may come at once.
    pub(super) fn new(per_second: usize, burst: usize) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let interval = Duration::from_secs(1) / count(per_second);
        Pace { interval, burst: interval.saturating_mul(count(burst)), due: None }
    }

    /// Counts one more, unless it comes too fast.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let early = self.early(now);
        if early + self.interval > self.burst {
            return false;
        }
        self.due = Some(now + early + self.interval);
        true
    }

    /// Counts one more, and answers how long it has to wait.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let early = self.early(now);
        self.due = Some(now + early + self.interval);
        (early + self.interval).saturating_sub(self.burst)
    }

    /// Whether nothing is remembered that would slow the next one down.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        self.early(now).is_zero()
    }

    fn early(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let (mut pace, now) = (Pace::new(4, 4), Instant::now());
        let taken = |pace: &mut Pace, ms| pace.take(now + Duration::from_millis(ms));
        assert_eq!([0; 5].map(|at| taken(&mut pace, at)), [true, true, true, true, false]);
        assert_eq!([249, 250, 250, 500].map(|at| taken(&mut pace, at)), [false, true, false, true]);
        assert!(
            !pace.is_rested(now + Duration::from_millis(1_499)) && pace.is_rested(now + Duration::from_millis(1_500))
        );
        assert_eq!([2_000; 5].map(|at| taken(&mut pace, at)), [true, true, true, true, false], "rested, as at first");
    }

    #[test]
    fn what_waits_waits_for_its_turn() {
        let (mut pace, now) = (Pace::new(10, 10), Instant::now());
        let waits: Vec<_> = (0..13).map(|_| pace.wait(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
    }
}
