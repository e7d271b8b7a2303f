//! What a socket, its frame guard and its connection share: byte counts, limits, and the wish to end it.

use crate::line::Line;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

/// Shared by the three parts of one connection. All counts are bytes.
#[derive(Debug)]
pub struct Meter {
    message_max: AtomicU64,
    window: u64,
    violation: AtomicU16,
    outbound: AtomicU64,
    inbound: AtomicU64,
    reader: AtomicWaker,
    /// The way to end a peer that does not read, whose socket actor sleeps.
    line: Option<Line>,
}

impl Meter {
    /// Counts nothing yet. `message_max`: most bytes of one message; `window`: how far to read ahead.
    pub fn new(message_max: u64, window: u64, line: Option<Line>) -> Self {
        Meter {
            message_max: AtomicU64::new(message_max),
            window,
            violation: AtomicU16::new(0),
            outbound: AtomicU64::new(0),
            inbound: AtomicU64::new(0),
            reader: AtomicWaker::new(),
            line,
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

    pub(super) fn reader(&self) -> &AtomicWaker {
        &self.reader
    }

    /// A frame with a payload of `len` bytes was dealt with.
    pub fn handled(&self, len: usize) {
        let frame = (len + masked_head(len)) as u64;
        let before = self.inbound.fetch_sub(frame, Relaxed);
        if before > self.window / 2 && before.saturating_sub(frame) <= self.window / 2 {
            self.reader.wake();
        }
    }

    /// Ends our side of the TCP connection under the socket, after what was sent.
    pub fn finish(&self) {
        if let Some(line) = &self.line {
            line.finish();
        }
    }

    /// Ends the TCP connection under the socket, without a goodbye.
    pub fn cut(&self) {
        if let Some(line) = &self.line {
            line.cut();
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
