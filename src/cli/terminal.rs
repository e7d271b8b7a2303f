//! The terminal as a peer: what is printed there, what is asked there, and the Ctrl-C that comes from there.
//!
//! Invariant: everything that a client command writes goes through this file, and what goes to a terminal through
//! [`text::guarded`], whatever was done to it before. A reader that takes nothing holds up the printing, never the command: writing happens on a thread of its
//! own, which the end of the process does not wait for.
//!
//! ```text
//! command ── print ──► at most PENDING_MAX texts ──► thread ──► stdout
//!    ▲                                                 │
//!    └───────────── how writing ended ─────────────────┘
//! ```

use super::{line_wrap, table::OutputStyle, text};
use futures_util::stream::{self, Stream};
use rustix::termios::{QueueSelector, tcflush};
use std::{
    borrow::Cow,
    io::{self, BufRead, IsTerminal, Read, Write},
    thread,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

/// Most texts that wait for the reader.
const PENDING_MAX: usize = 16;

/// Most bytes of an answer to a question.
const REPLY_BYTES_MAX: u64 = 256;

/// What is written of a text: all of it, or what may reach a terminal.
fn guard(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if is_terminal { text::guarded(text) } else { Cow::Borrowed(text) }
}

/// Writes a text to stdout, at once.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let shown = guard(text, stdout.is_terminal());
    stdout.write_all(shown.as_bytes())?;
    stdout.flush()
}

/// Writes lines of ours to stdout in which others have words, at once.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn print_lines(text: &str) -> io::Result<()> {
    print(&line_wrap::wrap_lines(text, OutputStyle::terminal_width(io::stdout())))
}

/// Writes a line to stderr, whatever is in it; what cannot be written there is lost.
pub(crate) fn print_error(line: &str) {
    let line = line_wrap::wrap_line("", &text::line(line), OutputStyle::terminal_width(io::stderr()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// A person who is shown something and asked.
pub(crate) trait ConfirmationPrompt {
    /// Whether there is one: what is shown is seen, and what is typed is theirs.
    fn is_interactive(&self) -> bool;
    /// Shows a text.
    fn show(&mut self, text: &str) -> io::Result<()>;
    /// Shows a text and asks a question about it; anything but a yes that is written then is a no.
    fn confirm(&mut self, text: &str, question: &str) -> io::Result<bool>;
}

/// The person at this terminal.
#[derive(Debug)]
pub(crate) struct TerminalPrompt;

impl ConfirmationPrompt for TerminalPrompt {
    fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        print(text)
    }

    fn confirm(&mut self, text: &str, question: &str) -> io::Result<bool> {
        // What was typed before it was shown was not meant by it.
        tcflush(io::stdin(), QueueSelector::IFlush)?;
        print(&format!("{text}\n{question} [y/N] "))?;
        let mut answer = Vec::new();
        io::stdin().lock().take(REPLY_BYTES_MAX).read_until(b'\n', &mut answer)?;
        if !answer.ends_with(b"\n") {
            // The terminal was closed, and the cursor still stands behind the question.
            print("\n")?;
        }
        Ok(is_yes(&answer))
    }
}

fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii();
    answer.eq_ignore_ascii_case(b"y") || answer.eq_ignore_ascii_case(b"yes")
}

/// Where lines are drawn over one another, beside stdout.
pub(crate) fn stderr_writer() -> impl Write {
    io::stderr()
}

/// Writes texts in order, each at once.
#[derive(Debug)]
pub(crate) struct Printer {
    is_terminal: bool,
    texts: mpsc::Sender<String>,
    /// Nothing once it was asked.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Printer {
    /// Prints to stdout.
    pub(crate) fn stdout() -> Self {
        Printer { is_terminal: io::stdout().is_terminal(), ..Printer::new(io::stdout()) }
    }

    /// Prints to `sink`, which is no terminal.
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
        Printer { is_terminal: false, texts, ended: Some(ended) }
    }

    /// Hands over a text; waits while too many do.
    ///
    /// # Errors
    ///
    /// An earlier text could not be written; nothing is printed any more.
    pub(crate) async fn print(&mut self, text: impl Into<String>) -> io::Result<()> {
        let text = text.into();
        let text = match guard(&text, self.is_terminal) {
            Cow::Owned(shown) => shown,
            Cow::Borrowed(_) => text,
        };
        self.print_raw(text).await
    }

    /// The same for what moves the cursor: a picture of our own, whose texts were guarded before.
    pub(crate) async fn print_raw(&mut self, text: String) -> io::Result<()> {
        if text.is_empty() || self.texts.send(text).await.is_ok() {
            return Ok(());
        }
        Err(self.wait_for_failure().await)
    }

    /// Waits until nothing can be printed any more; answers why.
    pub(crate) async fn wait_for_failure(&mut self) -> io::Error {
        self.texts.closed().await;
        self.write_result().await.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    ///
    /// Not everything could be.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        drop(std::mem::replace(&mut self.texts, mpsc::channel(1).0));
        self.write_result().await
    }

    async fn write_result(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.ended.take().ok_or_else(gone)?.await.map_err(|_| gone())?
    }
}

/// Every Ctrl-C from now on; it ends the process no more. Needs the runtime.
///
/// # Errors
///
/// The system does not let us listen to the signal.
pub(crate) fn interrupts() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(stream::poll_fn(move |cx| interrupt.poll_recv(cx)))
}

#[cfg(test)]
pub(crate) mod testing {
    //! A stdout whose text can be looked at.

    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what is printed; refuses it beyond `capacity` bytes as a closed pipe does.
    #[derive(Clone)]
    pub(crate) struct CapturedOutput {
        text: Arc<Mutex<Vec<u8>>>,
        capacity: usize,
    }

    impl CapturedOutput {
        pub(crate) fn new(capacity: usize) -> Self {
            CapturedOutput { text: Arc::default(), capacity }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for CapturedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.text.lock().unwrap();
            if text.len() + bytes.len() > self.capacity {
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
    use super::{testing::CapturedOutput, *};

    #[actix_rt::test]
    async fn texts_are_printed_in_order() {
        let output = CapturedOutput::new(100);
        let mut printer = Printer::new(output.clone());
        for text in ["one ", "", "two ", "three"] {
            printer.print(text).await.unwrap();
        }
        printer.finish().await.unwrap();
        assert_eq!(output.text(), "one two three");
    }

    #[test]
    fn only_a_written_yes_is_one() {
        for yes in ["y\n", "Y\r\n", " yes\n", "YES"] {
            assert!(is_yes(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "ye\n", "y y\n", "yes!\n", "\u{200b}y\n"] {
            assert!(!is_yes(no.as_bytes()), "{no:?}");
        }
    }

    #[test]
    fn a_terminal_gets_what_is_guarded_and_a_file_the_bytes() {
        assert_eq!(guard("\x1b[2J\n", true), "\\u{1b}[2J\n");
        assert_eq!(guard("\x1b[2J\n", false), "\x1b[2J\n");
    }

    #[actix_rt::test]
    async fn a_reader_that_left_is_noticed() {
        let mut printer = Printer::new(CapturedOutput::new(3));
        printer.print("abc").await.unwrap();
        printer.print("d").await.unwrap();
        assert_eq!(printer.wait_for_failure().await.kind(), io::ErrorKind::BrokenPipe);
        assert!(printer.print("e").await.is_err() && printer.finish().await.is_err(), "and it stays so");
    }
}
