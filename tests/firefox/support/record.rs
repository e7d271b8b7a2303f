//! A proxy between the extension and the daemon that records the extension's frames.

use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// A listener that forwards everything.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) address: SocketAddr,
    frames: Arc<Mutex<Vec<Value>>>,
    target: Arc<Mutex<Option<Target>>>,
    listener: JoinHandle<()>,
}

/// The target.
#[derive(Clone, Copy, Debug)]
struct Target {
    daemon: SocketAddr,
    /// Whether the `Host` header is replaced by the daemon's address.
    poses: bool,
}

impl Record {
    /// Listens without a target.
    pub(crate) async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, frames) = (socket.local_addr().unwrap(), Arc::new(Mutex::default()));
        let target = Arc::new(Mutex::new(None));
        let (noted, leads) = (frames.clone(), target.clone());
        let listener = tokio::spawn(async move {
            while let Ok((extension, _)) = socket.accept().await {
                // Without a daemon, connections are closed.
                let Some(Target { daemon, poses }) = *leads.lock().unwrap() else { continue };
                let Ok(line) = TcpStream::connect(daemon).await else { continue };
                let (mut from_daemon, to_daemon) = line.into_split();
                let (from_extension, mut to_extension) = extension.into_split();
                let host = poses.then(|| (address.to_string(), daemon.to_string()));
                tokio::spawn(note(from_extension, to_daemon, noted.clone(), host));
                tokio::spawn(async move {
                    // Both ends close, whatever the reason.
                    copy(&mut from_daemon, &mut to_extension).await.unwrap_or_default();
                });
            }
        });
        Record { address, frames, target, listener }
    }

    /// Forwards to the daemon with the `Host` header of the extension.
    pub(crate) fn lead_to(&self, daemon: SocketAddr) {
        *self.target.lock().unwrap() = Some(Target { daemon, poses: false });
    }

    /// Forwards to the daemon with the daemon's own `Host` header, like a program that uses the daemon's port.
    pub(crate) fn pose_as(&self, daemon: SocketAddr) {
        *self.target.lock().unwrap() = Some(Target { daemon, poses: true });
    }

    /// Returns the extension's frames so far, of all connections.
    pub(crate) fn frames(&self) -> Vec<Value> {
        self.frames.lock().unwrap().clone()
    }

    /// Returns the extension's frames of one type.
    pub(crate) fn of_type(&self, name: &str) -> Vec<Value> {
        self.frames().into_iter().filter(|frame| frame["type"] == name).collect()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Forwards bytes and reads the WebSocket frames among them. `host`: the text in the head and its replacement.
async fn note(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    frames: Arc<Mutex<Vec<Value>>>,
    host: Option<(String, String)>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = from.read_u8().await else { return };
        head.push(byte);
    }
    let mut head = String::from_utf8(head).expect("a head is ASCII");
    if let Some((old, new)) = host {
        head = head.replace(&old, &new);
    }
    if to.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let (mut unread, mut message) = (Vec::new(), Vec::new());
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        unread.extend_from_slice(&bytes[..count]);
        while let Some(frame) = Frame::take(&mut unread) {
            if frame.is_control {
                continue;
            }
            message.extend_from_slice(&frame.payload);
            if frame.is_last {
                let said = serde_json::from_slice(&message).expect("the extension speaks JSON");
                frames.lock().unwrap().push(said);
                message.clear();
            }
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// A client's WebSocket frame.
struct Frame {
    is_last: bool,
    is_control: bool,
    payload: Vec<u8>,
}

impl Frame {
    /// Removes a frame from the front, if a whole one is there.
    fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let wide = |count: usize| {
            bytes.get(2..2 + count).map(|all| all.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
        };
        let (length, head) = match second & 0x7f {
            126 => (wide(2)?, 4),
            127 => (wide(8)?, 10),
            short => (usize::from(short), 2),
        };
        let mask = bytes.get(head..head + 4)?.to_vec();
        let body = bytes.get(head + 4..head + 4 + length)?;
        let payload = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        bytes.drain(..head + 4 + length);
        Some(Frame { is_last: first & 0x80 != 0, is_control: first & 0x08 != 0, payload })
    }
}
