//! `baa-conductor action`: has a Firefox open, focus, reload or restore shell tabs, reconnect, or tell how it is.

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

/// Where actions go.
const ROUTE: &str = "/v1/browser/actions";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor action tab_open --platform claude
  baa-conductor action ws_reconnect --client firefox-1 --wait

Exit codes: 0 done, or taken on by a Firefox that is not waited for; 1 failed.")]
pub(super) struct ActionArguments {
    /// What is to be done.
    #[arg(value_name = "NAME")]
    pub(super) name: ActionName,
    /// The web app; needed to open, focus or reload a tab.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: Option<String>,
    /// Which Firefox; the active one when left out.
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Why, for the log and the extension.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Milliseconds that it may take.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// With ws_reconnect: wait until the Firefox is back.
    #[arg(long)]
    pub(super) wait: bool,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What a Firefox can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionName {
    /// Tell how the extension is.
    PluginStatus,
    /// Report its logins again.
    RequestCredentials,
    /// Open the web app's shell tab.
    TabOpen,
    /// Bring that tab to the front.
    TabFocus,
    /// Load that tab anew.
    TabReload,
    /// Open it again where it is wanted and missing; of every web app without --platform.
    TabRestore,
    /// Connect to the daemon anew.
    WsReconnect,
    /// Load the extension's controller anew.
    ControllerReload,
}

/// The order, as the daemon reads it.
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

    /// How long the daemon's answer is waited for: longer than the action may take, so that its word comes first.
    /// Without a time of ours the daemon's own setting ends it, which only the daemon knows.
    fn reply_timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(|ms| Duration::from_millis(ms) + REPLY_TIMEOUT)
    }
}

/// Prints to stdout what became of it.
pub(super) fn run(context: CommandContext, arguments: ActionArguments) -> anyhow::Result<ExitCode> {
    let json =
        arguments.json.then(|| if io::stdout().is_terminal() { JsonLayout::Pretty } else { JsonLayout::Compact });
    let work = async { perform(&DaemonClient::find(&context)?, &arguments, json).await };
    let (shown, failed) = actix::System::new().block_on(work)?;
    let said = if json.is_some() { super::print(&shown)? } else { super::print_lines(&shown)? };
    Ok(if failed { ExitCode::FAILURE } else { said })
}

/// What is to be printed, and whether it failed.
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
