//! `baa-conductor request`: sends one request through the running daemon and prints the response.
//!
//! ```text
//! send ──► print ──► end         exit 0, or the code of the failure kind
//!  │        │
//!  │        └─ stdout closed ──► cancel ──► exit 0
//!  └── Ctrl-C ──► cancel ──► print until the end, at most CANCEL_TIMEOUT ──► exit 130
//!                                └── Ctrl-C ──► exit 130 at once
//! ```

mod failure_kind;
mod output_buffer;
mod prompt_renderer;
mod request_body;
mod response;
mod wait_indicator;

use super::{
    CommandContext, cancel,
    client::{CallError, DaemonClient, with_daemon},
    terminal::{self, Printer},
};
use crate::{
    api::browser_request::CancelRequest, ids::RequestId, platforms::registry::FinalMessageExtractor, sse::SseFrame,
};
use failure_kind::FailureKind;
use futures_util::{
    future::{Either, select},
    stream::{Stream, StreamExt},
};
use output_buffer::ResponseStyle;
use prompt_renderer::PromptRenderer;
use request_body::PreparedRequest;
use response::{EventRenderer, StreamEnd};
use std::{
    io::{self, IsTerminal},
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};
use tokio::time::timeout;
use wait_indicator::WaitIndicator;

const ROUTE: &str = "/v1/browser/request";
/// Time limit for the end of a cancelled request: twice the daemon's limit for the extension.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor request --platform claude --prompt 'Tell me a story.'
  git diff | baa-conductor request --platform claude --prompt -
  baa-conductor request --platform claude --path /api/organizations

The response to a prompt without --path is streamed: only the assistant's text, without its thoughts. While the request
is queued, its position is shown on stderr. If requests fail, `baa-conductor doctor` finds the cause.

Exit codes: 0 completed; 1 failed; 2 bad usage; 4 refused by the daemon or its policy; 5 the web app responded with an
error; 130 cancelled.")]
pub(super) struct RequestArguments {
    /// Web app, such as claude.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: String,
    /// Prompt to send; with --path it is sent as the body {"prompt": …}; - reads it from stdin.
    #[arg(long, value_name = "TEXT", required_unless_present = "path")]
    pub(super) prompt: Option<String>,
    /// Path on the web app, starting with one slash, or an absolute URL on one of its hosts.
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
    /// Claude: organization of the prompt.
    #[arg(long, value_name = "ID", requires = "prompt", conflicts_with = "path")]
    pub(super) organization_id: Option<String>,
    /// Claude: conversation to continue; by default the current one, or the newest.
    #[arg(long, value_name = "ID", requires = "prompt", conflicts_with = "path")]
    pub(super) conversation_id: Option<String>,
    /// HTTP method; by default GET, or POST with a body or a prompt.
    #[arg(long, value_name = "METHOD", requires = "path")]
    pub(super) method: Option<String>,
    /// Request body: JSON, or any other text; @FILE reads it from a file, @- from stdin.
    #[arg(long, value_name = "BODY")]
    pub(super) body: Option<String>,
    /// Request header; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// Firefox client; by default the active one.
    #[arg(long, value_name = "ID", visible_alias = "client-id")]
    pub(super) client: Option<String>,
    /// Time limit for the response in milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// Request id to use, for example with `cancel`; by default a generated one.
    #[arg(long, value_name = "ID", value_parser = RequestId::parse)]
    pub(super) request_id: Option<RequestId>,
    /// Stream the response event by event; always on for a prompt without --path.
    #[arg(long)]
    pub(super) sse: bool,
    /// Do not show the queue position on stderr.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Print the daemon's whole response as JSON; for a stream, one line per event.
    #[arg(long)]
    pub(super) json: bool,
}

impl RequestArguments {
    fn is_prompt(&self) -> bool {
        self.path.is_none()
    }

    fn is_streamed(&self) -> bool {
        self.sse || self.is_prompt()
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME:VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() {
        Err("the name before the colon is missing".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}

pub(super) fn run(context: CommandContext, arguments: RequestArguments) -> anyhow::Result<ExitCode> {
    let registry = context.config.registry();
    let app = registry.get(&arguments.platform).map_or(FinalMessageExtractor::None, |platform| platform.final_message);
    with_daemon(&context, async |client| send_and_print(client, arguments, app).await)
}

/// Sends the request and prints the response to stdout; Ctrl-C cancels. `app` selects how the assistant's text is
/// extracted.
async fn send_and_print(
    client: &DaemonClient,
    arguments: RequestArguments,
    app: FinalMessageExtractor,
) -> anyhow::Result<ExitCode> {
    let style = ResponseStyle { json: arguments.json, terminal: io::stdout().is_terminal() };
    let indicator = WaitIndicator::on_stderr(arguments.quiet);
    let renderer = arguments.is_streamed().then(|| StreamRenderer::new(&arguments, style, app));
    let request = PreparedRequest::new(arguments, io::stdin().lock())?;
    // After stdin was read: until then, Ctrl-C ends the process.
    let interrupts = terminal::interrupts()?.inspect(|()| indicator.end());
    let work = async {
        let printer = Printer::stdout();
        let ended = match renderer {
            Some(renderer) => send_streamed(client, &request, renderer, printer, &indicator).await,
            None => send_buffered(client, &request, style, printer, &indicator).await,
        };
        indicator.end();
        ended
    };
    let work = async {
        match select(pin!(work), pin!(indicator.poll(client, &request))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    };
    wait_for_end(client, &request, pin!(work), interrupts).await
}

/// How the response ended.
type RequestResult = Result<StreamEnd, RequestCommandError>;

/// The reason why no complete response was printed.
#[derive(Debug, thiserror::Error)]
enum RequestCommandError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("stdout cannot be written")]
    Output(#[from] io::Error),
    /// The stream ended without `stream_end` or `stream_error`.
    #[error("the stream ended without its last event")]
    Unfinished,
}

async fn send_buffered(
    client: &DaemonClient,
    request: &PreparedRequest,
    style: ResponseStyle,
    mut printer: Printer,
    indicator: &WaitIndicator,
) -> RequestResult {
    let data = client.post(ROUTE, &request.body, None).await?;
    indicator.end();
    printer.print(response::render_buffered(&data, style)).await?;
    printer.finish().await?;
    Ok(StreamEnd::Completed)
}

/// Renders the frames of a stream.
#[derive(Debug)]
enum StreamRenderer {
    Events(EventRenderer),
    /// Prints the assistant's text of an app without an extractor, read from common event formats.
    Generic(EventRenderer),
    Prompt(Box<PromptRenderer>),
}

impl StreamRenderer {
    fn new(arguments: &RequestArguments, style: ResponseStyle, app: FinalMessageExtractor) -> Self {
        if style.json || !arguments.is_prompt() {
            return StreamRenderer::Events(EventRenderer::new(style));
        }
        PromptRenderer::of(app, style).map_or_else(
            || StreamRenderer::Generic(EventRenderer::new(style)),
            |renderer| StreamRenderer::Prompt(Box::new(renderer)),
        )
    }

    fn render(&mut self, frame: &SseFrame) -> String {
        match self {
            StreamRenderer::Events(renderer) | StreamRenderer::Generic(renderer) => renderer.render(frame),
            StreamRenderer::Prompt(renderer) => renderer.render(frame),
        }
    }

    fn finish(&mut self) -> String {
        match self {
            StreamRenderer::Events(renderer) | StreamRenderer::Generic(renderer) => renderer.finish(),
            StreamRenderer::Prompt(renderer) => renderer.finish(),
        }
    }

    /// A warning about a completed response, for stderr.
    fn warning(&self) -> Option<String> {
        match self {
            StreamRenderer::Events(_) => None,
            StreamRenderer::Generic(renderer) => renderer.warning(),
            StreamRenderer::Prompt(renderer) => renderer.warning(),
        }
    }
}

async fn send_streamed(
    client: &DaemonClient,
    request: &PreparedRequest,
    mut renderer: StreamRenderer,
    mut printer: Printer,
    indicator: &WaitIndicator,
) -> RequestResult {
    let mut events = client.stream(ROUTE, &request.body).await?;
    let last = loop {
        let next = match select(pin!(events.next()), pin!(printer.wait_for_failure())).await {
            Either::Left((next, _)) => next,
            Either::Right((error, _)) => return Err(error.into()),
        };
        let Ok(Some(frame)) = next else {
            // The text received so far is printed before the error.
            indicator.end();
            printer.print(renderer.finish()).await?;
            printer.finish().await?;
            return next.map_err(RequestCommandError::from).and(Err(RequestCommandError::Unfinished));
        };
        let text = renderer.render(&frame);
        if !text.is_empty() {
            indicator.end();
        }
        printer.print(text).await?;
        if let Some(last) = response::stream_end(&frame) {
            break last;
        }
    };
    printer.print(renderer.finish()).await?;
    printer.finish().await?;
    if let Some(warning) = renderer.warning().filter(|_| last == StreamEnd::Completed) {
        terminal::print_error(&format!("baa-conductor: {warning}"));
    }
    Ok(last)
}

/// Waits for the end of the work, Ctrl-C or a closed stdout, and returns the exit code.
async fn wait_for_end(
    client: &DaemonClient,
    request: &PreparedRequest,
    mut work: Pin<&mut impl Future<Output = RequestResult>>,
    mut interrupts: impl Stream<Item = ()> + Unpin,
) -> anyhow::Result<ExitCode> {
    let ended = match select(work.as_mut(), interrupts.next()).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => {
            let settled = pin!(async {
                cancel(client, request, "ctrl-c").await.ok()?;
                timeout(CANCEL_TIMEOUT, work).await.ok()
            });
            match select(settled, interrupts.next()).await {
                Either::Left((Some(Ok(StreamEnd::Completed)), _)) => {
                    terminal::print_error(
                        "baa-conductor: the response was complete before the request could be cancelled",
                    );
                }
                // Even if the cancel call failed: the daemon cancels a request whose caller disconnects.
                Either::Left(_) | Either::Right(_) => terminal::print_error("cancelled"),
            }
            return Ok(FailureKind::Cancelled.exit_code());
        }
    };
    match ended {
        Ok(StreamEnd::Completed) => Ok(ExitCode::SUCCESS),
        Ok(StreamEnd::Failed(line, kind)) => {
            terminal::print_error(&line);
            suggest_doctor(request, kind);
            Ok(kind.exit_code())
        }
        Err(RequestCommandError::Call(CallError::Refused(refused))) => {
            terminal::print_error(&format!("baa-conductor: {refused}"));
            if let Some(advice) = refused.details.get("suggested_action").and_then(serde_json::Value::as_str) {
                terminal::print_error(advice);
            }
            let kind = FailureKind::of(&refused.error, refused.status);
            suggest_doctor(request, kind);
            Ok(kind.exit_code())
        }
        Err(RequestCommandError::Output(error)) => {
            // Disconnecting cancels the request too; this call adds the reason.
            let _ = cancel(client, request, "stdout-closed").await;
            // A reader that closes the pipe, such as `head`, is no error.
            if error.kind() == io::ErrorKind::BrokenPipe {
                Ok(ExitCode::SUCCESS)
            } else {
                Err(RequestCommandError::Output(error).into())
            }
        }
        Err(broken) => Err(broken.into()),
    }
}

/// Suggests `doctor` for a request that did not reach the web app.
fn suggest_doctor(request: &PreparedRequest, kind: FailureKind) {
    if matches!(kind, FailureKind::Failed | FailureKind::Refused) {
        terminal::print_error(&format!(
            "run `baa-conductor doctor --platform {}` to find the cause",
            request.body.platform
        ));
    }
}

async fn cancel(client: &DaemonClient, request: &PreparedRequest, reason: &str) -> Result<(), CallError> {
    let (request_id, platform) = (request.id.clone(), request.body.platform.clone());
    let body = CancelRequest { request_id, platform, client_id: None, reason: Some(reason.to_owned()) };
    cancel::send_cancel(client, &body).await.map(drop)
}

#[cfg(test)]
mod tests;
