//! The WebSocket of a simulated Firefox: its own upgrade, then frames through actix-http's codec.
//!
//! Not through `awc`: its connector leaves Nagle's algorithm on, which delays small events, and hides the TCP stream, which
//! is needed to reset a connection.

use super::ConnectError;
use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message, ProtocolError, hash_key};
use bytes::BytesMut;
use socket2::SockRef;
use std::{io, time::Duration};
use tokio::{
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use url::Url;

/// Maximum size of a received frame, in bytes.
const FRAME_BYTES_MAX: usize = 64 << 20;
const HEAD_BYTES_MAX: usize = 64 << 10;
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The sample key of RFC 6455. The key only protects against caches.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Reads frames.
pub(super) struct FrameReader {
    half: OwnedReadHalf,
    codec: Codec,
    buffer: BytesMut,
}

/// Writes frames, or raw bytes.
pub(super) struct FrameWriter {
    half: OwnedWriteHalf,
    codec: Codec,
    buffer: BytesMut,
}

/// Opens a WebSocket.
pub(super) async fn dial(url: &Url, origin: Option<&str>) -> Result<(FrameReader, FrameWriter), ConnectError> {
    timeout(DIAL_TIMEOUT, upgrade(url, origin)).await.unwrap_or(Err(ConnectError::Timeout))
}

/// Returns host and port of a URL.
pub(super) fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host()?, url.port_or_known_default()?))
}

async fn upgrade(url: &Url, origin: Option<&str>) -> Result<(FrameReader, FrameWriter), ConnectError> {
    let authority = authority(url).ok_or(ConnectError::Url)?;
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let origin = origin.map(|origin| format!("origin: {origin}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: {authority}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\n{origin}\r\n",
        url.path()
    );
    let (read, write) = stream.into_split();
    let codec = || Codec::new().max_size(FRAME_BYTES_MAX).client_mode();
    let mut writing = FrameWriter { half: write, codec: codec(), buffer: BytesMut::from(head.as_bytes()) };
    let mut reading = FrameReader { half: read, codec: codec(), buffer: BytesMut::new() };
    writing.flush().await?;
    let end = loop {
        if let Some(at) = memchr::memmem::find(&reading.buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if reading.buffer.len() > HEAD_BYTES_MAX || !reading.fill().await? {
            return Err(ConnectError::Handshake);
        }
    };
    let answer = reading.buffer.split_to(end);
    accept(&answer)?;
    Ok((reading, writing))
}

fn accept(answer: &[u8]) -> Result<(), ConnectError> {
    let text = std::str::from_utf8(answer).map_err(|_| ConnectError::Handshake)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ConnectError::Handshake)?;
    if status != 101 {
        return Err(ConnectError::Refused { status });
    }
    let expected = hash_key(KEY.as_bytes());
    let proof = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept"));
    match proof {
        Some((_, value)) if value.trim().as_bytes() == expected => Ok(()),
        _ => Err(ConnectError::Handshake),
    }
}

impl FrameReader {
    /// Reads the next frame; `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Result<Frame, ProtocolError>> {
        loop {
            match self.codec.decode(&mut self.buffer).transpose() {
                Some(frame) => return Some(frame),
                None => {
                    if !self.fill().await.unwrap_or(false) {
                        return None;
                    }
                }
            }
        }
    }

    /// Reads once; returns `false` at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 << 10];
        loop {
            self.half.readable().await?;
            match self.half.try_read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl FrameWriter {
    /// Sends one message.
    pub(super) async fn send(&mut self, message: Message) -> io::Result<()> {
        self.codec.encode(message, &mut self.buffer).map_err(io::Error::other)?;
        self.flush().await
    }

    /// Sends raw bytes.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.flush().await
    }

    /// Resets the connection without a close frame.
    pub(super) fn cut(self) {
        // Without the option the connection ends normally.
        SockRef::from(self.half.as_ref()).set_linger(Some(Duration::ZERO)).unwrap_or_default();
        self.half.forget();
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            self.half.writable().await?;
            match self.half.try_write(&self.buffer) {
                Ok(n) => drop(self.buffer.split_to(n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Accepts the upgrade on a connection, for tests.
#[cfg(test)]
pub(super) async fn accept_upgrade(stream: TcpStream) -> (FrameReader, FrameWriter) {
    let (read, write) = stream.into_split();
    let mut reading = FrameReader { half: read, codec: Codec::new(), buffer: BytesMut::new() };
    let mut writing = FrameWriter { half: write, codec: Codec::new(), buffer: BytesMut::new() };
    while !reading.buffer.ends_with(b"\r\n\r\n") {
        assert!(reading.fill().await.unwrap(), "the head is complete");
    }
    reading.buffer.clear();
    let proof = String::from_utf8(hash_key(KEY.as_bytes()).to_vec()).unwrap();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nSec-WebSocket-Accept: {proof}\r\n\r\n"
    );
    writing.send_raw(head.as_bytes()).await.unwrap();
    (reading, writing)
}
