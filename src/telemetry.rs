//! Logging: log lines to stderr and optionally to files, and panics as log lines.
//!
//! Nothing is written to stdout, which is for the ready line and the output of client commands.

mod log_files;
mod log_rate_limiter;
pub mod metrics;
pub mod settings;

pub use log_rate_limiter::LogRateLimiter;
pub use settings::{LogFormat, LogSettings};

use crate::clock::Clock;
use crate::terminal_text;
use log_files::LogFiles;
use std::{
    any::Any,
    env,
    error::Error,
    io::{self, IsTerminal},
    panic,
    path::Path,
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::MakeExt,
    fmt::{self, format},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Levels of libraries that the filter does not name. `actix_http` is off: any peer can cause its errors, and could fill the
/// log before it is authenticated; at `trace` it logs request heads with their tokens.
const LIBRARIES: &str = "actix_http=off,actix_server=warn,awc=warn";

/// Keeps the writer of the log files alive; writes its queue when dropped.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    _files: Option<WorkerGuard>,
}

/// Why logging could not be initialized.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log files cannot be written.
    #[error("log files in {folder} cannot be written")]
    Files {
        /// Folder of the log files.
        folder: String,
        /// Cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The process already has a logger.
    #[error("logging is already initialized")]
    Twice,
}

/// Initializes logging and the panic hook, once per process. `logs`: the folder for log files.
pub fn init(settings: &LogSettings, logs: &Path) -> Result<Telemetry, TelemetryError> {
    // Both outputs share the formatted fields of a span, which must have no colour if there is a log file.
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !settings.file && !plain && io::stderr().is_terminal();
    let mut layers = vec![layer(settings.format, io::stderr, colour)];
    let mut files = None;
    if settings.file {
        let failed = |source| TelemetryError::Files { folder: logs.display().to_string(), source };
        let appender = LogFiles::open(logs, Clock::System).map_err(failed)?;
        // The queue is bounded and drops lines if the disk is too slow: logging never blocks.
        let (writer, guard) = tracing_appender::non_blocking(appender);
        layers.push(layer(settings.format, writer, false));
        files = Some(guard);
    }
    tracing_subscriber::registry()
        .with(layers)
        .with(filter(&settings.filter))
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name().unwrap_or("unnamed"),
            location = panic.location().map(tracing::field::display),
            message = fixed_text(panic.payload()),
            "panicked"
        );
    }));
    Ok(Telemetry { _files: files })
}

fn filter(text: &str) -> EnvFilter {
    // A directive overrides an earlier one for the same target.
    EnvFilter::builder().parse_lossy(format!("{LIBRARIES},{text}"))
}

fn layer<W>(format: LogFormat, writer: W, colour: bool) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => {
            // Fields may contain foreign text, and logs are read on terminals.
            let fields = format::debug_fn(|writer, field, value| {
                let text = format!("{value:?}");
                match field.name() {
                    "message" => write!(writer, "{}", terminal_text::line(&text)),
                    name => write!(writer, "{name}={}", terminal_text::line(&text)),
                }
            });
            fmt::layer().fmt_fields(fields.delimited(" ")).with_writer(writer).with_ansi(colour).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(EscapedMakeWriter(writer)).boxed(),
    }
}

/// Makes writers that escape hidden characters in lines of JSON.
struct EscapedMakeWriter<W>(W);

impl<'a, W: fmt::MakeWriter<'a>> fmt::MakeWriter<'a> for EscapedMakeWriter<W> {
    type Writer = EscapedWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapedWriter(self.0.make_writer())
    }
}

struct EscapedWriter<W>(W);

impl<W: io::Write> io::Write for EscapedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Each call has one whole line.
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(terminal_text::escaped_json(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns a panic's message if it is a literal of the source; a formatted one may contain data of a request.
fn fixed_text(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(formatted message left out)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, directives: &str, say: impl FnOnce()) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = tracing_subscriber::registry()
            .with(vec![layer(format, move || to.clone(), false)])
            .with(filter(directives));
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(lines.0.lock().clone()).unwrap()
    }

    #[test]
    fn json_is_one_object_per_line_and_text_has_no_colour() {
        let say = || tracing::info!(client.id = "fx", "said hello\nand more");
        let json = logged(LogFormat::Json, "info", say);
        assert_eq!(json.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&line["client.id"], &line["level"]), (&"fx".into(), &"INFO".into()));
        let text = logged(LogFormat::Text, "info", say);
        assert!(text.contains(r#"said hello\nand more client.id="fx""#) && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn hidden_characters_are_escaped_in_both_formats() {
        let hostile = "a\u{1b}[2J\u{9b}\u{202e}\u{3164}\u{200b}\r\nINFO forged";
        let say = || {
            let _within = tracing::error_span!("at", seen = %hostile).entered();
            tracing::error!(client.id = hostile, shown = %hostile, debugged = ?hostile, "{hostile}");
        };
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, "info", say);
            let is_deceptive = |c: char| c.is_control() || ('\u{80}'..='\u{ffff}').contains(&c);
            assert!(lines.ends_with('\n') && !lines.trim_end().contains(is_deceptive), "{lines:?}");
            assert!(lines.matches("[2J").count() >= 5, "all of it is there: {lines:?}");
        }
        let line: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, "info", say)).unwrap();
        assert_eq!((&line["message"], &line["shown"]), (&hostile.into(), &hostile.into()));
    }

    #[test]
    fn libraries_log_only_if_the_filter_names_them() {
        let say = || {
            tracing::trace!(target: "actix_http::h1", "authorization");
            tracing::error!(target: "actix_http::h1", "no head");
            tracing::trace!(target: "baa_conductor", "ours");
        };
        let lines = logged(LogFormat::Text, "trace", say);
        assert!(lines.contains("ours") && !lines.contains("authorization") && !lines.contains("no head"), "{lines}");
        assert!(logged(LogFormat::Text, "trace,actix_http=trace", say).contains("authorization"));
    }

    #[test]
    fn only_literal_panic_messages_are_logged() {
        assert_eq!(fixed_text(&"the table is full"), "the table is full");
        assert!(!fixed_text(&String::from("token abc")).contains("abc"));
    }
}
