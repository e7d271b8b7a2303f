//! What waits to be written: a bounded queue that loses its oldest rows first.
//!
//! ```text
//! push ─► rows ─► take (a chunk, in hand) ─► written
//!          ▲                │
//!          └── put_back ────┘
//! ```

use crate::store::requests::RequestRow;
use std::collections::VecDeque;

/// How many rows of room stay allocated when nothing waits.
const KEPT_ROWS: usize = 256;

/// Rows in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: VecDeque<RequestRow>,
    /// How many rows ever came.
    pushed: u64,
    /// How many left without being written, ever.
    lost: u64,
    /// How many of them since the last success.
    dropped: u64,
    /// Whether the writer knows that there is something to do.
    awake: bool,
}

/// What pushing a row meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// The writer sleeps and must be woken.
    pub(super) wake: bool,
    /// This was the first row that was lost since the last success.
    pub(super) overflowed: bool,
}

impl Queue {
    pub(super) fn push(&mut self, row: RequestRow, max_rows: usize) -> Pushed {
        let full = self.rows.len() >= max_rows;
        if full {
            self.rows.pop_front();
            self.lose(1);
        }
        self.rows.push_back(row);
        self.pushed += 1;
        let wake = !std::mem::replace(&mut self.awake, true);
        Pushed { wake, overflowed: full && self.dropped == 1 }
    }

    /// Moves the oldest rows into `chunk`.
    pub(super) fn take(&mut self, chunk: &mut Vec<RequestRow>, most: usize) {
        let count = self.rows.len().min(most);
        chunk.extend(self.rows.drain(..count));
    }

    /// Puts a chunk that could not be written in front again, as far as there is room; the oldest rows fall out.
    pub(super) fn put_back(&mut self, chunk: &mut Vec<RequestRow>, max_rows: usize) {
        let room = max_rows.saturating_sub(self.rows.len());
        let lost = chunk.len().saturating_sub(room);
        self.lose(lost);
        for row in chunk.drain(..).skip(lost).rev() {
            self.rows.push_front(row);
        }
    }

    /// Counts rows that are lost for another reason than a full queue.
    pub(super) fn lose(&mut self, rows: usize) {
        self.lost += rows as u64;
        self.dropped += rows as u64;
    }

    /// Loses everything, because the store will not come back.
    pub(super) fn give_up(&mut self) {
        self.lose(self.rows.len());
        self.rows.clear();
        self.rest();
    }

    /// How many rows were ever lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Notes a success; answers how many rows were lost before it.
    pub(super) fn succeed(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The number of the newest row that came.
    pub(super) fn newest(&self) -> u64 {
        self.pushed
    }

    /// The number of the newest row that is no longer here; what is in hand counts as gone.
    pub(super) fn left(&self) -> u64 {
        self.pushed - self.rows.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Lets the writer sleep when nothing waits, and gives the memory of a burst back; answers whether it may.
    pub(super) fn rest(&mut self) -> bool {
        if self.rows.is_empty() {
            self.rows.shrink_to(KEPT_ROWS);
            self.awake = false;
        }
        !self.awake
    }

    /// Whether everything that came has left and nothing is in hand.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.awake
    }
}

/// Gives the memory of a big chunk back.
pub(super) fn shrink(chunk: &mut Vec<RequestRow>) {
    chunk.shrink_to(KEPT_ROWS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::requests::tests::row;

    fn ids(queue: &Queue) -> Vec<i64> {
        queue.rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn only_the_first_row_wakes_the_writer_until_it_rests() {
        let mut queue = Queue::default();
        assert!(queue.push(row(1), 9).wake);
        assert!(!queue.push(row(2), 9).wake);
        assert!(!queue.rest(), "rows wait");
        queue.take(&mut Vec::new(), 9);
        assert!(!queue.push(row(3), 9).wake, "the writer has not rested yet");
        queue.take(&mut Vec::new(), 9);
        assert!(queue.rest() && queue.is_at_rest());
        assert!(queue.push(row(4), 9).wake);
    }

    #[test]
    fn a_full_queue_loses_its_oldest_rows_and_says_so_once_an_outage() {
        let mut queue = Queue::default();
        let overflowed: Vec<_> = (1..=5).map(|id| queue.push(row(id), 3).overflowed).collect();
        assert_eq!(overflowed, [false, false, false, true, false]);
        assert_eq!(ids(&queue), [3, 4, 5]);
        assert_eq!((queue.succeed(), queue.succeed(), queue.lost()), (2, 0, 2));
        assert!(queue.push(row(6), 3).overflowed, "a new outage");
    }

    #[test]
    fn what_is_put_back_stands_in_front_as_far_as_there_is_room() {
        let (mut queue, mut chunk) = (Queue::default(), Vec::new());
        (1..=4).for_each(|id| {
            queue.push(row(id), 5);
        });
        queue.take(&mut chunk, 3);
        assert_eq!((queue.left(), queue.newest()), (3, 4));
        (5..=6).for_each(|id| {
            queue.push(row(id), 5);
        });
        queue.put_back(&mut chunk, 5);
        assert_eq!(ids(&queue), [2, 3, 4, 5, 6]);
        assert_eq!((chunk.len(), queue.lost(), queue.left()), (0, 1, 1));
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back() {
        let (mut queue, mut chunk) = (Queue::default(), Vec::new());
        (1..=10_000).for_each(|id| {
            queue.push(row(id), 20_000);
        });
        queue.take(&mut chunk, 10_000);
        chunk.clear();
        assert!(queue.rest());
        shrink(&mut chunk);
        assert!(queue.rows.capacity() <= 2 * KEPT_ROWS && chunk.capacity() <= 2 * KEPT_ROWS);
    }
}
