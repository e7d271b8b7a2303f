//! The event bus: a ring of the latest events and the wakers of waiting readers.
//!
//! Invariant: ids increase by one under the lock, so the ids of the retained events follow from the next id.

use super::{
    reader::{EventReader, ResumePoint},
    ring::{BusEvent, BusState},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{collections::VecDeque, fmt, mem, sync::Arc, task::Waker};
use tokio_util::task::TaskTracker;

/// Handle for publishing and subscribing. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    shared: Arc<Mutex<BusState>>,
    readers: TaskTracker,
}

impl EventBus {
    /// Creates an empty bus.
    ///
    /// `first_id`: id of the first event. Use the start time in Unix milliseconds times 1 000: then all ids of earlier
    /// processes are smaller than those retained here, so that a reader that resumes with one gets a gap instead of
    /// wrong events. Such ids are exact in JavaScript.
    ///
    /// `retained`: number of events kept for slow and resuming readers; at least one.
    pub fn new(first_id: u64, retained: usize) -> Self {
        assert!(retained > 0, "a bus must retain at least one event");
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

    /// Publishes an event to all readers and retains it. Never blocks and never fails; the payload is serialized by the
    /// readers.
    pub fn publish(&self, name: &'static str, data: impl Serialize + Send + Sync + 'static) {
        let event = BusEvent { name, data: Arc::new(data) };
        let (waiting, forgotten) = {
            let mut shared = self.shared.lock();
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

    /// Creates a reader that starts at the given point.
    pub fn subscribe(&self, after: ResumePoint) -> EventReader {
        EventReader::new(Arc::clone(&self.shared), self.readers.token(), after)
    }

    /// Closes the bus: readers get the retained events and then their end; later events are ignored.
    pub fn close(&self) {
        let waiting = {
            let mut shared = self.shared.lock();
            shared.closed = true;
            mem::take(&mut shared.waiting)
        };
        self.readers.close();
        wake(waiting);
    }

    /// Waits, after [`close`](Self::close), until every reader is gone.
    pub async fn closed(&self) {
        self.readers.wait().await;
    }

    /// Returns the number of readers waiting for an event.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared.lock();
        f.debug_struct("Bus")
            .field("next_id", &shared.next_id)
            .field("kept", &shared.retained.len())
            .finish_non_exhaustive()
    }
}

fn wake(waiting: foldhash::HashMap<u64, Waker>) {
    for waker in waiting.into_values() {
        waker.wake();
    }
}
