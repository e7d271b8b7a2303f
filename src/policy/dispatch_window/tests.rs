//! The window's invariant, what it foretells, and what it keeps.

use super::*;
use crate::clock::uptime::Uptime;

const LIMIT: RateLimit = RateLimit { requests_per_minute_per_platform: 3, window_ms: 1_000 };
/// So large that entries are shared: ten milliseconds each.
const LARGE: RateLimit = RateLimit { requests_per_minute_per_platform: 5_000, window_ms: 40_960 };

/// Moments on one timeline.
struct Timeline(Instant);

impl Timeline {
    fn new() -> Self {
        Timeline(Instant::now())
    }

    fn at(&self, ms: u64) -> Moment {
        Moment { instant: self.0 + Duration::from_millis(ms), wall: 1_000_000 + ms as i64 }
    }

    fn readings(&self, ms: u64, boot: &str) -> ClockReadings {
        let uptime = Some(Uptime { boot_id: boot.into(), ms: 50_000 + ms as i64 });
        ClockReadings { now: self.at(ms), uptime }
    }
}

#[test]
fn the_next_goes_when_the_oldest_leaves() {
    let (time, mut window) = (Timeline::new(), DispatchWindow::new(&LIMIT));
    for ms in [0, 100, 200] {
        assert_eq!(window.room_at(0, time.at(ms).instant), None);
        window.record(time.at(ms));
    }
    assert_eq!((window.count(time.at(999).instant), window.last_at()), (3, Some(1_000_200)));
    for (ahead, at) in [(0, 1_000), (1, 1_100), (2, 1_200), (3, 2_000), (5, 2_200), (6, 3_000)] {
        let room = window.room_at(ahead, time.at(300).instant);
        assert_eq!(room, Some(time.at(at).instant), "{ahead} ahead");
    }
    assert_eq!(window.room_at(0, time.at(1_000).instant), None, "the oldest has left");
    assert_eq!(window.count(time.at(1_100).instant), 1);
}

#[test]
fn what_is_taken_back_makes_room() {
    let (time, mut window) = (Timeline::new(), DispatchWindow::new(&LIMIT));
    let numbers: Vec<_> = (0..3).map(|ms| window.record(time.at(ms))).collect();
    window.take_back(numbers[1]);
    assert_eq!((window.count(time.at(5).instant), window.room_at(0, time.at(5).instant)), (2, None));
    window.take_back(numbers[1]);
    assert_eq!(window.count(time.at(5).instant), 2, "only once");
}

#[test]
fn a_large_limit_shares_entries_and_lets_none_more_go() {
    let (time, mut window) = (Timeline::new(), DispatchWindow::new(&LARGE));
    let mut went = VecDeque::new();
    // Ten a millisecond are tried for three windows.
    for ms in 0..3 * LARGE.window_ms {
        let now = time.at(ms);
        for _ in 0..10 {
            if window.room_at(0, now.instant).is_none() {
                window.record(now);
                went.push_back(ms);
            }
        }
        while went.front().is_some_and(|first| first + LARGE.window_ms <= ms) {
            went.pop_front();
        }
        assert!(went.len() <= 5_000, "{} within the window at {ms}", went.len());
        assert!(window.entries.len() <= ENTRIES_MAX + 1);
    }
    assert!(window.entries.len() < 100, "500 ms of dispatches in entries of 10 ms: {}", window.entries.len());
}

#[test]
fn what_is_kept_is_what_changed() {
    let (time, mut window) = (Timeline::new(), DispatchWindow::new(&LIMIT));
    assert_eq!(window.changes(&time.readings(0, "a")), None);
    window.record(time.at(0));
    window.record(time.at(10));
    let (keep_from, rows) = window.changes(&time.readings(10, "a")).unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.number, row.at, row.uptime_ms, row.count)).collect();
    assert_eq!((keep_from, shown), (1, vec![(1, 1_000_000, Some(50_000), 1), (2, 1_000_010, Some(50_010), 1)]));
    assert_eq!(window.changes(&time.readings(20, "a")), None, "nothing new");
    window.record(time.at(500));
    let (keep_from, rows) = window.changes(&time.readings(1_005, "a")).unwrap();
    assert_eq!((keep_from, rows.len(), rows[0].number), (2, 1, 3), "the first has left, the third is new");
    let (keep_from, rows) = window.changes(&time.readings(9_000, "a")).unwrap();
    assert_eq!((keep_from, rows.is_empty()), (4, true), "all have left");
}

fn kept(time: &Timeline, at: u64) -> WindowRow {
    let mut window = DispatchWindow::new(&LIMIT);
    let numbers = [0, 400, 800].map(|ms| window.record(time.at(ms)));
    assert_eq!(numbers, [1, 2, 3]);
    let (keep_from, dispatches) = window.changes(&time.readings(at, "a")).unwrap();
    WindowRow { platform: "claude".into(), last_dispatched_at: window.last_at(), keep_from, dispatches }
}

#[test]
fn a_window_holds_across_a_restart() {
    let time = Timeline::new();
    let mut window = DispatchWindow::restored(&LIMIT, &kept(&time, 900), &time.readings(1_100, "a"));
    assert_eq!((window.count(time.at(1_100).instant), window.last_at()), (2, Some(1_000_800)));
    assert_eq!(window.record(time.at(1_100)), 4, "numbers go on");
    assert_eq!(window.room_at(0, time.at(1_100).instant), Some(time.at(1_400).instant));
    let (keep_from, rows) = window.changes(&time.readings(1_100, "b")).unwrap();
    assert_eq!((keep_from, rows.len()), (2, 1), "what was kept before is not kept again");
    let mut over = DispatchWindow::restored(&LIMIT, &kept(&time, 900), &time.readings(2_000, "a"));
    assert_eq!(over.count(time.at(2_000).instant), 0, "a window that ended meanwhile is over");
}

#[test]
fn a_clock_that_was_set_neither_locks_nor_opens_the_window() {
    let time = Timeline::new();
    const DAY: i64 = 86_400_000;
    for (boot, jump, count) in [("a", -DAY, 2), ("a", DAY, 2), ("b", 0, 2), ("b", -DAY, 3)] {
        let mut readings = time.readings(1_100, boot);
        readings.now.wall += jump;
        let mut window = DispatchWindow::restored(&LIMIT, &kept(&time, 900), &readings);
        assert_eq!(window.count(time.at(1_100).instant), count, "boot {boot}, {jump} ms");
        assert_eq!(window.count(time.at(2_100).instant), 0, "boot {boot}: at most one window long");
    }
}
