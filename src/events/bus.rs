//! The bus: a ring of the last events, and who is to be woken when there is another.
//!
//! Invariant: ids rise by one under the lock, so that those of the kept events follow from the next id alone.

use super::reader::{EventReader, ResumePoint};
use serde::Serialize;
use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use tokio_util::task::TaskTracker;

/// Where events are published. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    shared: Arc<Mutex<BusState>>,
    readers: TaskTracker,
}

/// What an event has to say.
pub(super) trait EventData: Send + Sync {
    /// Writes it as one line of JSON.
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Serialize + Send + Sync> EventData for T {
    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("our own values have string keys");
    }
}

/// An event.
#[derive(Clone)]
pub(super) struct BusEvent {
    pub(super) name: &'static str,
    pub(super) data: Arc<dyn EventData>,
}

/// What the bus and its readers share.
pub(super) struct BusState {
    /// Of the first event there ever was.
    pub(super) first_id: u64,
    /// Of the next one.
    pub(super) next_id: u64,
    retained_max: usize,
    /// The oldest first.
    pub(super) retained: VecDeque<BusEvent>,
    /// Who waits, by the number of the reader.
    pub(super) waiting: foldhash::HashMap<u64, Waker>,
    pub(super) readers: u64,
    pub(super) closed: bool,
}

impl BusState {
    /// The id of the oldest event that is retained, or of the next one when there is none.
    pub(super) fn oldest_id(&self) -> u64 {
        self.next_id - self.retained.len() as u64
    }
}

impl EventBus {
    /// A bus without events.
    ///
    /// `first_id`: of its first event. Give it the milliseconds at which the process started times 1 000: then every id
    /// that an earlier process gave out is older than all that this one keeps, so that a reader who comes back with one
    /// is told of a gap instead of being given the wrong events without a word. Such ids stay exact in JavaScript.
    ///
    /// `kept`: how many events are kept for readers that lag or come back; at least one.
    pub fn new(first_id: u64, retained: usize) -> Self {
        assert!(retained > 0, "a bus that keeps nothing tells nothing");
        let shared = BusState {
            first_id,
            next_id: first_id,
            retained_max: retained,
            retained: VecDeque::with_capacity(retained),
            waiting: foldhash::HashMap::default(),
            readers: 0,
            closed: false,
        };
        EventBus { shared: Arc::new(Mutex::new(shared)), readers: TaskTracker::new() }
    }

    /// Tells an event to everybody who reads, and keeps it. Never waits and never fails; nothing is written as text here.
    pub fn publish(&self, name: &'static str, data: impl Serialize + Send + Sync + 'static) {
        let event = BusEvent { name, data: Arc::new(data) };
        let (waiting, forgotten) = {
            let mut shared = lock(&self.shared);
            if shared.closed {
                return;
            }
            let full = shared.retained.len() >= shared.retained_max;
            let forgotten = if full { shared.retained.pop_front() } else { None };
            shared.retained.push_back(event);
            shared.next_id += 1;
            let waiting = (!shared.waiting.is_empty()).then(|| mem::take(&mut shared.waiting));
            (waiting, forgotten)
        };
        drop(forgotten); // not under the lock
        if let Some(waiting) = waiting {
            wake(waiting);
        }
    }

    /// A reader of what happens from the given point on.
    pub fn subscribe(&self, after: ResumePoint) -> EventReader {
        EventReader::new(Arc::clone(&self.shared), self.readers.token(), after)
    }

    /// Ends it: readers get what is kept and then their end; what is published later is ignored.
    pub fn close(&self) {
        let waiting = {
            let mut shared = lock(&self.shared);
            shared.closed = true;
            mem::take(&mut shared.waiting)
        };
        self.readers.close();
        wake(waiting);
    }

    /// Waits until every reader is gone, once [`close`](Self::close) was called.
    pub async fn closed(&self) {
        self.readers.wait().await;
    }

    /// How many readers wait to be woken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.shared).waiting.len()
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = lock(&self.shared);
        f.debug_struct("Bus")
            .field("next_id", &shared.next_id)
            .field("kept", &shared.retained.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn lock(shared: &Mutex<BusState>) -> MutexGuard<'_, BusState> {
    // Nothing panics between two changes, so what a panicking thread left is whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waiting: foldhash::HashMap<u64, Waker>) {
    for waker in waiting.into_values() {
        waker.wake();
    }
}
