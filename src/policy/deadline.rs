//! Deadlines that hold across restarts: measured by the monotonic clock, shown and stored in wall time.

use crate::{
    clock::uptime::Uptime,
    clock::{Moment, WallMs},
    store::policy::DeadlineRow,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Longest deadline, in milliseconds. Bounds what an upstream can ask for in `retry-after`.
pub(super) const DEADLINE_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// Tolerated deviation of the wall clock, in milliseconds, before a shown time is derived anew.
const WALL_DRIFT_MAX_MS: i64 = 1_000;

/// One reading of all clocks, for values that outlive the process.
#[derive(Clone, Debug)]
pub(super) struct ClockReadings {
    pub(super) now: Moment,
    pub(super) uptime: Option<Uptime>,
}

impl ClockReadings {
    /// Returns the current uptime if `boot` is the current boot.
    fn uptime_in(&self, boot: Option<&Arc<str>>) -> Option<i64> {
        self.uptime.as_ref().filter(|uptime| Some(&uptime.boot_id) == boot).map(|uptime| uptime.ms)
    }

    pub(super) fn boot_id(&self) -> Option<Arc<str>> {
        self.uptime.as_ref().map(|uptime| Arc::clone(&uptime.boot_id))
    }

    /// Returns the uptime at an instant near now.
    pub(super) fn uptime_at(&self, instant: Instant) -> Option<i64> {
        self.uptime.as_ref().map(|uptime| uptime.ms.saturating_add(signed_ms(self.now.instant, instant)))
    }

    /// Returns how many of `span_ms` remain until a stored time: by uptime if it was stored during the current boot,
    /// else by the wall clock. The result never exceeds `span_ms`, so a clock that was set back cannot prolong it.
    pub(super) fn left_ms(&self, until: WallMs, uptime_ms: Option<i64>, boot: Option<&Arc<str>>, span_ms: i64) -> i64 {
        let by_uptime = uptime_ms.zip(self.uptime_in(boot)).map(|(until, now)| until.saturating_sub(now));
        by_uptime.unwrap_or_else(|| until.saturating_sub(self.now.wall)).clamp(0, span_ms.max(0))
    }
}

/// Returns the milliseconds from one instant to another, rounded up.
pub(super) fn signed_ms(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(ahead) => i64::try_from(ahead.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX),
        None => -i64::try_from((from - to).as_millis()).unwrap_or(i64::MAX),
    }
}

/// The end of a back-off or of an open circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    at: Instant,
    /// Wall time of the end as it was first shown.
    shown_wall: WallMs,
    span_ms: u64,
}

impl Deadline {
    /// Creates a deadline `ms` milliseconds from now, at most [`DEADLINE_MAX_MS`].
    pub(super) fn after(ms: u64, now: Moment) -> Self {
        let span_ms = ms.min(DEADLINE_MAX_MS);
        let shown_wall = now.wall.saturating_add(span_ms as i64);
        Deadline { at: now.instant + Duration::from_millis(span_ms), shown_wall, span_ms }
    }

    pub(super) fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// Returns the remaining milliseconds, rounded up.
    pub(super) fn left_ms(&self, now: Instant) -> u64 {
        u64::try_from(signed_ms(now, self.at)).unwrap_or(0)
    }

    /// Returns the later of the two.
    pub(super) fn max(self, other: Option<Deadline>) -> Self {
        other.filter(|other| other.at > self.at).unwrap_or(self)
    }

    /// Returns the wall time of the end: as first shown, unless the wall clock was set since.
    pub(super) fn wall(&self, now: Moment) -> WallMs {
        let derived = now.wall.saturating_add(signed_ms(now.instant, self.at));
        if (derived - self.shown_wall).abs() <= WALL_DRIFT_MAX_MS { self.shown_wall } else { derived }
    }

    pub(super) fn row(&self, readings: &ClockReadings) -> DeadlineRow {
        let span_ms = i64::try_from(self.span_ms).unwrap_or(i64::MAX);
        DeadlineRow { until: self.wall(readings.now), uptime_ms: readings.uptime_at(self.at), span_ms }
    }

    /// Restores a stored deadline, possibly of an earlier process.
    pub(super) fn restored(row: &DeadlineRow, boot: Option<&Arc<str>>, readings: &ClockReadings) -> Self {
        let left = readings.left_ms(row.until, row.uptime_ms, boot, row.span_ms);
        let mut deadline = Deadline::after(left.unsigned_abs(), readings.now);
        deadline.span_ms = row.span_ms.unsigned_abs().min(DEADLINE_MAX_MS);
        if (deadline.shown_wall - row.until).abs() <= WALL_DRIFT_MAX_MS {
            deadline.shown_wall = row.until;
        }
        deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000;

    fn readings(wall: WallMs, uptime: Option<(&str, i64)>) -> ClockReadings {
        let now = Moment { instant: Instant::now(), wall };
        ClockReadings { now, uptime: uptime.map(|(boot, ms)| Uptime { boot_id: boot.into(), ms }) }
    }

    #[test]
    fn what_is_left_after_a_downtime() {
        // Stored at wall time 1 000 000 and uptime 5 000 of boot "a": 60 s, of which 40 s remained.
        let row = DeadlineRow { until: 1_040_000, uptime_ms: Some(45_000), span_ms: 60_000 };
        let a: Arc<str> = "a".into();
        for (why, wall, uptime, left) in [
            ("ten seconds later", 1_010_000, Some(("a", 15_000)), 30_000),
            ("long over", 1_100_000, Some(("a", 105_000)), 0),
            ("the clock was set back by a day", 1_010_000 - DAY, Some(("a", 15_000)), 30_000),
            ("the clock was set forward by a day", 1_010_000 + DAY, Some(("a", 15_000)), 30_000),
            ("another boot", 1_010_000, Some(("b", 3_000)), 30_000),
            ("another boot, the clock back by a day", 1_010_000 - DAY, Some(("b", 3_000)), 60_000),
            ("no uptime to be had", 1_039_000, None, 1_000),
        ] {
            let readings = readings(wall, uptime);
            let restored = Deadline::restored(&row, Some(&a), &readings);
            assert_eq!(restored.left_ms(readings.now.instant), left, "{why}");
        }
    }

    #[test]
    fn the_wall_time_that_was_shown_first_is_kept_unless_the_clock_is_set() {
        let start = readings(1_000_000, None).now;
        let deadline = Deadline::after(60_000, start);
        let later = |ms: u64, wall| Moment { instant: start.instant + Duration::from_millis(ms), wall };
        assert_eq!(deadline.wall(later(10_000, 1_010_003)), 1_060_000, "clocks drift by a little");
        assert_eq!(deadline.wall(later(10_000, 1_010_000 + DAY)), 1_060_000 + DAY, "it was set");
    }

    #[test]
    fn a_kept_deadline_shows_the_same_wall_time() {
        let first = readings(1_000_000, Some(("a", 5_000)));
        let row = Deadline::after(60_000, first.now).row(&first);
        assert_eq!(row, DeadlineRow { until: 1_060_000, uptime_ms: Some(65_000), span_ms: 60_000 });
        let second = readings(1_002_000, Some(("a", 7_001)));
        let restored = Deadline::restored(&row, Some(&"a".into()), &second);
        assert_eq!(restored.row(&second).until, 1_060_000);
    }

    #[test]
    fn nothing_lasts_for_ever() {
        let now = readings(1_000_000, None).now;
        assert_eq!(Deadline::after(u64::MAX, now).left_ms(now.instant), DEADLINE_MAX_MS);
    }
}
