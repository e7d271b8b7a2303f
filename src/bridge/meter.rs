//! State that a socket, its frame guard and its connection share: byte counts, limits, and the handle that ends the TCP
//! connection.

use crate::tcp_abort::TcpAbortHandle;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

/// Counts the bytes of one socket in both directions.
#[derive(Debug)]
pub struct SocketMeter {
    message_max: AtomicU64,
    window: u64,
    violation: AtomicU16,
    outbound: AtomicU64,
    inbound: AtomicU64,
    read_waker: AtomicWaker,
    /// Ends the connection of a peer that does not read, whose socket actor is not polled.
    abort_handle: Option<TcpAbortHandle>,
}

impl SocketMeter {
    /// Creates a meter. `message_max`: bytes of one message; `window`: bytes that are read ahead.
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

    /// Returns the maximum bytes of one message.
    pub fn message_max(&self) -> u64 {
        self.message_max.load(Relaxed)
    }

    /// Sets the maximum bytes of one message, after an accepted `hello`.
    pub fn set_message_max(&self, bytes: u64) {
        self.message_max.store(bytes, Relaxed);
    }

    /// Returns the close code of the violation that the frame guard found.
    pub fn violation(&self) -> Option<u16> {
        Some(self.violation.load(Relaxed)).filter(|code| *code != 0)
    }

    pub(super) fn set_violation(&self, code: u16) {
        self.violation.store(code, Relaxed);
    }

    /// Counts bytes that are sent to the socket. Returns the number of waiting bytes.
    pub(super) fn queue(&self, bytes: usize) -> u64 {
        self.outbound.fetch_add(bytes as u64, Relaxed) + bytes as u64
    }

    /// Counts bytes that the socket has taken.
    pub fn unqueue(&self, bytes: usize) {
        self.outbound.fetch_sub(bytes as u64, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.inbound.fetch_add(bytes as u64, Relaxed);
    }

    /// Returns whether reading must pause: the unhandled bytes and `ahead` together exceed the window.
    pub(super) fn is_full(&self, ahead: usize) -> bool {
        self.inbound.load(Relaxed) + ahead as u64 > self.window
    }

    /// Returns whether reading may resume.
    pub(super) fn is_low(&self) -> bool {
        self.inbound.load(Relaxed) <= self.window / 2
    }

    pub(super) fn read_waker(&self) -> &AtomicWaker {
        &self.read_waker
    }

    /// Counts a handled frame with a payload of `len` bytes.
    pub fn handled(&self, len: usize) {
        let frame = (len + masked_head(len)) as u64;
        let before = self.inbound.fetch_sub(frame, Relaxed);
        if before > self.window / 2 && before.saturating_sub(frame) <= self.window / 2 {
            self.read_waker.wake();
        }
    }

    /// Shuts down the sending side of the TCP connection; bytes that were sent still arrive.
    pub fn shutdown_write(&self) {
        if let Some(abort_handle) = &self.abort_handle {
            abort_handle.shutdown_write();
        }
    }

    /// Aborts the TCP connection.
    pub fn abort(&self) {
        if let Some(abort_handle) = &self.abort_handle {
            abort_handle.abort();
        }
    }
}

/// Returns the bytes of a client frame's header, its mask included.
fn masked_head(len: usize) -> usize {
    match len {
        0..126 => 6,
        126..65_536 => 8,
        _ => 14,
    }
}
