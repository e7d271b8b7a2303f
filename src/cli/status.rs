//! `baa-conductor status`: shows the clients, logins, targets and requests of the running daemon.

mod tables;

use super::{
    CommandContext,
    client::{CallError, DaemonClient},
    table::OutputStyle,
    terminal::{self, Printer},
    text::{self, JsonLayout},
};
use crate::clock::Clock;
use futures_util::{
    future::{Either, select},
    stream::StreamExt,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    io::{self, IsTerminal},
    pin::pin,
    process::ExitCode,
    time::Duration,
};
use tokio::time::sleep;

/// Refresh interval of `--watch`.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor status
  baa-conductor status --watch
  baa-conductor status --json

Exit codes: 0 success; 1 no daemon is running, or it does not respond.")]
pub(super) struct StatusArguments {
    /// Print the daemon's responses as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Refresh every second until Ctrl-C.
    #[arg(long)]
    pub(super) watch: bool,
}

pub(super) fn run(context: CommandContext, arguments: StatusArguments) -> anyhow::Result<ExitCode> {
    let style = StatusStyle { json: arguments.json, terminal: io::stdout().is_terminal() };
    actix::System::new().block_on(async {
        let client = DaemonClient::find(&context)?;
        // With `--watch` too, a daemon that is not running at the start is an error.
        let first = StatusData::fetch(&client).await?.render(&client, style)?;
        if !arguments.watch {
            return super::print(&first);
        }
        let mut interrupts = terminal::interrupts()?;
        let watched = watch(&context, style, first, Printer::stdout());
        match select(pin!(watched), interrupts.next()).await {
            Either::Left((error, _)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            Either::Left((error, _)) => Err(error.into()),
            Either::Right(_) => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Refreshes the output until stdout is closed, and returns that error. Waits for a daemon that restarts.
async fn watch(context: &CommandContext, style: StatusStyle, first: String, mut printer: Printer) -> io::Error {
    let mut text = first;
    loop {
        if let Err(error) = printer.print_raw(style.frame(&text)).await {
            return error;
        }
        sleep(REDRAW_INTERVAL).await;
        text = fetch_and_render(context, style).await.unwrap_or_else(|error| style.render_error(&error));
    }
}

/// Finds the daemon again, since it may have been restarted, and renders its status.
async fn fetch_and_render(context: &CommandContext, style: StatusStyle) -> anyhow::Result<String> {
    let client = DaemonClient::find(context)?;
    Ok(StatusData::fetch(&client).await?.render(&client, style)?)
}

#[derive(Clone, Copy, Debug)]
struct StatusStyle {
    json: bool,
    terminal: bool,
}

impl StatusStyle {
    /// Returns the current style of stdout; the size of a terminal may change.
    fn text_style(self) -> OutputStyle {
        if self.terminal { OutputStyle::of_stdout() } else { OutputStyle { width: None, colour: false } }
    }

    /// Returns the output that replaces the previous text by `text`.
    fn frame(self, text: &str) -> String {
        match (self.terminal, self.json) {
            // Each line erases only its own rest, which avoids flicker.
            (true, false) => format!("\x1b[H{}\x1b[J", text::guarded(text).replace('\n', "\x1b[K\n")),
            (false, false) => format!("{text}\n"),
            (_, true) => text.to_owned(),
        }
    }

    fn render_error(self, error: &anyhow::Error) -> String {
        let text = text::line(&format!("{error:#}")).into_owned();
        if self.json { format!("{}\n", serde_json::json!({ "error": text })) } else { format!("{text}\n") }
    }
}

#[derive(Debug, Serialize)]
struct StatusData {
    browser: Box<RawValue>,
    requests: Box<RawValue>,
}

impl StatusData {
    async fn fetch(client: &DaemonClient) -> Result<Self, CallError> {
        let browser = client.get("/v1/browser").await?;
        let requests = client.get("/v1/browser/requests?limit=20").await?;
        Ok(StatusData { browser, requests })
    }

    fn render(&self, client: &DaemonClient, style: StatusStyle) -> Result<String, CallError> {
        if style.json {
            let text = serde_json::to_string(self).expect("JSON serializes");
            return Ok(text::json(&text, JsonLayout::of_terminal(style.terminal)) + "\n");
        }
        let (browser, journal) = (client.parse(&self.browser)?, client.parse(&self.requests)?);
        Ok(tables::render_all(&browser, &journal, Clock::System.now_ms(), style.text_style()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{
        completed,
        stub_daemon::{StubDaemon, json},
    };
    use serde_json::{Value, json as value};

    const TEXT: StatusStyle = StatusStyle { json: false, terminal: false };

    fn success(data: &Value) -> String {
        value!({"ok": true, "data": data}).to_string()
    }

    async fn shown(browser: String, journal: String, style: StatusStyle) -> Result<String, CallError> {
        let stub = StubDaemon::new(move |seen| match &*seen.line {
            "GET /v1/browser" => json(200, &browser),
            "GET /v1/browser/requests?limit=20" => json(200, &journal),
            other => panic!("unexpected request: {other}"),
        });
        let client = DaemonClient::new(&stub.base, None).unwrap();
        StatusData::fetch(&client).await?.render(&client, style)
    }

    #[actix_rt::test]
    async fn both_responses_are_shown() {
        let browser = completed("browser", value!({"bridge": {"clients": [{"client_id": "firefox-1"}]}}));
        let journal = completed("journal", value!({"requests": [{"request_id": "r-1", "platform": "chatgpt"}]}));
        let shown = |style| shown(success(&browser), success(&journal), style);
        let text = shown(TEXT).await.unwrap();
        assert!(text.contains("firefox-1") && text.contains("r-1") && text.contains("chatgpt"), "{text}");
        let text = shown(StatusStyle { json: true, ..TEXT }).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value!({"browser": browser, "requests": journal}));
    }

    #[actix_rt::test]
    async fn a_response_of_another_format_is_an_error() {
        let odd = success(&value!({"bridge": 7}));
        let error = shown(odd, success(&value!({})), TEXT).await.unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        let refusal = r#"{"ok":false,"error":"unauthorized","message":"Show the token."}"#;
        assert_eq!(
            shown(refusal.into(), refusal.into(), TEXT).await.unwrap_err().to_string(),
            "unauthorized: Show the token."
        );
    }

    #[test]
    fn a_terminal_is_overwritten_and_a_file_is_not() {
        assert_eq!(StatusStyle { terminal: true, ..TEXT }.frame("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(TEXT.frame("a\n"), "a\n\n");
        assert_eq!(StatusStyle { json: true, terminal: true }.frame("{}\n"), "{}\n");
        let error = anyhow::anyhow!("a\u{1b}\nb");
        assert_eq!(TEXT.render_error(&error), "a\\u{1b}\\nb\n");
        assert_eq!(StatusStyle { json: true, ..TEXT }.render_error(&error), "{\"error\":\"a\\\\u{1b}\\\\nb\"}\n");
    }
}
