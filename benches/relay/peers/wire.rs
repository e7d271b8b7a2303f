//! A peer's socket with its two buffers.

use anyhow::bail;
use std::io;
use tokio::net::TcpStream;

/// The socket with its unhandled input and unwritten output.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    pub(super) out: Vec<u8>,
    written: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Wire { stream, input: vec![0; 4 << 10], filled: 0, out: Vec::new(), written: 0 }
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// Takes the input buffer, and its filled length, to handle it while the peer is borrowed.
    pub(super) fn take_input(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.input), self.filled)
    }

    pub(super) fn give_back(&mut self, input: Vec<u8>) {
        self.input = input;
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.written == self.out.len()
    }

    /// Number of bytes not yet written.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Reads the available input; returns whether there was any.
    pub(super) fn try_fill(&mut self) -> anyhow::Result<bool> {
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        match self.stream.try_read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the service closed the connection"),
            Ok(n) => self.filled += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Writes what the socket accepts now; returns whether it accepted any.
    pub(super) fn push(&mut self) -> anyhow::Result<bool> {
        if self.written == self.out.len() {
            return Ok(false);
        }
        match self.stream.try_write(&self.out[self.written..]) {
            Ok(n) => self.written += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(true)
    }

    /// Writes all output.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.out.len() {
            self.stream.writable().await?;
            self.push()?;
        }
        Ok(())
    }

    /// Waits for input and reads once.
    pub(super) async fn fill(&mut self) -> anyhow::Result<()> {
        loop {
            self.stream.readable().await?;
            if self.try_fill()? {
                return Ok(());
            }
        }
    }

    /// Drops the first bytes of the input.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.input.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}
