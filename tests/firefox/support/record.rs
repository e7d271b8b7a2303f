//! A line between the extension and the daemon that notes what the extension says, frame by frame.

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

/// A listener that passes everything on.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) address: SocketAddr,
    frames: Arc<Mutex<Vec<Value>>>,
    listener: JoinHandle<()>,
}

impl Record {
    /// Listens for what is meant for the daemon at that address.
    pub(crate) async fn start(daemon: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, frames) = (socket.local_addr().unwrap(), Arc::new(Mutex::default()));
        let noted = frames.clone();
        let listener = tokio::spawn(async move {
            while let Ok((extension, _)) = socket.accept().await {
                // While the daemon is away, its place is empty for who comes this way too.
                let Ok(daemon) = TcpStream::connect(daemon).await else { continue };
                let (mut from_daemon, to_daemon) = daemon.into_split();
                let (from_extension, mut to_extension) = extension.into_split();
                tokio::spawn(note(from_extension, to_daemon, noted.clone()));
                tokio::spawn(async move {
                    // However it ends: both ends close.
                    copy(&mut from_daemon, &mut to_extension).await.unwrap_or_default();
                });
            }
        });
        Record { address, frames, listener }
    }

    /// Everything the extension has said so far, on every connection.
    pub(crate) fn frames(&self) -> Vec<Value> {
        self.frames.lock().unwrap().clone()
    }

    /// What it has said of one type.
    pub(crate) fn of_type(&self, name: &str) -> Vec<Value> {
        self.frames().into_iter().filter(|frame| frame["type"] == name).collect()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Passes bytes on and reads the WebSocket frames among them.
async fn note(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, frames: Arc<Mutex<Vec<Value>>>) {
    let (mut unread, mut greeted, mut message) = (Vec::new(), false, Vec::new());
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        unread.extend_from_slice(&bytes[..count]);
        if !greeted && let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            unread.drain(..at + 4);
            greeted = true;
        }
        while greeted && let Some(frame) = Frame::take(&mut unread) {
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
    /// Takes one from the front, when a whole one is there.
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
