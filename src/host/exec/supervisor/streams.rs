//! The standard streams of a command.

use super::SupervisorEvent;
use parking_lot::Mutex;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::Sender,
    },
    thread,
};

/// Bytes per read.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of stderr that are kept to explain a failed sandbox.
const STDERR_HEAD_BYTES: usize = 4 << 10;

/// Counters of both output streams, and the beginning of stderr.
pub(super) struct OutputStreams {
    stdout_bytes: Arc<AtomicU64>,
    stderr_bytes: Arc<AtomicU64>,
    head: Arc<Mutex<Vec<u8>>>,
}

impl OutputStreams {
    /// Starts threads that forward up to `cap` bytes of each output stream to this process's own and count all bytes, and one
    /// that writes the standard input.
    pub(super) fn forward(
        child: &mut Child,
        cap: u64,
        stdin: Option<String>,
        events: &Sender<SupervisorEvent>,
    ) -> io::Result<Self> {
        let streams =
            OutputStreams { stdout_bytes: Arc::default(), stderr_bytes: Arc::default(), head: Arc::default() };
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        if let Some(from) = child.stdout.take() {
            let counter = Arc::clone(&streams.stdout_bytes);
            forward_stream(from, stdout, cap, counter, Arc::default(), events.clone());
        }
        if let Some(from) = child.stderr.take() {
            let (counter, head) = (Arc::clone(&streams.stderr_bytes), Arc::clone(&streams.head));
            forward_stream(from, stderr, cap, counter, head, events.clone());
        }
        if let Some((mut to, text)) = child.stdin.take().zip(stdin) {
            // A command may ignore its input.
            thread::spawn(move || to.write_all(text.as_bytes()));
        }
        Ok(streams)
    }

    pub(super) fn stdout_bytes(&self) -> u64 {
        self.stdout_bytes.load(Relaxed)
    }

    pub(super) fn stderr_bytes(&self) -> u64 {
        self.stderr_bytes.load(Relaxed)
    }

    /// Returns the beginning of stderr.
    pub(super) fn stderr_head(&self) -> String {
        String::from_utf8_lossy(&self.head.lock()).into_owned()
    }
}

fn forward_stream(
    mut from: impl Read + Send + 'static,
    mut to: File,
    cap: u64,
    counter: Arc<AtomicU64>,
    head: Arc<Mutex<Vec<u8>>>,
    events: Sender<SupervisorEvent>,
) {
    thread::spawn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut room = cap;
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let seen = counter.fetch_add(read as u64, Relaxed);
            if seen < STDERR_HEAD_BYTES as u64 {
                let mut head = head.lock();
                let wanted = read.min(STDERR_HEAD_BYTES.saturating_sub(head.len()));
                head.extend_from_slice(&chunk[..wanted]);
            }
            let passed = usize::try_from(room).unwrap_or(usize::MAX).min(read);
            // Writing fails when the daemon is gone; the command is ended then.
            if passed > 0 && to.write_all(&chunk[..passed]).is_ok() {
                room -= passed as u64;
            }
        }
        let _ = events.send(SupervisorEvent::StreamEnded);
    });
}
