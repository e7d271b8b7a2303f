//! What waits for a reader of a stream, as a value: whole frames in one byte buffer, bounded in events and bytes.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Frames are handed over up to this many bytes at a time; a larger one alone.
const CHUNK_BYTES: usize = 16 << 10;

/// The bounds of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Events that may wait.
    pub(super) events_max: usize,
    /// Bytes that may wait; one event alone may be larger.
    pub(super) bytes_max: usize,
}

/// The reader is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// Frames that wait.
#[derive(Debug)]
pub(super) struct Buffer {
    bounds: Bounds,
    bytes: BytesMut,
    /// The length of each frame that waits, and whether it is an event.
    frames: VecDeque<(usize, bool)>,
    events: usize,
    event_bytes: usize,
}

impl Buffer {
    pub(super) fn new(bounds: Bounds) -> Self {
        Buffer { bounds, bytes: BytesMut::new(), frames: VecDeque::new(), events: 0, event_bytes: 0 }
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the frame of an event.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), Overflow> {
        let full = self.events >= self.bounds.events_max || self.event_bytes + frame.len() > self.bounds.bytes_max;
        if self.events > 0 && full {
            return Err(Overflow);
        }
        self.events += 1;
        self.event_bytes += frame.len();
        self.add(frame, true);
        Ok(())
    }

    /// Adds a frame that is no event; there is one a stream.
    pub(super) fn open(&mut self, frame: &[u8]) {
        self.add(frame, false);
    }

    fn add(&mut self, frame: &[u8], event: bool) {
        self.bytes.extend_from_slice(frame);
        self.frames.push_back((frame.len(), event));
    }

    /// Takes whole frames: as many as fit into a chunk, at least one.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let mut length = 0;
        while let Some((next, event)) = self.frames.front().copied() {
            if length > 0 && length + next > CHUNK_BYTES {
                break;
            }
            length += next;
            self.frames.pop_front();
            if event {
                self.events -= 1;
                self.event_bytes -= next;
            }
        }
        if length == 0 {
            return None;
        }
        let chunk = self.bytes.split_to(length).freeze();
        if self.frames.is_empty() {
            // A buffer that was once large must not stay so for the rest of a long stream.
            self.bytes = BytesMut::new();
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(events_max: usize, bytes_max: usize) -> Buffer {
        Buffer::new(Bounds { events_max, bytes_max })
    }

    #[test]
    fn whole_frames_come_out_in_order_up_to_a_chunk() {
        let mut buffer = buffer(100, 1 << 20);
        for n in 0..5u8 {
            buffer.push(&[n; 6_000]).unwrap();
        }
        let chunks: Vec<_> = std::iter::from_fn(|| buffer.take()).collect();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [12_000, 12_000, 6_000]);
        let all = chunks.concat();
        assert!(all.chunks(6_000).enumerate().all(|(n, frame)| frame.iter().all(|b| usize::from(*b) == n)));
        assert_eq!(buffer.waiting(), 0);
    }

    #[test]
    fn one_event_more_than_may_wait_overflows_and_leaves_what_waits() {
        let mut buffer = buffer(2, 1 << 20);
        buffer.push(b"a").unwrap();
        buffer.push(b"b").unwrap();
        assert_eq!(buffer.push(b"c"), Err(Overflow));
        assert_eq!(buffer.take().unwrap(), "ab");
        buffer.push(b"c").unwrap();
    }

    #[test]
    fn bytes_are_bounded_but_one_event_alone_may_be_larger() {
        let mut buffer = buffer(100, 10);
        buffer.open(b"open");
        buffer.push(&[b'x'; 50]).unwrap();
        assert_eq!(buffer.push(b"y"), Err(Overflow));
        assert_eq!(buffer.take().unwrap().len(), 54);
        buffer.push(&[b'y'; 10]).unwrap();
        assert_eq!(buffer.push(b"z"), Err(Overflow));
    }
}
