//! Renders clients, logins, targets and requests as plain-text tables.
//!
//! Invariant: pure functions of the daemon's responses and the time. Cells contain no control characters.

use crate::{
    api::{
        browser::BrowserState,
        policy::{CircuitState, PlatformPolicy, TargetView},
        records::{LoginRecord, LoginStatus, RecordView},
    },
    cli::{
        journal::{JournalEntry, JournalPage},
        table::{
            ColumnKind::{Id, State, Text},
            OutputStyle, render_table,
        },
        text,
    },
    clock::WallMs,
};

/// Renders all tables, separated by empty lines.
pub(super) fn render_all(browser: &BrowserState<'_>, journal: &JournalPage, now: WallMs, style: OutputStyle) -> String {
    let tables = [
        clients_table(browser, now, style),
        logins_table(browser, now, style),
        targets_table(&browser.policy.targets, now, style),
        pacing_table(&browser.policy.platforms, now, style),
        requests_table(&journal.requests, now, style),
    ];
    tables.join("\n")
}

fn clients_table(browser: &BrowserState<'_>, now: WallMs, style: OutputStyle) -> String {
    let rows = browser.bridge.clients.iter().map(|client| {
        let active = browser.bridge.active_client_id.as_ref() == Some(&client.client_id);
        let platforms = client.session.credentials.iter().map(|login| {
            // The daemon's judgement considers the time; a login without a record has only the extension's.
            let record = browser.records.iter().find(|record| {
                record.client_id == client.client_id.as_str()
                    && record.platform == login.platform
                    && record.account.as_deref() == login.account.as_deref()
            });
            let status = record.map_or_else(|| LoginStatus::from(login.freshness), |record| record.status);
            let account = login.account.as_ref().map(|account| format!("({account})")).unwrap_or_default();
            format!("{}{account} {}", login.platform, status.name())
        });
        let platforms = platforms.collect::<Vec<_>>().join(", ");
        [
            client.client_id.to_string(),
            if active { "*".to_owned() } else { String::new() },
            if platforms.is_empty() { "-".to_owned() } else { platforms },
            client.in_flight.to_string(),
            format!("{} ago", format_span(now - client.last_message_at)),
        ]
    });
    let head = [(Id, "CLIENT"), (Text, "ACTIVE"), (Text, "PLATFORMS"), (Text, "IN FLIGHT"), (Text, "LAST MESSAGE")];
    render_table(style, "no Firefox is connected", head, rows.collect())
}

/// Renders a row per login, the number of omitted rows, and the shell tabs.
fn logins_table(browser: &BrowserState<'_>, now: WallMs, style: OutputStyle) -> String {
    let rows = browser.records.iter().map(|record| {
        let view = if record.view == RecordView::PersistedOnly { "stored" } else { "live" };
        [
            record.platform.to_string(),
            record.account.as_deref().unwrap_or("-").to_owned(),
            record.client_id.to_string(),
            record.status.name().to_owned(),
            view.to_owned(),
            last_seen_at(record).map_or_else(|| "-".to_owned(), |at| format!("{} ago", format_span(now - at))),
        ]
    });
    let head =
        [(Id, "LOGIN"), (Text, "ACCOUNT"), (Text, "CLIENT"), (State, "STATUS"), (Text, "VIEW"), (Text, "LAST SEEN")];
    let mut table = render_table(style, "no known logins", head, rows.collect());
    let (summary, shown) = (&browser.summary, browser.records.len());
    if summary.matched_records > shown {
        table.push_str(&format!("{shown} of {} logins shown\n", summary.matched_records));
    }
    if let Some(error) = &summary.persisted_error {
        table.push_str(&format!("stored logins cannot be read: {}\n", text::line(error)));
    }
    let tabs = summary.runtime_counts;
    table + &format!("shell tabs: {} open, {} desired, {} differ\n", tabs.actual, tabs.desired, tabs.drift)
}

fn last_seen_at(record: &LoginRecord<'_>) -> Option<WallMs> {
    let live = record.live.as_ref().and_then(|live| live.credentials.as_ref()).map(|login| login.last_seen_at);
    live.max(record.persisted.as_ref().and_then(|stored| stored.last_seen_at))
}

fn targets_table(targets: &[TargetView], now: WallMs, style: OutputStyle) -> String {
    let rows = targets.iter().map(|target| {
        let (client, platform) = (target.client_id.to_string(), target.platform.to_string());
        [client, platform, target.in_flight.to_string(), target_state(target, now)]
    });
    let head = [(Id, "TARGET"), (Id, "PLATFORM"), (Text, "IN FLIGHT"), (State, "CIRCUIT AND QUEUE")];
    render_table(style, "no targets yet", head, rows.collect())
}

fn target_state(target: &TargetView, now: WallMs) -> String {
    let after = match (target.consecutive_failures, &target.last_error) {
        (0, _) => String::new(),
        (count, error) => {
            // HTTP statuses are shown as numbers.
            let error = error.as_deref().map(|error| format!(": {}", error.strip_prefix("http_").unwrap_or(error)));
            format!(" after {count} failure{}{}", if count == 1 { "" } else { "s" }, error.unwrap_or_default())
        }
    };
    let backoff = target.backoff_until.filter(|until| *until > now);
    let circuit = match (target.circuit_state, target.circuit_retry_at, backoff) {
        (CircuitState::Open, Some(at), _) if at > now => {
            format!("open, next try in {}{after}", format_remaining(at - now))
        }
        (CircuitState::Open, Some(_), _) => format!("open, next try now{after}"),
        (CircuitState::Open, None, _) => "open".to_owned(),
        (CircuitState::HalfOpen, ..) => "half open, probe in progress".to_owned(),
        (CircuitState::Closed, _, Some(until)) => {
            format!("closed, backing off for {}{after}", format_remaining(until - now))
        }
        (CircuitState::Closed, _, None) => format!("closed{after}"),
    };
    circuit + &waiting_suffix(target.waiting)
}

fn pacing_table(platforms: &[PlatformPolicy], now: WallMs, style: OutputStyle) -> String {
    let rows = platforms.iter().map(|PlatformPolicy { pacing, limits }| {
        let (recent, most) = (pacing.recent_dispatch_count, limits.rate_limit.requests_per_minute_per_platform);
        let next = pacing.next_slot_at.filter(|at| *at > now);
        let next = next.map(|at| format!(", next slot in {}", format_remaining(at - now))).unwrap_or_default();
        let state = format!("{recent} of {most} in the window{next}{}", waiting_suffix(pacing.waiting));
        [pacing.platform.to_string(), state]
    });
    render_table(style, "no platforms", [(Id, "PLATFORM"), (Text, "PACING")], rows.collect())
}

fn waiting_suffix(count: usize) -> String {
    if count == 0 { String::new() } else { format!(", {count} waiting") }
}

fn requests_table(requests: &[JournalEntry], now: WallMs, style: OutputStyle) -> String {
    let rows = requests.iter().map(|request| {
        [
            request.request_id.clone(),
            request.platform.clone(),
            or_dash(&request.client_id),
            request_state(request, now),
            or_dash(&request.error_code),
            format_span(now - request.requested_at),
            request.finished_at.map_or_else(|| "-".to_owned(), |ended| format_span(ended - request.requested_at)),
        ]
    });
    let head = [
        (Id, "REQUEST"),
        (Id, "PLATFORM"),
        (Text, "CLIENT"),
        (State, "STATE"),
        (Text, "CODE"),
        (Text, "AGE"),
        (Text, "TOOK"),
    ];
    render_table(style, "no requests yet", head, rows.collect())
}

/// The outcome, or the phase and the reason for the wait.
fn request_state(request: &JournalEntry, now: WallMs) -> String {
    let mut state = request.outcome.as_ref().unwrap_or(&request.phase).clone();
    if let Some(waiting) = &request.waiting {
        state.push_str(&format!(": {}", waiting.rule.name()));
        state.extend(waiting.position.map(|place| format!(", position {place}")));
        state.extend(waiting.until.map(|until| format!(", {} left", format_remaining(until - now))));
    }
    state
}

fn or_dash(part: &Option<String>) -> String {
    part.as_deref().unwrap_or("-").to_owned()
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
