//! A reader of the event bus: the next id to read and a waker.

use super::ring::{BusEvent, BusState};
use crate::{api::events::EventGap, sse};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Size at which a batch of frames is handed over, in bytes.
const BATCH_BYTES: usize = 16 << 10;
/// Most events taken at once, to hold the lock only briefly.
const BATCH_EVENTS: usize = 64;
/// Typical size of a serialized event, in bytes.
const EVENT_BYTES: usize = 256;

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumePoint {
    /// At the next event.
    Live,
    /// After the event with this id.
    After(u64),
    /// At an unknown position: with a gap, then with all retained events.
    Unknown,
}

/// Follows the bus. It holds no events, so a slow reader costs no memory; events that are no longer retained are
/// replaced by a frame `gap`.
pub struct EventReader {
    shared: Arc<Mutex<BusState>>,
    number: u64,
    next_id: u64,
    /// Whether an unknown number of events was missed.
    lost: bool,
    _token: TaskTrackerToken,
}

impl EventReader {
    pub(super) fn new(shared: Arc<Mutex<BusState>>, token: TaskTrackerToken, after: ResumePoint) -> Self {
        let (number, next_id, lost) = {
            let mut shared = shared.lock();
            shared.readers += 1;
            let (next_id, lost) = match after {
                ResumePoint::Live => (shared.next_id, false),
                // Ids of this bus, and the one before its first.
                ResumePoint::After(id) if id < shared.next_id && id + 1 >= shared.first_id => (id + 1, false),
                ResumePoint::After(_) | ResumePoint::Unknown => (shared.oldest_id(), true),
            };
            (shared.readers, next_id, lost)
        };
        EventReader { shared, number, next_id, lost, _token: token }
    }

    /// Returns the next batch of whole frames; `None` once the bus is closed and everything was read.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some((gap, events)) = self.take(cx) else { return Poll::Pending };
        if gap.is_none() && events.is_empty() {
            return Poll::Ready(None);
        }
        let mut out = Vec::with_capacity(BATCH_BYTES.min((events.len() + 1) * EVENT_BYTES));
        if let Some(gap) = gap {
            sse::frame(&mut out, None, "gap", |out| {
                serde_json::to_writer(out, &gap).expect("our own values have string keys");
            });
        }
        for BusEvent { name, data } in events {
            sse::frame(&mut out, Some(self.next_id), name, |out| data.write(out));
            self.next_id += 1;
            if out.len() >= BATCH_BYTES {
                break; // the rest is taken again
            }
        }
        Poll::Ready(Some(out.into()))
    }

    /// Takes the gap, if any, and the next events. Both are empty at the end; returns `None` if the reader has to wait.
    fn take(&mut self, cx: &Context<'_>) -> Option<(Option<EventGap>, Vec<BusEvent>)> {
        let mut shared = self.shared.lock();
        let oldest_id = shared.oldest_id();
        let missed = oldest_id.checked_sub(self.next_id).filter(|missed| *missed > 0);
        let gap = (self.lost || missed.is_some()).then(|| {
            self.next_id = oldest_id;
            EventGap { missed: missed.filter(|_| !self.lost), next_id: oldest_id }
        });
        self.lost = false;
        if gap.is_none() && self.next_id == shared.next_id && !shared.closed {
            match shared.waiting.get_mut(&self.number) {
                Some(waker) => waker.clone_from(cx.waker()),
                None => drop(shared.waiting.insert(self.number, cx.waker().clone())),
            }
            return None;
        }
        let skipped = usize::try_from(self.next_id - oldest_id).unwrap_or(usize::MAX);
        Some((gap, shared.retained.iter().skip(skipped).take(BATCH_EVENTS).cloned().collect()))
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        let waker = self.shared.lock().waiting.remove(&self.number);
        drop(waker); // not under the lock
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("next_id", &self.next_id).field("lost", &self.lost).finish_non_exhaustive()
    }
}
