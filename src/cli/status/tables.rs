//! Clients, logins, targets and requests as tables of plain text.
//!
//! Invariant: a pure function of what the daemon answered and of the time; every field may be missing, and no cell can
//! steer the terminal.

mod logins;
mod policy;

use crate::{
    cli::table::{Look, id, state, table, words},
    clock::WallMs,
};
use logins::{Record, Summary};
use policy::Policy;
use serde::Deserialize;

/// The bridge, the policy and the login states, as far as they are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Browser {
    bridge: Bridge,
    policy: Policy,
    /// Nothing when the daemon does not tell them.
    records: Option<Vec<Record>>,
    summary: Option<Summary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bridge {
    active_client_id: Option<String>,
    clients: Vec<Client>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Client {
    client_id: Option<String>,
    credentials: Vec<Credential>,
    in_flight: Option<u64>,
    last_message_at: Option<WallMs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Credential {
    platform: Option<String>,
    account: Option<String>,
    freshness: Option<String>,
}

/// A part of the journal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Journal {
    requests: Vec<Request>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    request_id: Option<String>,
    platform: Option<String>,
    client_id: Option<String>,
    phase: Option<String>,
    outcome: Option<String>,
    error_code: Option<String>,
    requested_at: Option<WallMs>,
    finished_at: Option<WallMs>,
    waiting: Option<Waiting>,
}

/// What a queued request waits for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    rule: Option<String>,
    until: Option<WallMs>,
    position: Option<u64>,
}

impl Request {
    /// How it ended; else where it stands and what it waits for there.
    fn state(&self, now: WallMs) -> String {
        let mut state = known(self.outcome.as_ref().map_or(&self.phase, |_| &self.outcome));
        if let Some(waiting) = &self.waiting {
            state.push_str(&format!(": {}", known(&waiting.rule)));
            state.extend(waiting.position.map(|place| format!(", place {place}")));
            state.extend(waiting.until.map(|until| format!(", {} left", span_left(until - now))));
        }
        state
    }
}

/// All of them, with an empty line between them.
pub(super) fn all(browser: &Browser, journal: &Journal, now: WallMs, look: Look) -> String {
    let tables = [
        clients(browser, now, look),
        logins::shown(browser, now, look),
        policy::shown(&browser.policy, now, look),
        requests(journal, now, look),
    ];
    tables.join("\n")
}

fn clients(browser: &Browser, now: WallMs, look: Look) -> String {
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
                    format!("{}{account} {freshness}", known(&login.platform))
                })
                .collect();
            [
                known(&client.client_id),
                if active { "*".to_owned() } else { String::new() },
                if platforms.is_empty() { "-".to_owned() } else { platforms.join(", ") },
                number(client.in_flight),
                client.last_message_at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", span(now - at))),
            ]
        })
        .collect();
    let head = [id("CLIENT"), words("ACTIVE"), words("PLATFORMS"), words("IN FLIGHT"), words("LAST MESSAGE")];
    table(look, "no Firefox is connected", head, rows)
}

impl Browser {
    /// The daemon's judgement, which also looks at the clock; else the extension's own.
    fn freshness<'a>(&'a self, client: &Client, login: &'a Credential) -> &'a str {
        let judged = self.records.iter().flatten().find(|record| {
            (&record.client_id, &record.platform, &record.account)
                == (&client.client_id, &login.platform, &login.account)
        });
        judged.and_then(|record| record.status.as_deref()).or(login.freshness.as_deref()).unwrap_or("-")
    }
}

fn requests(journal: &Journal, now: WallMs, look: Look) -> String {
    let rows: Vec<_> = journal
        .requests
        .iter()
        .map(|request| {
            let took = request.requested_at.zip(request.finished_at).map(|(began, ended)| span(ended - began));
            [
                known(&request.request_id),
                known(&request.platform),
                known(&request.client_id),
                request.state(now),
                known(&request.error_code),
                request.requested_at.map_or_else(|| "-".to_owned(), |at| span(now - at)),
                took.unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let head =
        [id("REQUEST"), id("PLATFORM"), words("CLIENT"), state("STATE"), words("CODE"), words("AGE"), words("TOOK")];
    table(look, "no requests yet", head, rows)
}

fn known(part: &Option<String>) -> String {
    part.clone().unwrap_or_else(|| "-".to_owned())
}

fn number(part: Option<u64>) -> String {
    part.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// A span for people: exact when short, with one unit below the largest when long.
fn span(ms: WallMs) -> String {
    // Clocks that were set meanwhile give no negative spans.
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

/// What is left of a span, for people: rounded up, in one unit.
fn span_left(ms: WallMs) -> String {
    let s = ms.max(0).saturating_add(999) / 1_000;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", (s + 59) / 60),
        _ => format!("{} h", (s + 3_599) / 3_600),
    }
}

#[cfg(test)]
mod tests;
