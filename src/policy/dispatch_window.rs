//! Dispatches of one platform within its pacing window. Pure.
//!
//! Invariant: within any span of the window's length there are no more dispatches than the limit allows. Each dispatch
//! leaves the window one window length after it was made. Where the limit is large, dispatches close to one another
//! share an entry, which leaves with the latest time that any of them could have: that may delay a dispatch slightly
//! and never admits one too many.

use super::{
    deadline::{ClockReadings, signed_ms},
    settings::RateLimit,
};
use crate::{
    clock::{Moment, WallMs},
    store::policy::{DispatchRow, WindowRow},
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Most entries of a window. Up to this limit each dispatch has an entry of its own.
const ENTRIES_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq)]
struct WindowEntry {
    number: i64,
    leaves_at: Instant,
    /// Wall time of the first dispatch of the entry.
    at: WallMs,
    count: usize,
    /// The stored row of a dispatch that an earlier process made.
    kept: Option<DispatchRow>,
}

/// A sliding window over the dispatches of a platform.
#[derive(Debug)]
pub(super) struct DispatchWindow {
    limit: usize,
    span: Duration,
    /// Time span of the dispatches that share an entry; zero when none do.
    grain: Duration,
    entries: VecDeque<WindowEntry>,
    count: usize,
    next_number: i64,
    last_at: Option<WallMs>,
    /// Wall time of the last dispatch that has left.
    left_at: Option<WallMs>,
    /// Number of the first entry that changed since the last call of [`changes`](Self::changes).
    unsaved_from: i64,
    unsaved: bool,
}

impl DispatchWindow {
    pub(super) fn new(limits: &RateLimit) -> Self {
        let limit = limits.requests_per_minute_per_platform;
        assert!(limit > 0, "a limit of 0 would never admit a request");
        let span = Duration::from_millis(limits.window_ms);
        let grain = if limit <= ENTRIES_MAX { Duration::ZERO } else { span / (ENTRIES_MAX as u32) };
        DispatchWindow {
            limit,
            span,
            grain,
            entries: VecDeque::new(),
            count: 0,
            next_number: 1,
            last_at: None,
            left_at: None,
            unsaved_from: 1,
            unsaved: false,
        }
    }

    pub(super) fn restored(limits: &RateLimit, row: &WindowRow, readings: &ClockReadings) -> Self {
        let mut window = DispatchWindow::new(limits);
        (window.last_at, window.left_at) = (row.last_dispatched_at, row.last_dispatched_at);
        let span_ms = i64::try_from(limits.window_ms).unwrap_or(i64::MAX);
        for kept in &row.dispatches {
            window.next_number = window.next_number.max(kept.number.saturating_add(1));
            let until = kept.at.saturating_add(span_ms);
            let uptime_ms = kept.uptime_ms.map(|ms| ms.saturating_add(span_ms));
            let left = readings.left_ms(until, uptime_ms, kept.boot_id.as_ref(), span_ms);
            let count = usize::try_from(kept.count).unwrap_or(usize::MAX);
            if left > 0 && count > 0 {
                let left = Duration::from_millis(left.unsigned_abs()) + window.grain;
                let (number, at) = (kept.number, kept.at);
                let leaves_at = readings.now.instant + left;
                let entry = WindowEntry { number, leaves_at, at, count, kept: Some(kept.clone()) };
                window.count = window.count.saturating_add(count);
                window.entries.push_back(entry);
            }
        }
        // The wall clock may have been set between two dispatches.
        window.entries.make_contiguous().sort_by_key(|entry| entry.leaves_at);
        window.unsaved_from = window.next_number;
        window.unsaved = true; // what has left meanwhile is to be forgotten
        window
    }

    /// Returns the number of dispatches in the window, after removing those that have left.
    pub(super) fn count(&mut self, now: Instant) -> usize {
        while self.entries.front().is_some_and(|first| first.leaves_at <= now) {
            if let Some(left) = self.entries.pop_front() {
                self.count -= left.count;
                self.left_at = self.left_at.max(Some(left.at));
                self.unsaved = true;
            }
        }
        self.count
    }

    pub(super) fn last_at(&self) -> Option<WallMs> {
        self.last_at
    }

    /// Returns when there is room for one more dispatch after `ahead` others; `None` if there is room now.
    pub(super) fn room_at(&mut self, ahead: usize, now: Instant) -> Option<Instant> {
        let count = self.count(now);
        // Number of dispatches that have to leave first. Those ahead enter the window too, in rounds of `limit`.
        let mut over =
            (count.saturating_add(ahead).saturating_add(1)).checked_sub(self.limit).filter(|over| *over > 0)?;
        let rounds = u32::try_from((over - 1) / self.limit).unwrap_or(u32::MAX);
        over -= rounds as usize * self.limit;
        let mut leaving = 0;
        let last = self.entries.iter().find(|entry| {
            leaving += entry.count;
            leaving >= over
        });
        let first_round = last.or(self.entries.back()).map_or(now + self.span, |entry| entry.leaves_at);
        Some(first_round + self.span.saturating_mul(rounds))
    }

    /// Records a dispatch and returns its number, by which it can be removed again.
    pub(super) fn record(&mut self, now: Moment) -> i64 {
        debug_assert!(self.room_at(0, now.instant).is_none(), "the window is full");
        self.count += 1;
        self.last_at = Some(now.wall);
        self.unsaved = true;
        let leaves_at = now.instant + self.span;
        if let Some(last) = self.entries.back_mut()
            && self.grain > Duration::ZERO
            && last.kept.is_none()
            && leaves_at <= last.leaves_at
        {
            last.count += 1;
            self.unsaved_from = self.unsaved_from.min(last.number);
            return last.number;
        }
        let number = self.next_number;
        self.next_number += 1;
        let leaves_at = leaves_at + self.grain;
        self.entries.push_back(WindowEntry { number, leaves_at, at: now.wall, count: 1, kept: None });
        number
    }

    /// Moves a recorded dispatch to the later time at which it was really made.
    pub(super) fn went_out(&mut self, number: i64, at: Moment) {
        // Shared entries already leave later than this correction would require.
        let Some(place) = self.entries.iter().rposition(|entry| entry.number == number && entry.count == 1) else {
            return;
        };
        let Some(mut entry) = self.entries.remove(place) else { return };
        entry.leaves_at = entry.leaves_at.max(at.instant + self.span + self.grain);
        entry.at = at.wall;
        self.last_at = self.last_at.max(Some(at.wall));
        self.unsaved = true;
        self.unsaved_from = self.unsaved_from.min(number);
        let later = self.entries.iter().position(|other| other.leaves_at > entry.leaves_at);
        self.entries.insert(later.unwrap_or(self.entries.len()), entry);
    }

    /// Removes a recorded dispatch that was not made.
    pub(super) fn take_back(&mut self, number: i64) {
        // It may have left the window already.
        let Some(place) = self.entries.iter().rposition(|entry| entry.number == number) else { return };
        self.count -= 1;
        self.unsaved = true;
        self.unsaved_from = self.unsaved_from.min(number);
        self.entries[place].count -= 1;
        if self.entries[place].count == 0 {
            self.entries.remove(place);
            self.last_at = self.entries.iter().map(|entry| entry.at).max().or(self.left_at);
        }
    }

    /// Returns what has changed since the last call: the lowest number still in the window and the changed rows.
    pub(super) fn changes(&mut self, readings: &ClockReadings) -> Option<(i64, Vec<DispatchRow>)> {
        self.count(readings.now.instant);
        if !std::mem::take(&mut self.unsaved) {
            return None;
        }
        let from = std::mem::replace(&mut self.unsaved_from, self.next_number);
        let row = |entry: &WindowEntry| {
            let came_at = entry.leaves_at - self.grain - self.span;
            DispatchRow {
                number: entry.number,
                at: entry.at,
                uptime_ms: readings.uptime_at(came_at),
                boot_id: readings.boot_id(),
                count: i64::try_from(entry.count).unwrap_or(i64::MAX),
            }
        };
        let changed = self.entries.iter().filter(|entry| entry.number >= from && entry.kept.is_none());
        let keep_from = self.entries.iter().map(|entry| entry.number).min().unwrap_or(self.next_number);
        let mut changed: Vec<_> = changed.map(row).collect();
        changed.sort_unstable_by_key(|row| row.number); // one may have gone out after a later one
        Some((keep_from, changed))
    }
}

/// Returns the milliseconds until an instant, rounded up; 0 if it has passed.
pub(super) fn ms_until(now: Instant, then: Instant) -> u64 {
    u64::try_from(signed_ms(now, then)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
