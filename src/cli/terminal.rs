//! Terminal input and output: printing, confirmation prompts and Ctrl-C.
//!
//! Invariant: all output of the client commands goes through this file, and output to a terminal through
//! [`text::guarded`]. A slow reader blocks the printing, never the command: a separate thread writes, and the process does
//! not wait for it at its end.
//!
//! ```text
//! command ── print ──► queue of PENDING_MAX texts ──► thread ──► stdout
//!    ▲                                                  │
//!    └───────────────── write result ───────────────────┘
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

/// Maximum number of texts that wait to be written.
const PENDING_MAX: usize = 16;

/// Maximum bytes read as the reply to a prompt.
const REPLY_BYTES_MAX: u64 = 256;

/// Escapes control characters if the text goes to a terminal.
fn guard(text: &str, is_terminal: bool) -> Cow<'_, str> {
    if is_terminal { text::guarded(text) } else { Cow::Borrowed(text) }
}

/// Writes a text to stdout and flushes it.
///
/// # Errors
///
/// stdout cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let shown = guard(text, stdout.is_terminal());
    stdout.write_all(shown.as_bytes())?;
    stdout.flush()
}

/// Writes lines that contain untrusted text to stdout, wrapped to the terminal, and flushes them.
///
/// # Errors
///
/// stdout cannot be written.
pub(crate) fn print_lines(text: &str) -> io::Result<()> {
    print(&line_wrap::wrap_lines(text, OutputStyle::terminal_width(io::stdout())))
}

/// Writes an escaped line to stderr. Write errors are ignored.
pub(crate) fn print_error(line: &str) {
    let line = line_wrap::wrap_line("", &text::line(line), OutputStyle::terminal_width(io::stderr()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Asks a person to confirm something.
pub(crate) trait ConfirmationPrompt {
    /// Whether stdin and stdout belong to a person.
    fn is_interactive(&self) -> bool;
    fn show(&mut self, text: &str) -> io::Result<()>;
    /// Shows a text and asks a question about it. Only `y` or `yes`, typed after that, confirms.
    fn confirm(&mut self, text: &str, question: &str) -> io::Result<bool>;
}

/// Prompts at this process's terminal.
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
        // Input typed before the question was shown does not answer it.
        tcflush(io::stdin(), QueueSelector::IFlush)?;
        print(&format!("{text}\n{question} [y/N] "))?;
        let mut answer = Vec::new();
        io::stdin().lock().take(REPLY_BYTES_MAX).read_until(b'\n', &mut answer)?;
        if !answer.ends_with(b"\n") {
            // The terminal was closed; the cursor is still on the line of the question.
            print("\n")?;
        }
        Ok(is_yes(&answer))
    }
}

fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii();
    answer.eq_ignore_ascii_case(b"y") || answer.eq_ignore_ascii_case(b"yes")
}

/// Returns a writer to stderr, for lines that overwrite one another.
pub(crate) fn stderr_writer() -> impl Write {
    io::stderr()
}

/// Writes texts in order on a thread of its own and flushes each.
#[derive(Debug)]
pub(crate) struct Printer {
    is_terminal: bool,
    texts: mpsc::Sender<String>,
    /// The result of writing; `None` once it was taken.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Printer {
    /// Returns a printer to stdout.
    pub(crate) fn stdout() -> Self {
        Printer { is_terminal: io::stdout().is_terminal(), ..Printer::new(io::stdout()) }
    }

    /// Returns a printer to `sink`, which is not a terminal.
    pub(crate) fn new(mut sink: impl Write + Send + 'static) -> Self {
        let (texts, mut pending) = mpsc::channel::<String>(PENDING_MAX);
        let (report, ended) = oneshot::channel();
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
            // The command may not wait for the result.
            let _ = report.send(done);
        });
        Printer { is_terminal: false, texts, ended: Some(ended) }
    }

    /// Queues a text, and waits while the queue is full.
    ///
    /// # Errors
    ///
    /// An earlier text could not be written; nothing more is printed.
    pub(crate) async fn print(&mut self, text: impl Into<String>) -> io::Result<()> {
        let text = text.into();
        let text = match guard(&text, self.is_terminal) {
            Cow::Owned(shown) => shown,
            Cow::Borrowed(_) => text,
        };
        self.print_raw(text).await
    }

    /// Queues text with escape sequences of this program. Untrusted parts must be guarded already.
    pub(crate) async fn print_raw(&mut self, text: String) -> io::Result<()> {
        if text.is_empty() || self.texts.send(text).await.is_ok() {
            return Ok(());
        }
        Err(self.wait_for_failure().await)
    }

    /// Waits until writing fails and returns the error.
    pub(crate) async fn wait_for_failure(&mut self) -> io::Error {
        self.texts.closed().await;
        self.write_result().await.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until all texts are written.
    ///
    /// # Errors
    ///
    /// A text could not be written.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        drop(std::mem::replace(&mut self.texts, mpsc::channel(1).0));
        self.write_result().await
    }

    async fn write_result(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.ended.take().ok_or_else(gone)?.await.map_err(|_| gone())?
    }
}

/// Returns a stream of the Ctrl-C presses from now on, which no longer end the process. Requires the runtime.
///
/// # Errors
///
/// The signal handler cannot be installed.
pub(crate) fn interrupts() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(stream::poll_fn(move |cx| interrupt.poll_recv(cx)))
}

#[cfg(test)]
pub(crate) mod testing {
    //! An output that records what is printed.

    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Records what is printed. Beyond `capacity` bytes it fails like a closed pipe.
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
            String::from_utf8(self.text.lock().clone()).unwrap()
        }
    }

    impl Write for CapturedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.text.lock();
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
    fn only_y_or_yes_confirms() {
        for yes in ["y\n", "Y\r\n", " yes\n", "YES"] {
            assert!(is_yes(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "ye\n", "y y\n", "yes!\n", "\u{200b}y\n"] {
            assert!(!is_yes(no.as_bytes()), "{no:?}");
        }
    }

    #[test]
    fn control_characters_are_escaped_for_a_terminal_and_kept_for_a_file() {
        assert_eq!(guard("\x1b[2J\n", true), "\\u{1b}[2J\n");
        assert_eq!(guard("\x1b[2J\n", false), "\x1b[2J\n");
    }

    #[actix_rt::test]
    async fn a_closed_output_is_reported() {
        let mut printer = Printer::new(CapturedOutput::new(3));
        printer.print("abc").await.unwrap();
        printer.print("d").await.unwrap();
        assert_eq!(printer.wait_for_failure().await.kind(), io::ErrorKind::BrokenPipe);
        assert!(printer.print("e").await.is_err() && printer.finish().await.is_err(), "the failure is permanent");
    }
}
