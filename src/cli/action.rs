//! `baa-conductor action`: makes a Firefox open, focus, reload or restore shell tabs, reconnect, or report its status.

mod outcome;

use super::{
    CommandContext,
    client::{DaemonClient, REPLY_TIMEOUT},
    text::{self, JsonLayout},
};
use clap::ValueEnum;
use outcome::ActionOutcome;
use serde::Serialize;
use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

/// Route for actions.
const ROUTE: &str = "/v1/browser/actions";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor action tab_open --platform claude
  baa-conductor action ws_reconnect --client firefox-1 --wait

Exit codes: 0 completed, or accepted without waiting for completion; 1 failed.")]
pub(super) struct ActionArguments {
    /// Action to perform.
    #[arg(value_name = "NAME")]
    pub(super) name: ActionName,
    /// Web app; required to open, focus or reload a tab.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: Option<String>,
    /// Firefox client; by default the active one.
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Reason, for the log and the extension.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Time limit in milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// With ws_reconnect: wait until the Firefox has reconnected.
    #[arg(long)]
    pub(super) wait: bool,
    /// Print the daemon's response as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The actions of a Firefox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionName {
    /// Report the status of the extension.
    PluginStatus,
    /// Report the logins again.
    RequestCredentials,
    /// Open the web app's shell tab.
    TabOpen,
    /// Bring the shell tab to the front.
    TabFocus,
    /// Reload the shell tab.
    TabReload,
    /// Reopen missing shell tabs; of every web app without --platform.
    TabRestore,
    /// Reconnect to the daemon.
    WsReconnect,
    /// Reload the extension's controller.
    ControllerReload,
}

/// The body of `POST /v1/browser/actions`.
#[derive(Debug, Serialize)]
struct ActionBody<'a> {
    action: ActionName,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    wait: bool,
}

impl ActionArguments {
    fn body(&self) -> ActionBody<'_> {
        ActionBody {
            action: self.name,
            platform: self.platform.as_deref(),
            client_id: self.client.as_deref(),
            reason: self.reason.as_deref(),
            timeout_ms: self.timeout_ms,
            wait: self.wait,
        }
    }

    /// Time limit for the daemon's response: longer than the action's own limit, so that the daemon reports a timeout
    /// itself. `None` without `--timeout-ms`, where the daemon's setting applies.
    fn reply_timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(|ms| Duration::from_millis(ms) + REPLY_TIMEOUT)
    }
}

/// Runs the command.
pub(super) fn run(context: CommandContext, arguments: ActionArguments) -> anyhow::Result<ExitCode> {
    let json =
        arguments.json.then(|| if io::stdout().is_terminal() { JsonLayout::Pretty } else { JsonLayout::Compact });
    let work = async { perform(&DaemonClient::find(&context)?, &arguments, json).await };
    let (shown, failed) = actix::System::new().block_on(work)?;
    let printed = if json.is_some() { super::print(&shown)? } else { super::print_lines(&shown)? };
    Ok(if failed { ExitCode::FAILURE } else { printed })
}

/// Performs the action. Returns the text to print and whether the action failed.
async fn perform(
    client: &DaemonClient,
    arguments: &ActionArguments,
    json: Option<JsonLayout>,
) -> anyhow::Result<(String, bool)> {
    let data = client.post(ROUTE, &arguments.body(), arguments.reply_timeout()).await?;
    let done: ActionOutcome = client.parse(&data)?;
    let shown = match json {
        Some(layout) => text::json(data.get(), layout) + "\n",
        None => done.render(arguments),
    };
    Ok((shown, done.has_failed()))
}

#[cfg(test)]
mod tests;
