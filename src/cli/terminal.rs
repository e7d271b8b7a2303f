//! The terminal as a peer: what is printed there, and the Ctrl-C that comes from there.
//!
//! Invariant: a reader that takes nothing holds up the printing, never the command: writing happens on a thread of its
//! own, which the end of the process does not wait for.
//!
//! ```text
//! command ── print ──► at most PENDING_MAX texts ──► thread ──► stdout
//!    ▲                                                 │
//!    └───────────── how writing ended ─────────────────┘
//! ```

use futures_util::stream::{self, Stream};
use std::{
    io::{self, Write},
    thread,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

/// Most texts that wait for the reader.
const PENDING_MAX: usize = 16;

/// Writes texts in order, each at once.
#[derive(Debug)]
pub(crate) struct Printer {
    texts: mpsc::Sender<String>,
    /// Nothing once it was asked.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Printer {
    /// Prints to stdout.
    pub(crate) fn stdout() -> Self {
        Printer::new(io::stdout())
    }

    /// Prints to `sink`.
    pub(crate) fn new(mut sink: impl Write + Send + 'static) -> Self {
        let (texts, mut pending) = mpsc::channel::<String>(PENDING_MAX);
        let (tell, ended) = oneshot::channel();
        thread::spawn(move || {
            let mut write = || {
                while let Some(text) = pending.blocking_recv() {
                    sink.write_all(text.as_bytes())?;
                    sink.flush()?;
                }
                Ok(())
            };
            let done = write();
            drop(pending);
            // The command may have ended without waiting.
            let _ = tell.send(done);
        });
        Printer { texts, ended: Some(ended) }
    }

    /// Hands over a text; waits while too many do.
    ///
    /// # Errors
    ///
    /// An earlier text could not be written; nothing is printed any more.
    pub(crate) async fn print(&mut self, text: impl Into<String>) -> io::Result<()> {
        let text = text.into();
        if text.is_empty() || self.texts.send(text).await.is_ok() {
            return Ok(());
        }
        Err(self.broken().await)
    }

    /// Waits until nothing can be printed any more; answers why.
    pub(crate) async fn broken(&mut self) -> io::Error {
        self.texts.closed().await;
        self.reason().await.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    ///
    /// Not everything could be.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        drop(std::mem::replace(&mut self.texts, mpsc::channel(1).0));
        self.reason().await
    }

    async fn reason(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.ended.take().ok_or_else(gone)?.await.map_err(|_| gone())?
    }
}

/// Every Ctrl-C from now on; it ends the process no more. Needs the runtime.
///
/// # Errors
///
/// The system does not let us listen to the signal.
pub(crate) fn presses() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(stream::poll_fn(move |cx| interrupt.poll_recv(cx)))
}

#[cfg(test)]
pub(crate) mod testing {
    //! A stdout whose text can be looked at.

    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what is printed; refuses it beyond `room` bytes as a closed pipe does.
    #[derive(Clone)]
    pub(crate) struct Paper {
        text: Arc<Mutex<Vec<u8>>>,
        room: usize,
    }

    impl Paper {
        pub(crate) fn new(room: usize) -> Self {
            Paper { text: Arc::default(), room }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.text.lock().unwrap();
            if text.len() + bytes.len() > self.room {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::Paper, *};

    #[actix_rt::test]
    async fn texts_are_printed_in_order() {
        let paper = Paper::new(100);
        let mut printer = Printer::new(paper.clone());
        for text in ["one ", "", "two ", "three"] {
            printer.print(text).await.unwrap();
        }
        printer.finish().await.unwrap();
        assert_eq!(paper.text(), "one two three");
    }

    #[actix_rt::test]
    async fn a_reader_that_left_is_noticed() {
        let mut printer = Printer::new(Paper::new(3));
        printer.print("abc").await.unwrap();
        printer.print("d").await.unwrap();
        assert_eq!(printer.broken().await.kind(), io::ErrorKind::BrokenPipe);
        assert!(printer.print("e").await.is_err() && printer.finish().await.is_err(), "and it stays so");
    }
}
