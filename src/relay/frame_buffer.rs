//! Buffer of a stream's frames, as a value: whole frames in segments, bounded in events and bytes.
//!
//! A reader that keeps up takes each frame without a copy. For a slow reader, frames are gathered in segments of a size
//! that the allocator reuses well, so that a full buffer takes hardly more memory than its content.

use bytes::Bytes;
use std::collections::VecDeque;

/// Size up to which frames are gathered in a segment, in bytes; a larger frame is a segment of its own.
const SEGMENT_BYTES: usize = 16 << 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBufferLimits {
    pub(super) events_max: usize,
    /// Most buffered bytes; a single event may be larger.
    pub(super) bytes_max: usize,
}

/// The buffer is full because its reader is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameBufferOverflow;

/// Frames that wait for the reader.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    bounds: FrameBufferLimits,
    segments: VecDeque<FrameSegment>,
    waiting: usize,
    events: usize,
    event_bytes: usize,
}

#[derive(Debug)]
struct FrameSegment {
    bytes: Vec<u8>,
    events: usize,
    event_bytes: usize,
}

impl FrameBuffer {
    pub(super) fn new(bounds: FrameBufferLimits) -> Self {
        FrameBuffer { bounds, segments: VecDeque::new(), waiting: 0, events: 0, event_bytes: 0 }
    }

    /// Returns the number of buffered bytes.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn push(&mut self, frame: Vec<u8>) -> Result<(), FrameBufferOverflow> {
        let full = self.events >= self.bounds.events_max || self.event_bytes + frame.len() > self.bounds.bytes_max;
        if self.events > 0 && full {
            return Err(FrameBufferOverflow);
        }
        self.events += 1;
        self.event_bytes += frame.len();
        self.add(frame, 1);
        Ok(())
    }

    /// Appends the opening frame, which does not count as an event.
    pub(super) fn open(&mut self, frame: Vec<u8>) {
        self.add(frame, 0);
    }

    fn add(&mut self, frame: Vec<u8>, events: usize) {
        self.waiting += frame.len();
        let event_bytes = frame.len() * events;
        match self.segments.back_mut().filter(|last| last.bytes.len() + frame.len() <= SEGMENT_BYTES) {
            Some(last) => {
                if last.bytes.capacity() < SEGMENT_BYTES {
                    last.bytes.reserve_exact(SEGMENT_BYTES - last.bytes.len()); // more will gather
                }
                last.bytes.extend_from_slice(&frame);
                last.events += events;
                last.event_bytes += event_bytes;
            }
            None => self.segments.push_back(FrameSegment { bytes: frame, events, event_bytes }),
        }
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        let FrameSegment { bytes, events, event_bytes } = self.segments.pop_front()?;
        self.waiting -= bytes.len();
        self.events -= events;
        self.event_bytes -= event_bytes;
        Some(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(events_max: usize, bytes_max: usize) -> FrameBuffer {
        FrameBuffer::new(FrameBufferLimits { events_max, bytes_max })
    }

    #[test]
    fn whole_frames_come_out_in_order_up_to_a_segment() {
        let mut buffer = buffer(100, 1 << 20);
        for n in 0..5u8 {
            buffer.push(vec![n; 6_000]).unwrap();
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
        buffer.push(b"a".to_vec()).unwrap();
        buffer.push(b"b".to_vec()).unwrap();
        assert_eq!(buffer.push(b"c".to_vec()), Err(FrameBufferOverflow));
        assert_eq!(buffer.take().unwrap(), "ab");
        buffer.push(b"c".to_vec()).unwrap();
    }

    #[test]
    fn bytes_are_bounded_but_one_event_alone_may_be_larger() {
        let mut buffer = buffer(100, 10);
        buffer.open(b"open".to_vec());
        buffer.push(vec![b'x'; 50]).unwrap();
        assert_eq!(buffer.push(b"y".to_vec()), Err(FrameBufferOverflow));
        assert_eq!(buffer.take().unwrap().len(), 54);
        buffer.push(vec![b'y'; 10]).unwrap();
        assert_eq!(buffer.push(b"z".to_vec()), Err(FrameBufferOverflow));
    }
}
