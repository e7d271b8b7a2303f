//! A peer's socket with its two buffers.

use anyhow::bail;
use std::io;
use tokio::net::TcpStream;

/// The socket, what was read and not handled, and what is to be written.
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

    /// The input to be handled while the peer changes, and how much of it is filled.
    pub(super) fn take_input(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.input), self.filled)
    }

    pub(super) fn give_back(&mut self, input: Vec<u8>) {
        self.input = input;
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.written == self.out.len()
    }

    /// Bytes not yet written.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Reads what is there; whether anything was.
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

    /// Writes what the socket takes now; whether it took anything.
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

    /// Writes all of it.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.out.len() {
            self.stream.writable().await?;
            self.push()?;
        }
        Ok(())
    }

    /// Reads once, waiting for something to read.
    pub(super) async fn fill(&mut self) -> anyhow::Result<()> {
        loop {
            self.stream.readable().await?;
            if self.try_fill()? {
                return Ok(());
            }
        }
    }

    /// Forgets the first bytes of the input.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.input.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}
