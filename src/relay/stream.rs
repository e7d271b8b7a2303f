//! Connects an exchange with the response body that carries its stream to the caller: one buffer, one end, one reader.
//!
//! The exchange writes frames and finally the end; the reader takes frames, then the end, which the HTTP layer renders.
//! Each side notices when the other is gone.

use super::{
    frame_buffer::{FrameBuffer, FrameBufferLimits, FrameBufferOverflow},
    request_error::{RequestError, RequestFailure},
};
use crate::{ids::RequestId, tcp_abort::TcpAbortHandle};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::time::Instant;

/// End of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// HTTP status of the app, or the failure.
    pub result: Result<u16, RequestFailure>,
    /// Progress of the stream by then.
    pub partial: StreamProgress,
}

/// Progress of a stream at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamProgress {
    /// Bytes that were still buffered.
    pub buffered_bytes: usize,
    /// Number of relayed events.
    pub event_count: u64,
    /// Sequence number of the last event.
    pub last_seq: u64,
    /// Whether the stream was opened.
    pub opened: bool,
}

#[derive(Debug)]
struct StreamShared {
    buffer: FrameBuffer,
    end: Option<StreamEnd>,
    waker: Option<Waker>,
    /// Time since which the reader has left data in the buffer.
    waiting_since: Option<Instant>,
    reader_gone: bool,
}

/// Writing side, held by the exchange.
#[derive(Debug)]
pub(super) struct StreamWriter {
    shared: Arc<Mutex<StreamShared>>,
    abort_handle: Option<TcpAbortHandle>,
}

/// Reading side, held by the response body.
#[derive(Debug)]
pub struct StreamReader {
    shared: Arc<Mutex<StreamShared>>,
    /// Request that the stream belongs to.
    pub request_id: RequestId,
}

/// An item of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamItem {
    /// Whole frames.
    Frames(Bytes),
    /// The end; nothing follows.
    End(StreamEnd),
}

/// Creates the stream of one request. `abort_handle` aborts the connection of a stalled reader.
pub(super) fn stream(
    request_id: RequestId,
    bounds: FrameBufferLimits,
    abort_handle: Option<TcpAbortHandle>,
) -> (StreamWriter, StreamReader) {
    let shared = Arc::new(Mutex::new(StreamShared {
        buffer: FrameBuffer::new(bounds),
        end: None,
        waker: None,
        waiting_since: None,
        reader_gone: false,
    }));
    (StreamWriter { shared: Arc::clone(&shared), abort_handle }, StreamReader { shared, request_id })
}

impl StreamWriter {
    pub(super) fn push(&self, frame: Vec<u8>) -> Result<(), FrameBufferOverflow> {
        self.write(|buffer| buffer.push(frame))
    }

    pub(super) fn open(&self, frame: Vec<u8>) {
        self.write(|buffer| buffer.open(frame));
    }

    fn write<T>(&self, write: impl FnOnce(&mut FrameBuffer) -> T) -> T {
        let (written, waker) = {
            let mut shared = self.shared.lock();
            let written = write(&mut shared.buffer);
            shared.waiting_since.get_or_insert_with(Instant::now);
            (written, shared.waker.take())
        };
        wake(waker);
        written
    }

    /// Ends the stream; later calls do nothing.
    pub(super) fn end(&self, result: Result<u16, RequestFailure>, mut partial: StreamProgress) {
        let waker = {
            let mut shared = self.shared.lock();
            if shared.end.is_some() {
                return;
            }
            // At a successful end the buffered bytes will still be delivered, so they do not count as lost.
            partial.buffered_bytes = if result.is_ok() { 0 } else { shared.buffer.waiting() };
            shared.end = Some(StreamEnd { result, partial });
            shared.waiting_since.get_or_insert_with(Instant::now);
            shared.waker.take()
        };
        wake(waker);
    }

    /// Returns since when the reader has left data in the buffer.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let shared = self.shared.lock();
        shared.waiting_since.filter(|_| !shared.reader_gone)
    }

    /// Aborts the connection of a stalled reader.
    pub(super) fn cut(&self) {
        if let Some(abort_handle) = &self.abort_handle {
            abort_handle.abort();
        }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        let failure = RequestFailure { cause: RequestError::Internal, client_id: None, connection_id: None };
        self.end(Err(failure), StreamProgress::default());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl StreamReader {
    /// Returns the next item; the end comes after all frames.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<StreamItem> {
        let mut shared = self.shared.lock();
        if let Some(chunk) = shared.buffer.take() {
            // The frame counts as read only when the body polls again, because the HTTP library may still hold it.
            shared.waiting_since = Some(Instant::now());
            return Poll::Ready(StreamItem::Frames(chunk));
        }
        if let Some(end) = shared.end.clone() {
            shared.waiting_since = Some(Instant::now());
            return Poll::Ready(StreamItem::End(end));
        }
        shared.waiting_since = None;
        match &mut shared.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.shared.lock().reader_gone = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::future::poll_fn;

    fn pair() -> (StreamWriter, StreamReader) {
        stream(RequestId::trusted("r"), FrameBufferLimits { events_max: 2, bytes_max: 100 }, None)
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn frames_come_before_the_end_and_what_overflowed_is_told() {
        let (writer, mut reader) = pair();
        writer.push(b"one".to_vec()).unwrap();
        writer.push(b"two".to_vec()).unwrap();
        assert_eq!(writer.push(b"three".to_vec()), Err(FrameBufferOverflow));
        let failure = RequestFailure { cause: RequestError::Overflow, client_id: None, connection_id: None };
        writer.end(Err(failure.clone()), StreamProgress { event_count: 2, ..StreamProgress::default() });
        writer.end(Ok(200), StreamProgress::default());
        assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, StreamItem::Frames(Bytes::from_static(b"onetwo")));
        let partial = StreamProgress { buffered_bytes: 6, event_count: 2, last_seq: 0, opened: false };
        let end = StreamItem::End(StreamEnd { result: Err(failure), partial });
        assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, end, "the first end is the end");
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_waiting_reader_is_woken_and_a_slow_one_is_noticed() {
        let (writer, mut reader) = pair();
        let waiting = actix_rt::spawn(async move {
            let next = poll_fn(|cx| reader.poll_next(cx)).await;
            (next, reader)
        });
        tokio::task::yield_now().await;
        assert_eq!(writer.waiting_since(), None);
        writer.push(b"one".to_vec()).unwrap();
        let (next, mut reader) = waiting.await.unwrap();
        assert_eq!(next, StreamItem::Frames(Bytes::from_static(b"one")));
        assert!(writer.waiting_since().is_some(), "it may not have reached the caller yet");
        assert!(poll!(poll_fn(|cx| reader.poll_next(cx))).is_pending());
        assert_eq!(writer.waiting_since(), None, "it took everything");
        let pushed = Instant::now();
        writer.push(b"two".to_vec()).unwrap();
        tokio::time::advance(std::time::Duration::from_secs(9)).await;
        writer.push(b"three".to_vec()).unwrap();
        assert_eq!(writer.waiting_since(), Some(pushed), "since the first that it did not take");
        drop(reader);
        assert_eq!(writer.waiting_since(), None, "no reader is left");
    }
}
