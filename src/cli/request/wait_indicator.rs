//! Shows on stderr why a request waits: its queue position and the expected time.
//!
//! Invariant: on a terminal this is one line that is overwritten, and erased before anything else is printed. Elsewhere a
//! line is written for each change of position or reason.

use super::request_body::PreparedRequest;
use crate::{
    api::policy::{PolicyRule, WaitReason},
    cli::{client::DaemonClient, journal::JournalEntry, table::truncate, terminal, text},
    clock::{Clock, WallMs},
};
use std::{
    cell::RefCell,
    convert::Infallible,
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tokio::time::sleep;

/// Waits shorter than this are not shown.
const SHOW_AFTER: Duration = Duration::from_millis(700);
/// Maximum columns of the overwritten line; a wrapped line could not be erased.
const DRAWN_COLUMNS_MAX: usize = 79;
/// Interval between two looks at the request.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Shows the progress of a waiting request.
pub(super) struct WaitIndicator {
    terminal: bool,
    state: RefCell<IndicatorState>,
}

struct IndicatorState {
    sink: Box<dyn Write>,
    /// Whether the line is visible on the terminal.
    drawn: bool,
    /// The last written reason, for output other than a terminal.
    last_reason: Option<(PolicyRule, Option<usize>)>,
    finished: bool,
}

impl WaitIndicator {
    /// Returns an indicator on stderr; a `quiet` one shows nothing.
    pub(super) fn on_stderr(quiet: bool) -> Self {
        let indicator = WaitIndicator::new(io::stderr().is_terminal(), Box::new(terminal::stderr_writer()));
        indicator.state.borrow_mut().finished = quiet;
        indicator
    }

    fn new(terminal: bool, sink: Box<dyn Write>) -> Self {
        WaitIndicator {
            terminal,
            state: RefCell::new(IndicatorState { sink, drawn: false, last_reason: None, finished: false }),
        }
    }

    /// Erases the line; nothing more is shown.
    pub(super) fn end(&self) {
        let mut state = self.state.borrow_mut();
        state.finished = true;
        if std::mem::take(&mut state.drawn) {
            state.write("\r\x1b[K");
        }
    }

    /// Polls the request and shows its progress until [`end`](Self::end).
    pub(super) async fn poll(&self, client: &DaemonClient, request: &PreparedRequest) -> Infallible {
        sleep(SHOW_AFTER).await;
        let path = format!("/v1/browser/requests/{}", request.id);
        loop {
            if self.state.borrow().finished {
                return std::future::pending().await;
            }
            // Errors are ignored; the next poll may succeed.
            if let Ok(entry) = client.fetch::<JournalEntry>(&path).await {
                self.show(&entry, Clock::System.now_ms());
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn show(&self, entry: &JournalEntry, now: WallMs) {
        let mut state = self.state.borrow_mut();
        if state.finished {
            return;
        }
        if self.terminal {
            let line = progress_line(entry, now).unwrap_or_default();
            if state.drawn || !line.is_empty() {
                state.drawn = true;
                state.write(&format!("\r{}\x1b[K", truncate(&text::line(&line), DRAWN_COLUMNS_MAX)));
            }
        } else if let Some(reason) = &entry.waiting
            && state.last_reason.replace(change_key(reason)) != Some(change_key(reason))
        {
            state.write(&format!("baa-conductor: {}\n", text::line(&sentence(reason, now))));
        }
    }
}

impl IndicatorState {
    /// Writes to stderr; errors are ignored.
    fn write(&mut self, text: &str) {
        let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
    }
}

/// The line for a terminal; `None` once the response has begun.
fn progress_line(entry: &JournalEntry, now: WallMs) -> Option<String> {
    if let Some(reason) = &entry.waiting {
        return Some(sentence(reason, now));
    }
    if entry.phase != "dispatched" || entry.first_byte_at.is_some() {
        return None;
    }
    let (client, since) =
        (entry.client_id.as_deref().unwrap_or("the browser"), (now - entry.requested_at).max(0) / 1_000);
    Some(format!("sent to {client}, no response yet, {since} s so far"))
}

fn sentence(reason: &WaitReason, now: WallMs) -> String {
    let place = reason.position.map(|place| format!(", {} in line", ordinal(place))).unwrap_or_default();
    let left = reason.until.map(|until| until - now).or(reason.delay_ms.map(u64::cast_signed)).filter(|ms| *ms > 0);
    let left = left.map(|ms| format!(", about {} s", ms.saturating_add(999) / 1_000)).unwrap_or_default();
    let why = match reason.rule {
        PolicyRule::Slot => "",
        PolicyRule::CircuitProbe => " (waiting for a probe request)",
        PolicyRule::Backoff => " (back-off after an error)",
        PolicyRule::RateLimit => " (rate limit of the platform)",
        PolicyRule::Jitter => " (a random pause)",
        other => &format!(" ({})", other.name()),
    };
    format!("queued{place}{left}{why}")
}

/// A new line is written when this value changes.
fn change_key(reason: &WaitReason) -> (PolicyRule, Option<usize>) {
    (reason.rule, reason.position)
}

fn ordinal(place: usize) -> String {
    let end = match (place % 10, place % 100) {
        (1, n) if n != 11 => "st",
        (2, n) if n != 12 => "nd",
        (3, n) if n != 13 => "rd",
        _ => "th",
    };
    format!("{place}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::testing::CapturedOutput;
    use crate::cli::testing::whole;
    use serde_json::{Value, json};

    const NOW: WallMs = 1_000_000;

    fn entry(fields: Value) -> JournalEntry {
        whole("request", fields)
    }

    fn queued(rule: &str, position: u64, left: i64) -> JournalEntry {
        entry(json!({"phase": "queued", "waiting": {"rule": rule, "position": position, "until": NOW + left}}))
    }

    #[test]
    fn the_position_and_the_time_are_shown_if_known() {
        for (waiting, text) in [
            (json!({"rule": "slot", "position": 2}), "queued, 2nd in line"),
            (
                json!({"rule": "rate_limit", "position": 2, "until": NOW + 5_001}),
                "queued, 2nd in line, about 6 s (rate limit of the platform)",
            ),
            (json!({"rule": "backoff", "until": NOW + 900}), "queued, about 1 s (back-off after an error)"),
            (
                json!({"rule": "jitter", "delay_ms": 2_000, "position": 1}),
                "queued, 1st in line, about 2 s (a random pause)",
            ),
            (json!({"rule": "backoff", "until": NOW - 5}), "queued (back-off after an error)"),
            (json!({"rule": "queue_full"}), "queued (queue_full)"),
        ] {
            assert_eq!(progress_line(&entry(json!({ "waiting": waiting })), NOW).as_deref(), Some(text));
        }
        for (place, text) in [(1, "1st"), (3, "3rd"), (11, "11th"), (12, "12th"), (22, "22nd"), (113, "113th")] {
            assert_eq!(ordinal(place), text);
        }
    }

    #[test]
    fn a_sent_request_is_shown_until_the_first_byte() {
        let sent = json!({"phase": "dispatched", "client_id": "ff", "requested_at": NOW - 12_000});
        assert_eq!(progress_line(&entry(sent), NOW).as_deref(), Some("sent to ff, no response yet, 12 s so far"));
        assert_eq!(progress_line(&entry(json!({"phase": "streaming", "first_byte_at": NOW})), NOW), None);
        assert_eq!(progress_line(&entry(json!({})), NOW), None);
    }

    #[test]
    fn a_terminal_line_is_overwritten_and_erased_at_the_end() {
        let output = CapturedOutput::new(10_000);
        let indicator = WaitIndicator::new(true, Box::new(output.clone()));
        indicator.show(&queued("slot", 2, 0), NOW);
        indicator.show(&queued("slot", 1, 3_000), NOW);
        indicator.end();
        indicator.show(&queued("slot", 1, 2_000), NOW);
        indicator.end();
        let wanted = "\rqueued, 2nd in line\x1b[K\rqueued, 1st in line, about 3 s\x1b[K\r\x1b[K";
        assert_eq!(output.text(), wanted);
    }

    #[test]
    fn without_a_terminal_a_line_is_written_for_each_change_of_position() {
        let output = CapturedOutput::new(10_000);
        let indicator = WaitIndicator::new(false, Box::new(output.clone()));
        for (entry, now) in [
            (queued("rate_limit", 2, 6_000), NOW),
            (queued("rate_limit", 2, 6_000), NOW + 1_000),
            (queued("rate_limit", 1, 6_000), NOW + 2_000),
            (self::entry(json!({"phase": "dispatched"})), NOW),
        ] {
            indicator.show(&entry, now);
        }
        indicator.end();
        let wanted = "baa-conductor: queued, 2nd in line, about 6 s (rate limit of the platform)\n\
                      baa-conductor: queued, 1st in line, about 4 s (rate limit of the platform)\n";
        assert_eq!(output.text(), wanted);
    }
}
