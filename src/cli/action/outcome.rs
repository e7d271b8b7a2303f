//! Renders the outcome of an action as lines of text.
//!
//! Invariant: every field may be missing and is then shown as unknown; control characters are escaped.

use super::{ActionArguments, text};
use clap::ValueEnum;
use serde::Deserialize;

/// The fields of the daemon's response that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ActionOutcome {
    action: Option<String>,
    platform: Option<String>,
    client_id: Option<String>,
    accepted: Option<bool>,
    completed: Option<bool>,
    failed: Option<bool>,
    reason: Option<String>,
    result: Option<ActionCounts>,
    results: Option<Vec<PlatformOutcome>>,
    shell_runtime: Option<Vec<ShellTab>>,
    reconnected: Option<Reconnected>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ActionCounts {
    skipped_reasons: Vec<String>,
}

/// The outcome on one platform.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PlatformOutcome {
    platform: Option<String>,
    ok: Option<bool>,
    restored: Option<bool>,
    skipped: Option<String>,
    reason: Option<String>,
    tab_id: Option<i64>,
    shell_runtime: Option<ShellTab>,
}

/// A shell tab.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ShellTab {
    platform: Option<String>,
    desired: DesiredTab,
    actual: ActualTab,
    drift: TabDrift,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DesiredTab {
    exists: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ActualTab {
    exists: Option<bool>,
    tab_id: Option<i64>,
    url: Option<String>,
    issue: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TabDrift {
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reconnected {
    after_ms: Option<u64>,
}

impl ActionOutcome {
    /// Whether the action failed or was not accepted.
    pub(super) fn has_failed(&self) -> bool {
        self.failed == Some(true) || self.accepted == Some(false)
    }

    /// Renders the outcome, each platform's outcome and the tabs afterwards.
    pub(super) fn render(&self, arguments: &ActionArguments) -> String {
        let outcomes = self.results.as_deref().unwrap_or_default();
        let tabs = self.shell_runtime.as_deref().unwrap_or_default();
        let mut lines = vec![self.headline(arguments)];
        lines.extend(outcomes.iter().map(|outcome| format!("  {}", outcome.line())));
        let reasons = self.result.as_ref().map(|counts| counts.skipped_reasons.join(", ")).unwrap_or_default();
        if !reasons.is_empty() && outcomes.iter().all(|outcome| outcome.skipped.is_none()) {
            lines.push(format!("  skipped: {reasons}"));
        }
        if !tabs.is_empty() {
            lines.push("tabs afterwards:".to_owned());
            lines.extend(tabs.iter().map(|tab| format!("  {}", tab.line())));
        }
        lines.iter().fold(String::new(), |shown, line| shown + &text::line(line) + "\n")
    }

    fn headline(&self, arguments: &ActionArguments) -> String {
        let name = arguments.name.to_possible_value().map(|value| value.get_name().to_owned());
        let action = self.action.clone().or(name).unwrap_or_default();
        let platform = self.platform.as_ref().map(|platform| format!(" {platform}")).unwrap_or_default();
        let client = or_unknown(self.client_id.as_deref());
        let mut parts = vec![match (self.failed, self.accepted, self.completed) {
            (Some(true), _, _) => "failed".to_owned(),
            (_, Some(false), _) => "not accepted".to_owned(),
            (_, _, Some(true)) => "done".to_owned(),
            (_, _, Some(false)) => "accepted, not completed".to_owned(),
            (_, _, None) => "unknown".to_owned(),
        }];
        // The reason given on the command line is not repeated.
        parts.extend(self.reason.clone().filter(|reason| Some(reason) != arguments.reason.as_ref()));
        parts.extend(self.reconnected.as_ref().map(|back| match back.after_ms {
            Some(ms) => format!("back after {ms} ms"),
            None => "back".to_owned(),
        }));
        format!("{action}{platform} on {client}: {}", parts.join(", "))
    }
}

impl PlatformOutcome {
    fn line(&self) -> String {
        let mut parts = Vec::new();
        match (self.ok, &self.skipped) {
            (Some(false), None) => parts.push("failed".to_owned()),
            (Some(false), Some(why)) => parts.push(format!("failed, skipped: {why}")),
            (_, Some(why)) => parts.push(format!("skipped: {why}")),
            (Some(true), None) => parts.push("ok".to_owned()),
            (None, None) => parts.push("unknown".to_owned()),
        }
        if self.ok == Some(false) && self.skipped.is_none() {
            parts.extend(self.reason.clone().or_else(|| self.shell_runtime.as_ref().and_then(ShellTab::problem)));
        }
        parts.extend((self.restored == Some(true)).then(|| "restored".to_owned()));
        parts.extend(self.tab_id.map(|id| format!("tab {id}")));
        format!("{}: {}", or_unknown(self.platform.as_deref()), parts.join(", "))
    }
}

impl ShellTab {
    fn line(&self) -> String {
        let mut parts = vec![
            match (self.actual.exists, self.desired.exists) {
                (Some(true), Some(false)) => "open, not wanted",
                (Some(true), _) => "open",
                (Some(false), Some(true)) => "missing",
                (Some(false), _) => "none",
                (None, _) => "unknown",
            }
            .to_owned(),
        ];
        parts.extend(self.actual.tab_id.map(|id| format!("tab {id}")));
        parts.extend(self.actual.url.clone());
        parts.extend(self.problem());
        format!("{}: {}", or_unknown(self.platform.as_deref()), parts.join(", "))
    }

    fn problem(&self) -> Option<String> {
        self.actual.issue.clone().or_else(|| self.drift.reason.clone())
    }
}

fn or_unknown(part: Option<&str>) -> &str {
    part.unwrap_or("unknown")
}
