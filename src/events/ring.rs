//! The ring of the latest events, shared by the bus and its readers.

use serde::Serialize;
use std::{collections::VecDeque, sync::Arc, task::Waker};

/// Payload of an event.
pub(super) trait EventData: Send + Sync {
    /// Writes the payload as one line of JSON.
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Serialize + Send + Sync> EventData for T {
    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("our own values have string keys");
    }
}

/// A published event.
#[derive(Clone)]
pub(super) struct BusEvent {
    pub(super) name: &'static str,
    pub(super) data: Arc<dyn EventData>,
}

/// State shared by the bus and its readers.
pub(super) struct BusState {
    /// Id of the first event of this process.
    pub(super) first_id: u64,
    /// Id of the next event.
    pub(super) next_id: u64,
    pub(super) retained_max: usize,
    /// Retained events, oldest first.
    pub(super) retained: VecDeque<BusEvent>,
    /// Wakers of waiting readers, by reader number.
    pub(super) waiting: foldhash::HashMap<u64, Waker>,
    pub(super) readers: u64,
    pub(super) closed: bool,
}

impl BusState {
    /// Returns the id of the oldest retained event, or the next id if none is retained.
    pub(super) fn oldest_id(&self) -> u64 {
        self.next_id - self.retained.len() as u64
    }
}
