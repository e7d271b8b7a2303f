//! `baa-conductor request`: one request through the running daemon, streamed to the terminal.
//!
//! ```text
//! ask ──► print ──► ended        exit 0, or what its failure means
//!  │        │
//!  │        └─ stdout closed ──► cancel ──► exit 0
//!  └── Ctrl-C ──► cancel ──► print on until it ended, at most SETTLE ──► exit 130
//!                                └── Ctrl-C ──► exit 130 at once
//! ```

mod answer;
mod meaning;
mod order;
mod sheet;
mod speech;
mod waiting;

use super::{
    Context, cancel,
    client::{CallError, Client},
    terminal::{self, Printer},
};
use crate::{cli::event_stream::Frame, ids::RequestId, platforms::registry::FinalMessageExtractor};
use answer::{Last, Style, Teller};
use futures_util::{
    future::{Either, select},
    stream::{Stream, StreamExt},
};
use meaning::Meaning;
use order::Order;
use speech::Speech;
use std::{
    io::{self, IsTerminal},
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};
use tokio::time::timeout;
use waiting::Waiting;

/// Where requests go.
const ROUTE: &str = "/v1/browser/request";
/// How long a cancelled request may take to end: twice what the daemon gives the extension.
const SETTLE: Duration = Duration::from_secs(4);

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
pub(super) struct Arguments {
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

impl Arguments {
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
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let registry = context.config.registry();
    let app = registry.get(&arguments.platform).map_or(FinalMessageExtractor::None, |platform| platform.final_message);
    actix::System::new().block_on(async { perform(&Client::find(&context)?, arguments, app).await })
}

/// Sends the request, prints the answer to stdout and listens to Ctrl-C meanwhile. `app`: how its assistant's answers
/// are read.
async fn perform(client: &Client, arguments: Arguments, app: FinalMessageExtractor) -> anyhow::Result<ExitCode> {
    let style = Style { json: arguments.json, terminal: io::stdout().is_terminal() };
    let waiting = Waiting::on_stderr(arguments.quiet);
    let telling = arguments.is_streamed().then(|| Telling::new(&arguments, style, app));
    let order = Order::new(arguments, io::stdin().lock())?;
    // Not before stdin was read: until then, Ctrl-C just ends the process.
    let presses = terminal::presses()?.inspect(|()| waiting.end());
    let work = async {
        let printer = Printer::stdout();
        let ended = match telling {
            Some(telling) => stream(client, &order, telling, printer, &waiting).await,
            None => ask(client, &order, style, printer, &waiting).await,
        };
        waiting.end();
        ended
    };
    let told = async {
        match select(pin!(work), pin!(waiting.follow(client, &order))).await {
            Either::Left((ended, _)) => ended,
            Either::Right((never, _)) => match never {},
        }
    };
    conclude(client, &order, pin!(told), presses).await
}

/// How the work ended, when it came to an end.
type Ended = Result<Last, Broken>;

/// Why it did not.
#[derive(Debug, thiserror::Error)]
enum Broken {
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

async fn ask(client: &Client, order: &Order, style: Style, mut printer: Printer, waiting: &Waiting) -> Ended {
    let data = client.post(ROUTE, order, None).await?;
    waiting.end();
    printer.print(answer::buffered(&data, style)).await?;
    printer.finish().await?;
    Ok(Last::End)
}

/// How the frames of a stream are told.
#[derive(Debug)]
enum Telling {
    /// Each event for itself.
    Events(Teller),
    /// The assistant's text, of an app whose answers nobody knows in the shapes that many share.
    Guessed(Teller),
    /// The assistant's text.
    Speech(Box<Speech>),
}

impl Telling {
    fn new(arguments: &Arguments, style: Style, app: FinalMessageExtractor) -> Self {
        if style.json || !arguments.is_prompt() {
            return Telling::Events(Teller::new(style));
        }
        Speech::of(app, style)
            .map_or_else(|| Telling::Guessed(Teller::new(style)), |speech| Telling::Speech(Box::new(speech)))
    }

    fn tell(&mut self, frame: &Frame) -> String {
        match self {
            Telling::Events(teller) | Telling::Guessed(teller) => teller.tell(frame),
            Telling::Speech(speech) => speech.tell(frame),
        }
    }

    fn end(&mut self) -> String {
        match self {
            Telling::Events(teller) | Telling::Guessed(teller) => teller.end(),
            Telling::Speech(speech) => speech.end(),
        }
    }

    /// What has to be said on stderr of an answer that is complete.
    fn remark(&self) -> Option<String> {
        match self {
            Telling::Events(_) => None,
            Telling::Guessed(teller) => teller.remark(),
            Telling::Speech(speech) => speech.remark(),
        }
    }
}

async fn stream(client: &Client, order: &Order, mut teller: Telling, mut printer: Printer, waiting: &Waiting) -> Ended {
    let mut events = client.stream(ROUTE, order).await?;
    let last = loop {
        let next = match select(pin!(events.next()), pin!(printer.broken())).await {
            Either::Left((next, _)) => next,
            Either::Right((error, _)) => return Err(error.into()),
        };
        let Ok(Some(frame)) = next else {
            // What came is not lost with the rest.
            waiting.end();
            printer.print(teller.end()).await?;
            printer.finish().await?;
            return next.map_err(Broken::from).and(Err(Broken::Unfinished));
        };
        let told = teller.tell(&frame);
        if !told.is_empty() {
            waiting.end();
        }
        printer.print(told).await?;
        if let Some(last) = answer::last(&frame) {
            break last;
        }
    };
    printer.print(teller.end()).await?;
    printer.finish().await?;
    if let Some(remark) = teller.remark().filter(|_| last == Last::End) {
        terminal::complain(&format!("baa-conductor: {remark}"));
    }
    Ok(last)
}

/// Waits for the end of the work, or for whoever ends it early, and answers the exit code.
async fn conclude(
    client: &Client,
    order: &Order,
    mut work: Pin<&mut impl Future<Output = Ended>>,
    mut presses: impl Stream<Item = ()> + Unpin,
) -> anyhow::Result<ExitCode> {
    let ended = match select(work.as_mut(), presses.next()).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => {
            let settled = pin!(async {
                cancel(client, order, "ctrl-c").await.ok()?;
                timeout(SETTLE, work).await.ok()
            });
            match select(settled, presses.next()).await {
                Either::Left((Some(Ok(Last::End)), _)) => {
                    terminal::complain("baa-conductor: the answer was complete before it could be cancelled");
                }
                // Also when the daemon knows nothing of it: it cancels what loses its caller.
                Either::Left(_) | Either::Right(_) => terminal::complain("cancelled"),
            }
            return Ok(Meaning::Cancelled.exit_code());
        }
    };
    match ended {
        Ok(Last::End) => Ok(ExitCode::SUCCESS),
        Ok(Last::Error(line, meaning)) => {
            terminal::complain(&line);
            point_to_doctor(order, meaning);
            Ok(meaning.exit_code())
        }
        Err(Broken::Call(CallError::Refused(refused))) => {
            terminal::complain(&format!("baa-conductor: {refused}"));
            if let Some(advice) = refused.details.get("suggested_action").and_then(serde_json::Value::as_str) {
                terminal::complain(advice);
            }
            let meaning = Meaning::of(&refused.error, refused.status);
            point_to_doctor(order, meaning);
            Ok(meaning.exit_code())
        }
        Err(Broken::Output(error)) => {
            // Losing its caller has the same effect; this only names the reason.
            let _ = cancel(client, order, "stdout-closed").await;
            // Who closed it, as `head` does, has seen enough.
            if error.kind() == io::ErrorKind::BrokenPipe {
                Ok(ExitCode::SUCCESS)
            } else {
                Err(Broken::Output(error).into())
            }
        }
        Err(broken) => Err(broken.into()),
    }
}

/// Says what finds the cause of a request that did not get as far as the web app.
fn point_to_doctor(order: &Order, meaning: Meaning) {
    if matches!(meaning, Meaning::Failed | Meaning::Refused) {
        terminal::complain(&format!("`baa-conductor doctor --platform {}` tells what is wrong", order.platform));
    }
}

async fn cancel(client: &Client, order: &Order, reason: &str) -> anyhow::Result<String> {
    let (request_id, platform) = (&*order.request_id, &*order.platform);
    cancel::Order { request_id, platform, client_id: None, reason: Some(reason) }.give(client).await
}

#[cfg(test)]
mod tests;
