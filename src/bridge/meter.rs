//! What a socket, its frame guard and its connection share: byte counts, limits, and the wish to end it.

use crate::tcp_abort::TcpAbortHandle;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

/// Shared by the three parts of one connection. All counts are bytes.
#[derive(Debug)]
pub struct SocketMeter {
    message_max: AtomicU64,
    window: u64,
    violation: AtomicU16,
    outbound: AtomicU64,
    inbound: AtomicU64,
    read_waker: AtomicWaker,
    /// The way to end a peer that does not read, whose socket actor sleeps.
    abort_handle: Option<TcpAbortHandle>,
}

impl SocketMeter {
    /// Counts nothing yet. `message_max`: most bytes of one message; `window`: how far to read ahead.
    pub fn new(message_max: u64, window: u64, abort_handle: Option<TcpAbortHandle>) -> Self {
        SocketMeter {
            message_max: AtomicU64::new(message_max),
            window,
            violation: AtomicU16::new(0),
            outbound: AtomicU64::new(0),
            inbound: AtomicU64::new(0),
            read_waker: AtomicWaker::new(),
            abort_handle,
        }
    }

    /// Most bytes of one message.
    pub fn message_max(&self) -> u64 {
        self.message_max.load(Relaxed)
    }

    /// Sets it anew, once the peer has said who it is.
    pub fn set_message_max(&self, bytes: u64) {
        self.message_max.store(bytes, Relaxed);
    }

    /// The close code of the frame that broke a rule.
    pub fn violation(&self) -> Option<u16> {
        Some(self.violation.load(Relaxed)).filter(|code| *code != 0)
    }

    pub(super) fn set_violation(&self, code: u16) {
        self.violation.store(code, Relaxed);
    }

    /// Counts bytes on their way to the socket; answers how many wait there now.
    pub(super) fn queue(&self, bytes: usize) -> u64 {
        self.outbound.fetch_add(bytes as u64, Relaxed) + bytes as u64
    }

    /// The socket took them.
    pub fn unqueue(&self, bytes: usize) {
        self.outbound.fetch_sub(bytes as u64, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.inbound.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether the connection lags so far behind that nothing more should be read now.
    pub(super) fn is_full(&self, ahead: usize) -> bool {
        self.inbound.load(Relaxed) + ahead as u64 > self.window
    }

    /// Whether it has caught up enough to read on.
    pub(super) fn is_low(&self) -> bool {
        self.inbound.load(Relaxed) <= self.window / 2
    }

    pub(super) fn read_waker(&self) -> &AtomicWaker {
        &self.read_waker
    }

    /// A frame with a payload of `len` bytes was dealt with.
    pub fn handled(&self, len: usize) {
        let frame = (len + masked_head(len)) as u64;
        let before = self.inbound.fetch_sub(frame, Relaxed);
        if before > self.window / 2 && before.saturating_sub(frame) <= self.window / 2 {
            self.read_waker.wake();
        }
    }

    /// Ends our side of the TCP connection under the socket, after what was sent.
    pub fn shutdown_write(&self) {
        if let Some(abort_handle) = &self.abort_handle {
            abort_handle.shutdown_write();
        }
    }

    /// Ends the TCP connection under the socket, without a goodbye.
    pub fn abort(&self) {
        if let Some(abort_handle) = &self.abort_handle {
            abort_handle.abort();
        }
    }
}

/// Bytes of the head of a client's frame, its mask included.
fn masked_head(len: usize) -> usize {
    match len {
        0..126 => 6,
        126..65_536 => 8,
        _ => 14,
    }
}
