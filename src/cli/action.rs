//! `baa-conductor action`: makes a Firefox open, focus, reload or restore shell tabs, reconnect, or report its status.

use super::{
    CommandContext,
    client::{DaemonClient, REPLY_TIMEOUT, with_daemon},
    text::{self, JsonLayout},
};
use crate::{
    api::actions::{ActionOutcome, ActionRequest},
    wire::{ActionKind, PlatformResult, ShellRuntime},
};
use std::{process::ExitCode, time::Duration};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor action tab_open --platform claude
  baa-conductor action ws_reconnect --client firefox-1 --wait

Exit codes: 0 completed, or accepted without waiting for completion; 1 failed.")]
pub(super) struct ActionArguments {
    /// Action to perform.
    #[arg(value_name = "NAME")]
    pub(super) name: ActionKind,
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

impl ActionArguments {
    fn body(&self) -> ActionRequest {
        ActionRequest {
            action: self.name,
            platform: self.platform.clone(),
            client_id: self.client.clone(),
            reason: self.reason.clone(),
            timeout_ms: self.timeout_ms,
            wait: self.wait.then_some(true),
        }
    }

    /// Time limit for the daemon's response: longer than the action's own limit, so that the daemon reports a timeout
    /// itself. `None` without `--timeout-ms`, where the daemon's setting applies.
    fn reply_timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(|ms| Duration::from_millis(ms) + REPLY_TIMEOUT)
    }
}

pub(super) fn run(context: CommandContext, arguments: ActionArguments) -> anyhow::Result<ExitCode> {
    let json = arguments.json.then(super::stdout_layout);
    let (shown, failed) = with_daemon(&context, async |client| perform(client, &arguments, json).await)?;
    let printed = super::print_text(&shown, json.is_some())?;
    Ok(if failed { ExitCode::FAILURE } else { printed })
}

/// Performs the action. Returns the text to print and whether the action failed.
async fn perform(
    client: &DaemonClient,
    arguments: &ActionArguments,
    json: Option<JsonLayout>,
) -> anyhow::Result<(String, bool)> {
    let data = client.post("/v1/browser/actions", &arguments.body(), arguments.reply_timeout()).await?;
    let done: ActionOutcome = client.parse(&data)?;
    let shown = match json {
        Some(layout) => text::json(data.get(), layout) + "\n",
        None => render(&done, arguments.reason.as_deref()),
    };
    Ok((shown, done.failed || !done.accepted))
}

/// Renders the outcome, each platform's result and the tabs afterwards. `given` is the reason on the command line, which is
/// not repeated.
fn render(done: &ActionOutcome, given: Option<&str>) -> String {
    let mut lines = vec![headline(done, given)];
    lines.extend(done.results.iter().map(|result| format!("  {}", result_line(result))));
    let reasons = done.result.skipped_reasons.join(", ");
    if !reasons.is_empty() && done.results.iter().all(|result| result.skipped.is_none()) {
        lines.push(format!("  skipped: {reasons}"));
    }
    if !done.shell_runtime.is_empty() {
        lines.push("tabs afterwards:".to_owned());
        lines.extend(done.shell_runtime.iter().map(|tab| format!("  {}", tab_line(tab))));
    }
    lines.iter().fold(String::new(), |shown, line| shown + &text::line(line) + "\n")
}

fn headline(done: &ActionOutcome, given: Option<&str>) -> String {
    let platform = done.platform.as_ref().map(|platform| format!(" {platform}")).unwrap_or_default();
    let state = match (done.failed, done.accepted, done.completed) {
        (true, ..) => "failed",
        (_, false, _) => "not accepted",
        (_, _, true) => "done",
        (_, _, false) => "accepted, not completed",
    };
    let mut parts = vec![state.to_owned()];
    parts.extend(done.reason.clone().filter(|reason| Some(&**reason) != given));
    parts.extend(done.reconnected.as_ref().map(|back| format!("back after {} ms", back.after_ms)));
    format!("{}{platform} on {}: {}", done.action, done.client_id, parts.join(", "))
}

fn result_line(result: &PlatformResult) -> String {
    let mut parts = vec![match (result.ok, &result.skipped) {
        (false, None) => "failed".to_owned(),
        (false, Some(why)) => format!("failed, skipped: {why}"),
        (true, Some(why)) => format!("skipped: {why}"),
        (true, None) => "ok".to_owned(),
    }];
    if !result.ok && result.skipped.is_none() {
        parts.extend(result.shell_runtime.as_ref().and_then(ShellRuntime::problem).map(str::to_owned));
    }
    parts.extend((result.restored == Some(true)).then(|| "restored".to_owned()));
    parts.extend(result.tab_id.map(|id| format!("tab {id}")));
    format!("{}: {}", result.platform.as_deref().unwrap_or("unknown"), parts.join(", "))
}

fn tab_line(tab: &ShellRuntime) -> String {
    let state = match (tab.actual.exists, tab.desired.exists) {
        (true, false) => "open, not wanted",
        (true, true) => "open",
        (false, true) => "missing",
        (false, false) => "none",
    };
    let mut parts = vec![state.to_owned()];
    parts.extend(tab.actual.tab_id.map(|id| format!("tab {id}")));
    parts.extend(tab.actual.url.clone());
    parts.extend(tab.problem().map(str::to_owned));
    format!("{}: {}", tab.platform, parts.join(", "))
}

#[cfg(test)]
mod tests;
