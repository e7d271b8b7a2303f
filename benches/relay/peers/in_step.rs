//! An event stream in step with its reader: each event is made when the one before was read.
//!
//! Every event is then read, handled and written by itself, however fast the service is, which makes its cost countable.

use super::{Peer, PeerLog, events::Events};
use std::cell::Cell;
use tokio::sync::Notify;

/// How far the reader is.
#[derive(Default)]
pub(crate) struct Steps {
    advances: Cell<u64>,
    advanced: Notify,
}

impl Steps {
    /// Notes that one more event was read.
    pub(crate) fn advance(&self) {
        self.advances.set(self.advances.get() + 1);
        self.advanced.notify_one();
    }

    /// Waits until an event was read.
    pub(super) async fn advanced(&self) {
        self.advanced.notified().await;
    }
}

impl Peer {
    /// Begins a stream in step; one at a time.
    pub(super) fn begin_in_step(&mut self, events: Events) {
        self.book.steps.advances.set(0);
        self.in_step = Some(events);
    }

    /// Writes the next event of the stream in step if the reader has the one before; returns whether it did.
    pub(super) fn step(&mut self) -> bool {
        let book: &PeerLog = &self.book;
        let Some(events) = self.in_step.as_mut().filter(|events| events.next <= book.steps.advances.get() + 1) else {
            return false;
        };
        events.write(book, &mut self.scratch, &mut self.wire.out);
        if events.next > events.count {
            self.in_step = None;
        }
        true
    }
}
