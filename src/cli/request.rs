//! `baa-conductor request`: one request through the running daemon, streamed to the terminal.
//!
//! ```text
//! ask ──► print ──► ended        exit 0, or 1 when it failed
//!  │        │
//!  │        └─ stdout closed ──► cancel ──► exit 0
//!  └── Ctrl-C ──► cancel ──► print on until it ended, at most SETTLE ──► exit 130
//!                                └── Ctrl-C ──► exit 130 at once
//! ```

mod answer;
mod order;

use super::{
    Context, cancel,
    client::{CallError, Client},
    terminal::{self, Printer},
};
use crate::ids::RequestId;
use answer::{Last, Style, Teller};
use futures_util::{
    future::{Either, select},
    stream::{Stream, StreamExt},
};
use order::Order;
use std::{
    io::{self, IsTerminal},
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};
use tokio::time::timeout;

/// Where requests go.
const ROUTE: &str = "/v1/browser/request";
/// How long a cancelled request may take to end: twice what the daemon gives the extension.
const SETTLE: Duration = Duration::from_secs(4);
/// Exit code of a command that Ctrl-C ended, as shells know it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The web app, such as claude.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: String,
    /// Send this as a prompt, or with --path as the body {"prompt": …}.
    #[arg(long, value_name = "TEXT", required_unless_present = "path")]
    pub(super) prompt: Option<String>,
    /// Path on the web app, beginning with one slash, or an absolute URL on one of its hosts.
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
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
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Milliseconds that the answer may take.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// An id of your own, with which `cancel` can name the request.
    #[arg(long, value_name = "ID", value_parser = RequestId::parse)]
    pub(super) request_id: Option<RequestId>,
    /// Print the answer event by event as it comes.
    #[arg(long)]
    pub(super) sse: bool,
    /// Print what the daemon says about the request too, as JSON; with --sse one line for each event.
    #[arg(long)]
    pub(super) json: bool,
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
    actix::System::new().block_on(async { perform(&Client::find(&context)?, arguments).await })
}

/// Sends the request, prints the answer to stdout and listens to Ctrl-C meanwhile.
pub(super) async fn perform(client: &Client, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let style = Style { json: arguments.json, terminal: io::stdout().is_terminal() };
    let (sse, order) = (arguments.sse, Order::new(arguments, io::stdin().lock())?);
    // Not before stdin was read: until then, Ctrl-C just ends the process.
    let presses = terminal::presses()?;
    let work = async {
        let printer = Printer::stdout();
        if sse { stream(client, &order, style, printer).await } else { ask(client, &order, style, printer).await }
    };
    conclude(client, &order, pin!(work), presses).await
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

async fn ask(client: &Client, order: &Order, style: Style, mut printer: Printer) -> Ended {
    let data = client.post(ROUTE, order, None).await?;
    printer.print(answer::buffered(&data, style)).await?;
    printer.finish().await?;
    Ok(Last::End)
}

async fn stream(client: &Client, order: &Order, style: Style, mut printer: Printer) -> Ended {
    let mut events = client.stream(ROUTE, order).await?;
    let mut teller = Teller::new(style);
    let last = loop {
        let next = match select(pin!(events.next()), pin!(printer.broken())).await {
            Either::Left((next, _)) => next,
            Either::Right((error, _)) => return Err(error.into()),
        };
        let Ok(Some(frame)) = next else {
            // What came is not lost with the rest.
            printer.print(teller.end()).await?;
            printer.finish().await?;
            return next.map_err(Broken::from).and(Err(Broken::Unfinished));
        };
        printer.print(teller.tell(&frame)).await?;
        if let Some(last) = answer::last(&frame) {
            break last;
        }
    };
    printer.print(teller.end()).await?;
    printer.finish().await?;
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
                    eprintln!("baa-conductor: the answer was complete before it could be cancelled");
                }
                // Also when the daemon knows nothing of it: it cancels what loses its caller.
                Either::Left(_) | Either::Right(_) => eprintln!("cancelled"),
            }
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    match ended {
        Ok(Last::End) => Ok(ExitCode::SUCCESS),
        Ok(Last::Error(line)) => {
            eprintln!("{line}");
            Ok(ExitCode::FAILURE)
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

async fn cancel(client: &Client, order: &Order, reason: &str) -> anyhow::Result<String> {
    let (request_id, platform) = (&*order.request_id, &*order.platform);
    cancel::Order { request_id, platform, client_id: None, reason: Some(reason) }.give(client).await
}

#[cfg(test)]
mod tests;
