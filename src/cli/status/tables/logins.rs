//! The table of logins and the line about shell tabs.

use super::{BrowserStatus, format_span, or_dash};
use crate::{
    cli::table::{OutputStyle, id_column, render_table, state_column, text_column},
    clock::WallMs,
};
use serde::Deserialize;

/// A login, live and stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginRecord {
    pub(super) client_id: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) account: Option<String>,
    pub(super) status: Option<String>,
    view: Option<String>,
    live: Option<LiveLogin>,
    persisted: Option<LoginSighting>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LiveLogin {
    credentials: Option<LoginSighting>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoginSighting {
    last_seen_at: Option<WallMs>,
}

/// Counts of logins and shell tabs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoginSummary {
    matched_records: Option<u64>,
    persisted_error: Option<String>,
    runtime_counts: Option<ShellTabCounts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ShellTabCounts {
    actual: Option<u64>,
    desired: Option<u64>,
    drift: Option<u64>,
}

impl LoginRecord {
    /// Whether a connected client has the login, or only the store.
    fn view_label(&self) -> String {
        match self.view.as_deref() {
            Some("active_only" | "active_and_persisted") => "live".to_owned(),
            Some("persisted_only") => "stored".to_owned(),
            _ => or_dash(&self.view),
        }
    }

    /// The latest time at which the login was seen.
    fn last_seen_at(&self) -> Option<WallMs> {
        let live = self.live.as_ref().and_then(|live| live.credentials.as_ref());
        [live, self.persisted.as_ref()].into_iter().flatten().filter_map(|seen| seen.last_seen_at).max()
    }
}

/// Renders a row per login, the number of omitted rows, and the shell tabs. Older daemons report neither.
pub(super) fn logins_table(browser: &BrowserStatus, now: WallMs, style: OutputStyle) -> String {
    let summary = browser.summary.as_ref();
    let Some(records) = &browser.records else {
        return format!("logins: not reported by the daemon\n{}", shell_tab_line(summary));
    };
    let rows: Vec<_> = records
        .iter()
        .map(|record| {
            [
                or_dash(&record.platform),
                or_dash(&record.account),
                or_dash(&record.client_id),
                or_dash(&record.status),
                record.view_label(),
                record.last_seen_at().map_or_else(|| "-".to_owned(), |at| format!("{} ago", format_span(now - at))),
            ]
        })
        .collect();
    let head = [
        id_column("LOGIN"),
        text_column("ACCOUNT"),
        text_column("CLIENT"),
        state_column("STATUS"),
        text_column("VIEW"),
        text_column("LAST SEEN"),
    ];
    let mut text = render_table(style, "no known logins", head, rows);
    let (all, shown) = (summary.and_then(|summary| summary.matched_records), records.len() as u64);
    if let Some(all) = all.filter(|all| *all > shown) {
        text.push_str(&format!("{shown} of {all} logins shown\n"));
    }
    if let Some(error) = summary.and_then(|summary| summary.persisted_error.as_ref()) {
        text.push_str(&format!("stored logins cannot be read: {}\n", crate::cli::text::line(error)));
    }
    text + &shell_tab_line(summary)
}

fn shell_tab_line(summary: Option<&LoginSummary>) -> String {
    match summary.and_then(|summary| summary.runtime_counts.as_ref()) {
        Some(ShellTabCounts { actual: Some(actual), desired: Some(desired), drift: Some(drift) }) => {
            format!("shell tabs: {actual} open, {desired} desired, {drift} differ\n")
        }
        _ => "shell tabs: not reported by the daemon\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn of(browser: Value) -> String {
        logins_table(&from_value(browser).unwrap(), 1_000_000, OutputStyle::PLAIN)
    }

    #[test]
    fn fields_that_an_older_daemon_lacks_are_named() {
        let wanted = "logins: not reported by the daemon\nshell tabs: not reported by the daemon\n";
        assert_eq!(of(json!({})), wanted);
        assert_eq!(of(json!({"records": null, "summary": {"runtime_counts": {"actual": 1}}})), wanted);
    }

    #[test]
    fn omitted_logins_are_counted() {
        let counts = json!({"actual": 0, "desired": 0, "drift": 0});
        for (all, has_note) in [(json!(47), true), (json!(1), false), (json!(0), false), (Value::Null, false)] {
            let summary = json!({"matched_records": all, "runtime_counts": counts});
            let text = of(json!({"records": [{"platform": "claude"}], "summary": summary}));
            assert_eq!(text.contains("1 of 47 logins shown\n"), has_note, "{text}");
            assert_eq!(text.lines().count(), 3 + usize::from(has_note), "{text}");
            assert!(text.ends_with("shell tabs: 0 open, 0 desired, 0 differ\n"), "{text}");
        }
    }

    #[test]
    fn the_later_time_counts_and_an_unknown_view_is_shown_unchanged() {
        let record = json!({"view": "odd", "live": {"credentials": {"last_seen_at": 1}},
            "persisted": {"last_seen_at": 999_000}});
        let text = of(json!({ "records": [record] }));
        assert!(text.lines().nth(1).unwrap().ends_with("odd   1.0s ago"), "{text}");
    }
}
