//! Renders clients, logins, targets and requests as plain-text tables.
//!
//! Invariant: pure functions of the daemon's responses and the time. Every field may be missing, and cells contain no
//! control characters.

mod logins;
mod policy;

use crate::{
    cli::table::{OutputStyle, id_column, render_table, state_column, text_column},
    clock::WallMs,
};
use logins::{LoginRecord, LoginSummary};
use policy::PolicyStatus;
use serde::Deserialize;

/// The fields of `GET /v1/browser` that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BrowserStatus {
    bridge: BridgeStatus,
    policy: PolicyStatus,
    /// `None` if the daemon does not report them.
    records: Option<Vec<LoginRecord>>,
    summary: Option<LoginSummary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BridgeStatus {
    active_client_id: Option<String>,
    clients: Vec<ConnectedClient>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConnectedClient {
    client_id: Option<String>,
    credentials: Vec<ClientCredential>,
    in_flight: Option<u64>,
    last_message_at: Option<WallMs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientCredential {
    platform: Option<String>,
    account: Option<String>,
    freshness: Option<String>,
}

/// The fields of `GET /v1/browser/requests` that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequestList {
    requests: Vec<RequestEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestEntry {
    request_id: Option<String>,
    platform: Option<String>,
    client_id: Option<String>,
    phase: Option<String>,
    outcome: Option<String>,
    error_code: Option<String>,
    requested_at: Option<WallMs>,
    finished_at: Option<WallMs>,
    waiting: Option<QueuedWait>,
}

/// The reason for which a queued request waits.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QueuedWait {
    rule: Option<String>,
    until: Option<WallMs>,
    position: Option<u64>,
}

impl RequestEntry {
    /// The outcome, or the phase and the reason for the wait.
    fn state(&self, now: WallMs) -> String {
        let mut state = or_dash(self.outcome.as_ref().map_or(&self.phase, |_| &self.outcome));
        if let Some(waiting) = &self.waiting {
            state.push_str(&format!(": {}", or_dash(&waiting.rule)));
            state.extend(waiting.position.map(|place| format!(", position {place}")));
            state.extend(waiting.until.map(|until| format!(", {} left", format_remaining(until - now))));
        }
        state
    }
}

/// Renders all tables, separated by empty lines.
pub(super) fn render_all(browser: &BrowserStatus, journal: &RequestList, now: WallMs, style: OutputStyle) -> String {
    let tables = [
        clients_table(browser, now, style),
        logins::logins_table(browser, now, style),
        policy::policy_tables(&browser.policy, now, style),
        requests_table(journal, now, style),
    ];
    tables.join("\n")
}

fn clients_table(browser: &BrowserStatus, now: WallMs, style: OutputStyle) -> String {
    let rows: Vec<_> = browser
        .bridge
        .clients
        .iter()
        .map(|client| {
            let active = client.client_id.is_some() && client.client_id == browser.bridge.active_client_id;
            let platforms: Vec<_> = client
                .credentials
                .iter()
                .map(|login| {
                    let freshness = browser.freshness(client, login);
                    let account = login.account.as_deref().map(|account| format!("({account})")).unwrap_or_default();
                    format!("{}{account} {freshness}", or_dash(&login.platform))
                })
                .collect();
            [
                or_dash(&client.client_id),
                if active { "*".to_owned() } else { String::new() },
                if platforms.is_empty() { "-".to_owned() } else { platforms.join(", ") },
                number_or_dash(client.in_flight),
                client.last_message_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", format_span(now - at))),
            ]
        })
        .collect();
    let head = [
        id_column("CLIENT"),
        text_column("ACTIVE"),
        text_column("PLATFORMS"),
        text_column("IN FLIGHT"),
        text_column("LAST MESSAGE"),
    ];
    render_table(style, "no Firefox is connected", head, rows)
}

impl BrowserStatus {
    /// The status computed by the daemon, which considers the time, or else the extension's.
    fn freshness<'a>(&'a self, client: &ConnectedClient, login: &'a ClientCredential) -> &'a str {
        let judged = self.records.iter().flatten().find(|record| {
            (&record.client_id, &record.platform, &record.account)
                == (&client.client_id, &login.platform, &login.account)
        });
        judged.and_then(|record| record.status.as_deref()).or(login.freshness.as_deref()).unwrap_or("-")
    }
}

fn requests_table(journal: &RequestList, now: WallMs, style: OutputStyle) -> String {
    let rows: Vec<_> = journal
        .requests
        .iter()
        .map(|request| {
            let took = request.requested_at.zip(request.finished_at).map(|(began, ended)| format_span(ended - began));
            [
                or_dash(&request.request_id),
                or_dash(&request.platform),
                or_dash(&request.client_id),
                request.state(now),
                or_dash(&request.error_code),
                request.requested_at.map_or_else(|| "-".to_owned(), |at| format_span(now - at)),
                took.unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let head = [
        id_column("REQUEST"),
        id_column("PLATFORM"),
        text_column("CLIENT"),
        state_column("STATE"),
        text_column("CODE"),
        text_column("AGE"),
        text_column("TOOK"),
    ];
    render_table(style, "no requests yet", head, rows)
}

fn or_dash(part: &Option<String>) -> String {
    part.clone().unwrap_or_else(|| "-".to_owned())
}

fn number_or_dash(part: Option<u64>) -> String {
    part.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Formats a duration: short ones exactly, long ones in the two largest units.
fn format_span(ms: WallMs) -> String {
    // A changed clock must not yield a negative duration.
    let ms = ms.max(0);
    let (s, min, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{s}.{}s", ms % 1_000 / 100),
        10_000..60_000 => format!("{s}s"),
        60_000..3_600_000 => format!("{min}m{:02}s", s % 60),
        3_600_000..86_400_000 => format!("{h}h{:02}m", min % 60),
        _ => format!("{}d{:02}h", h / 24, h % 24),
    }
}

/// Formats a remaining time: rounded up, in one unit.
fn format_remaining(ms: WallMs) -> String {
    let s = ms.max(0).saturating_add(999) / 1_000;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", (s + 59) / 60),
        _ => format!("{} h", (s + 3_599) / 3_600),
    }
}

#[cfg(test)]
mod tests;
