//! A peer's event stream: its events, each with its creation time, and its end.

use super::PeerLog;
use crate::{body, frames};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// A stream in progress.
pub(super) struct Events {
    pub(super) id: String,
    pub(super) next: u64,
    pub(super) count: u64,
    pub(super) pad: Rc<[u8]>,
    pub(super) pause: Duration,
    pub(super) due: Instant,
    pub(super) deaf: bool,
}

impl Events {
    /// Writes the next event, and the end after the last one.
    pub(super) fn write(&mut self, book: &PeerLog, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        let at_ns = u64::try_from(book.epoch().elapsed().as_nanos()).unwrap_or(u64::MAX);
        let number = self.next;
        scratch.clear();
        scratch.extend_from_slice(br#"","seq":"#);
        scratch.extend_from_slice(number.to_string().as_bytes());
        scratch.extend_from_slice(br#","event":"message","data":"#);
        body::event_data(scratch, at_ns, number, &self.pad, "\"");
        scratch.extend_from_slice(br#","raw":"data: "#);
        body::event_data(scratch, at_ns, number, &self.pad, "\\\"");
        scratch.extend_from_slice(b"\"}");
        let (id, middle) = (self.id.as_bytes(), br#"","stream_id":""#);
        frames::text(out, &[br#"{"type":"stream_event","id":""#, id, middle, id, scratch]);
        self.next += 1;
        if self.next > self.count {
            frames::text(out, &[br#"{"type":"stream_end","id":""#, id, middle, id, br#"","status":200}"#]);
        }
    }
}
