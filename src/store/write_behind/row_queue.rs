//! The queue of rows to be written, bounded in rows and bytes; a full queue drops its oldest rows.
//!
//! ```text
//! push ─► rows ─► take (a chunk, in hand) ─► written
//!          ▲                │
//!          └── put_back ────┘
//! ```
//!
//! The queue has at most one row per key: a newer row replaces an older one and takes over its data. So a client that
//! repeats itself cannot push out other rows. Rows are numbered on arrival; the number determines the position.
//!
//! A login that is reported again keeps its position, so that a flush need not wait for later rows. When a full queue would
//! drop it, it moves to the end instead, once for all its reports, so that the latest reports are not dropped first.
//!
//! Policy rows move to the end each time, so that they are dropped only when no other rows are queued.

use super::pending_row::{LoginOrder, PendingRow, RowKey};
use crate::store::logins::LoginLimits;
use foldhash::HashMap;
use std::{
    collections::{VecDeque, hash_map::Entry},
    mem,
};

/// Capacity that stays allocated when the queue is empty, in rows.
const RETAINED_ROWS: usize = 256;

/// Limits of the queue and of a login row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowQueueLimits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) limits: LoginLimits,
}

/// Pending rows in order of arrival.
#[derive(Debug)]
pub(super) struct RowQueue {
    bounds: RowQueueLimits,
    rows: VecDeque<PendingRow>,
    /// Weight of all rows, in bytes.
    bytes: usize,
    /// Row numbers by key.
    keyed: HashMap<RowKey, u64>,
    /// Number of rows that are evicted last.
    last: usize,
    /// Number of rows ever appended, without those merged into another.
    pushed: u64,
    /// Number of rows ever pushed, including merged ones.
    told: u64,
    /// Number of rows ever lost.
    lost: u64,
    /// Number of rows lost since the last success.
    dropped: u64,
    /// Whether the writer was woken.
    awake: bool,
}

/// Outcome of a push.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PushOutcome {
    /// Whether the writer has to be woken.
    pub(super) wake: bool,
    /// Whether this is the first loss since the last success.
    pub(super) overflowed: bool,
    /// Kind and weight of a row that exceeds the capacity of the queue and was dropped.
    pub(super) oversized: Option<(&'static str, usize)>,
}

impl RowQueue {
    pub(super) fn new(bounds: RowQueueLimits) -> Self {
        RowQueue {
            bounds,
            rows: VecDeque::new(),
            bytes: 0,
            keyed: HashMap::default(),
            last: 0,
            pushed: 0,
            told: 0,
            lost: 0,
            dropped: 0,
            awake: false,
        }
    }

    pub(super) fn push(&mut self, mut row: PendingRow) -> PushOutcome {
        let dropped = self.dropped;
        self.told += 1;
        if let PendingRow::Login(_, order) = &mut row {
            *order = LoginOrder { at: self.told, again: false };
        }
        let weight = row.weight();
        if weight > self.bounds.bytes {
            // It would evict everything else and then itself.
            self.discard(1);
            return PushOutcome { oversized: Some((row.kind(), weight)), ..PushOutcome::default() };
        }
        self.enqueue(row);
        self.evict();
        let wake = !self.rows.is_empty() && !mem::replace(&mut self.awake, true);
        PushOutcome { wake, overflowed: dropped == 0 && self.dropped > 0, oversized: None }
    }

    fn enqueue(&mut self, mut row: PendingRow) {
        if let Some(key) = row.key() {
            let left = self.left();
            match self.keyed.entry(key) {
                Entry::Occupied(waiting) => {
                    let waiting = &mut self.rows[place(*waiting.get(), left)];
                    self.bytes -= waiting.weight();
                    mem::swap(waiting, &mut row);
                    waiting.absorb(row, &self.bounds.limits);
                    if let PendingRow::Login(_, order) = waiting {
                        order.again = true;
                    }
                    self.bytes += waiting.weight();
                    return;
                }
                Entry::Vacant(free) => free.insert(self.pushed),
            };
        }
        self.append(row);
    }

    fn append(&mut self, row: PendingRow) {
        self.bytes += row.weight();
        self.last += usize::from(row.is_evicted_last());
        self.rows.push_back(row);
        self.pushed += 1;
    }

    /// Evicts the oldest rows until the queue is within its limits.
    fn evict(&mut self) {
        while self.rows.len() > self.bounds.rows || self.bytes > self.bounds.bytes {
            let row = match self.pop() {
                Some(PendingRow::Login(row, LoginOrder { at, again: true })) => {
                    PendingRow::Login(row, LoginOrder { at, again: false })
                }
                Some(row) if row.is_evicted_last() && self.rows.len() > self.last => row,
                _ => {
                    self.lose(1);
                    continue;
                }
            };
            self.keyed.extend(row.key().map(|key| (key, self.pushed)));
            self.append(row);
        }
    }

    fn pop(&mut self) -> Option<PendingRow> {
        let row = self.rows.pop_front()?;
        self.bytes -= row.weight();
        self.last -= usize::from(row.is_evicted_last());
        if let Some(key) = row.key() {
            self.keyed.remove(&key);
        }
        Some(row)
    }

    /// Moves the oldest rows into `chunk`: at most `most_rows`, and at most `most_bytes` unless the first row is
    /// larger.
    pub(super) fn take(&mut self, chunk: &mut Vec<PendingRow>, most_rows: usize, most_bytes: usize) {
        let (mut count, mut bytes) = (0, 0);
        for row in self.rows.iter().take(most_rows) {
            let weight = row.weight();
            if bytes + weight > most_bytes && count > 0 {
                break;
            }
            (count, bytes) = (count + 1, bytes + weight);
            self.last -= usize::from(row.is_evicted_last());
        }
        self.bytes -= bytes;
        // Moved at once, because the request path waits for this lock.
        if !self.keyed.is_empty() {
            for key in self.rows.iter().take(count).filter_map(PendingRow::key) {
                self.keyed.remove(&key);
            }
        }
        chunk.extend(self.rows.drain(..count));
    }

    /// Returns a chunk that could not be written to the front, as far as there is room; the oldest rows are dropped.
    ///
    /// A row with a newer version in the queue is merged into it.
    pub(super) fn put_back(&mut self, chunk: &mut Vec<PendingRow>) {
        let mut full = false;
        for row in chunk.drain(..).rev() {
            let key = row.key();
            if let Some(number) = key.as_ref().and_then(|key| self.keyed.get(key)) {
                let place = place(*number, self.left());
                let newer = &mut self.rows[place];
                self.bytes -= newer.weight();
                newer.absorb(row, &self.bounds.limits);
                self.bytes += newer.weight();
                continue;
            }
            let weight = row.weight();
            full |= self.rows.len() >= self.bounds.rows || self.bytes + weight > self.bounds.bytes;
            if full && !row.is_evicted_last() {
                self.lose(1);
                continue;
            }
            self.last += usize::from(row.is_evicted_last());
            self.rows.push_front(row);
            self.bytes += weight;
            let number = self.left();
            self.keyed.extend(key.map(|key| (key, number)));
        }
        self.evict(); // what absorbed has backoff_delay, what falls last came beyond the bounds
    }

    /// Counts rows lost for a reason of their own, which says nothing about other rows.
    pub(super) fn discard(&mut self, rows: usize) {
        self.lost += rows as u64;
    }

    /// Counts rows lost because they could not be written or kept.
    pub(super) fn lose(&mut self, rows: usize) {
        self.lost += rows as u64;
        self.dropped += rows as u64;
    }

    /// Drops everything, because the store is closed for good.
    pub(super) fn give_up(&mut self) {
        self.lose(self.rows.len());
        self.rows.clear();
        self.keyed.clear();
        (self.bytes, self.last) = (0, 0);
        self.try_sleep();
    }

    /// Returns the number of rows ever lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Records a successful write; returns the number of rows lost before it.
    pub(super) fn succeed(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }

    /// Returns the number of the newest row.
    pub(super) fn newest(&self) -> u64 {
        self.pushed
    }

    /// Returns the number of the newest row that has left the queue; rows being written count as left.
    pub(super) fn left(&self) -> u64 {
        self.pushed - self.rows.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Puts the writer to sleep if the queue is empty and releases memory; returns whether it sleeps.
    pub(super) fn try_sleep(&mut self) -> bool {
        if self.rows.is_empty() {
            self.rows.shrink_to(RETAINED_ROWS);
            self.keyed.shrink_to(RETAINED_ROWS);
            self.awake = false;
        }
        !self.awake
    }

    /// Whether the queue is empty and nothing is being written.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.awake
    }
}

/// Returns the index of a row in the queue.
fn place(number: u64, left: u64) -> usize {
    usize::try_from(number - left).expect("a row that waits has not left")
}

/// Releases the memory of a large chunk.
pub(super) fn shrink(chunk: &mut Vec<PendingRow>) {
    chunk.shrink_to(RETAINED_ROWS);
}

#[cfg(test)]
mod tests;
