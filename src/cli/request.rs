//! `baa-conductor request`: one request through the running daemon, streamed to the terminal.
//!
//! ```text
//! ask ──► print ──► ended        exit 0, or what its failure means
//!  │        │
//!  │        └─ stdout closed ──► cancel ──► exit 0
//!  └── Ctrl-C ──► cancel ──► print on until it ended, at most CANCEL_TIMEOUT ──► exit 130
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
    client::{CallError, DaemonClient},
    terminal::{self, Printer},
};
use crate::{cli::event_stream::SseFrame, ids::RequestId, platforms::registry::FinalMessageExtractor};
use failure_kind::FailureKind;
use futures_util::{
    future::{Either, select},
    stream::{Stream, StreamExt},
};
use prompt_renderer::PromptRenderer;
use request_body::BrowserRequestBody;
use response::{EventRenderer, ResponseStyle, StreamEnd};
use std::{
    io::{self, IsTerminal},
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};
use tokio::time::timeout;
use wait_indicator::WaitIndicator;

/// Where requests go.
const ROUTE: &str = "/v1/browser/request";
/// How long a cancelled request may take to end: twice what the daemon gives the extension.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor request --platform claude --prompt 'Tell me a story.'
  git diff | baa-conductor request --platform claude --prompt -
  baa-conductor request --platform claude --path /api/organizations

A prompt without --path is answered as it grows: the assistant's text alone, without its thoughts. While it waits, stderr
says where it stands in the line. `baa-conductor doctor` tells why a request does not come through.

Exit codes: 0 answered; 1 failed; 2 bad usage; 4 refused by the daemon or its policy; 5 the web app answered with an
error; 130 cancelled.")]
pub(super) struct RequestArguments {
    /// The web app, such as claude.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: String,
    /// Send this as a prompt, or with --path as the body {"prompt": …}; - takes it from stdin.
    #[arg(long, value_name = "TEXT", required_unless_present = "path")]
    pub(super) prompt: Option<String>,
    /// Path on the web app, beginning with one slash, or an absolute URL on one of its hosts.
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
    /// Claude: the organization that the prompt is for.
    #[arg(long, value_name = "ID", requires = "prompt", conflicts_with = "path")]
    pub(super) organization_id: Option<String>,
    /// Claude: the conversation that the prompt goes on with; else the current one, or the newest.
    #[arg(long, value_name = "ID", requires = "prompt", conflicts_with = "path")]
    pub(super) conversation_id: Option<String>,
    /// Method; GET unless there is a body or a prompt.
    #[arg(long, value_name = "METHOD", requires = "path")]
    pub(super) method: Option<String>,
    /// Body: JSON, or any other text as it is; @FILE takes it from a file, @- from stdin.
    #[arg(long, value_name = "BODY")]
    pub(super) body: Option<String>,
    /// A request header, NAME:VALUE; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// Which Firefox; the active one when left out.
    #[arg(long, value_name = "ID", visible_alias = "client-id")]
    pub(super) client: Option<String>,
    /// Milliseconds that the answer may take.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// An id of your own, with which `cancel` can name the request.
    #[arg(long, value_name = "ID", value_parser = RequestId::parse)]
    pub(super) request_id: Option<RequestId>,
    /// Print the answer event by event as it comes, as that of a prompt alone always is.
    #[arg(long)]
    pub(super) sse: bool,
    /// Say nothing of the wait.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Print what the daemon says about the request too, as JSON; of a stream one line for each event.
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
        Err("has no name before the colon".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}

/// Prints the answer to stdout.
pub(super) fn run(context: CommandContext, arguments: RequestArguments) -> anyhow::Result<ExitCode> {
    let registry = context.config.registry();
    let app = registry.get(&arguments.platform).map_or(FinalMessageExtractor::None, |platform| platform.final_message);
    actix::System::new().block_on(async { send_and_print(&DaemonClient::find(&context)?, arguments, app).await })
}

/// Sends the request, prints the answer to stdout and listens to Ctrl-C meanwhile. `app`: how its assistant's answers
/// are read.
async fn send_and_print(
    client: &DaemonClient,
    arguments: RequestArguments,
    app: FinalMessageExtractor,
) -> anyhow::Result<ExitCode> {
    let style = ResponseStyle { json: arguments.json, terminal: io::stdout().is_terminal() };
    let indicator = WaitIndicator::on_stderr(arguments.quiet);
    let renderer = arguments.is_streamed().then(|| StreamRenderer::new(&arguments, style, app));
    let request = BrowserRequestBody::new(arguments, io::stdin().lock())?;
    // Not before stdin was read: until then, Ctrl-C just ends the process.
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

/// How the work ended, when it came to an end.
type RequestResult = Result<StreamEnd, RequestCommandError>;

/// Why it did not.
#[derive(Debug, thiserror::Error)]
enum RequestCommandError {
    /// The daemon was not understood, or said no.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer cannot be printed.
    #[error("stdout cannot be written")]
    Output(#[from] io::Error),
    /// The daemon broke its promise.
    #[error("the stream ended without its last event")]
    Unfinished,
}

async fn send_buffered(
    client: &DaemonClient,
    request: &BrowserRequestBody,
    style: ResponseStyle,
    mut printer: Printer,
    indicator: &WaitIndicator,
) -> RequestResult {
    let data = client.post(ROUTE, request, None).await?;
    indicator.end();
    printer.print(response::render_buffered(&data, style)).await?;
    printer.finish().await?;
    Ok(StreamEnd::Completed)
}

/// How the frames of a stream are told.
#[derive(Debug)]
enum StreamRenderer {
    /// Each event for itself.
    Events(EventRenderer),
    /// The assistant's text, of an app whose answers nobody knows in the shapes that many share.
    Generic(EventRenderer),
    /// The assistant's text.
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

    /// What has to be said on stderr of an answer that is complete.
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
    request: &BrowserRequestBody,
    mut renderer: StreamRenderer,
    mut printer: Printer,
    indicator: &WaitIndicator,
) -> RequestResult {
    let mut events = client.stream(ROUTE, request).await?;
    let last = loop {
        let next = match select(pin!(events.next()), pin!(printer.wait_for_failure())).await {
            Either::Left((next, _)) => next,
            Either::Right((error, _)) => return Err(error.into()),
        };
        let Ok(Some(frame)) = next else {
            // What came is not lost with the rest.
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

/// Waits for the end of the work, or for whoever ends it early, and answers the exit code.
async fn wait_for_end(
    client: &DaemonClient,
    request: &BrowserRequestBody,
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
                    terminal::print_error("baa-conductor: the answer was complete before it could be cancelled");
                }
                // Also when the daemon knows nothing of it: it cancels what loses its caller.
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
            // Losing its caller has the same effect; this only names the reason.
            let _ = cancel(client, request, "stdout-closed").await;
            // Who closed it, as `head` does, has seen enough.
            if error.kind() == io::ErrorKind::BrokenPipe {
                Ok(ExitCode::SUCCESS)
            } else {
                Err(RequestCommandError::Output(error).into())
            }
        }
        Err(broken) => Err(broken.into()),
    }
}

/// Says what finds the cause of a request that did not get as far as the web app.
fn suggest_doctor(request: &BrowserRequestBody, kind: FailureKind) {
    if matches!(kind, FailureKind::Failed | FailureKind::Refused) {
        terminal::print_error(&format!("`baa-conductor doctor --platform {}` tells what is wrong", request.platform));
    }
}

async fn cancel(client: &DaemonClient, request: &BrowserRequestBody, reason: &str) -> anyhow::Result<String> {
    let (request_id, platform) = (&*request.request_id, &*request.platform);
    cancel::CancelBody { request_id, platform, client_id: None, reason: Some(reason) }.send_and_describe(client).await
}

#[cfg(test)]
mod tests;
