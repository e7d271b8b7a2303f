//! What is said on stderr of a request that nothing came of yet: where it stands in the line, and for about how long.
//!
//! Invariant: on a terminal it is one line that is drawn over and is gone before anything else is printed; elsewhere it is
//! a line for each change that a reader of logs wants, and none while nothing waits.

use super::request_body::BrowserRequestBody;
use crate::{
    cli::{client::DaemonClient, table::truncate, terminal, text},
    clock::{Clock, WallMs},
};
use serde::Deserialize;
use std::{
    cell::RefCell,
    convert::Infallible,
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tokio::time::sleep;

/// Nothing is said of what is over sooner.
const SHOW_AFTER: Duration = Duration::from_millis(700);
/// Columns of a line that is drawn over: what is wrapped would stay.
const DRAWN_COLUMNS_MAX: usize = 79;
/// How often it is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A request's entry in the journal, as far as it is told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestProgress {
    phase: Option<String>,
    client_id: Option<String>,
    requested_at: Option<WallMs>,
    first_byte_at: Option<WallMs>,
    waiting: Option<WaitReason>,
}

/// What it waits for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WaitReason {
    rule: String,
    until: Option<WallMs>,
    delay_ms: Option<i64>,
    position: Option<u64>,
}

/// Tells of the wait.
pub(super) struct WaitIndicator {
    terminal: bool,
    state: RefCell<IndicatorState>,
}

struct IndicatorState {
    sink: Box<dyn Write>,
    /// Whether a line stands on the terminal.
    drawn: bool,
    /// What was last said of it elsewhere.
    last_reason: Option<String>,
    finished: bool,
}

impl WaitIndicator {
    /// Tells it on stderr; `quiet`: not at all.
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

    /// The wait is over: what was drawn goes, and nothing more is said.
    pub(super) fn end(&self) {
        let mut state = self.state.borrow_mut();
        state.finished = true;
        if std::mem::take(&mut state.drawn) {
            state.write("\r\x1b[K");
        }
    }

    /// Looks at the request again and again.
    pub(super) async fn poll(&self, client: &DaemonClient, request: &BrowserRequestBody) -> Infallible {
        sleep(SHOW_AFTER).await;
        let path = format!("/v1/browser/requests/{}", request.request_id);
        loop {
            if self.state.borrow().finished {
                return std::future::pending().await;
            }
            // What cannot be read now is not missed.
            if let Ok(data) = client.get(&path).await
                && let Ok(entry) = client.parse::<RequestProgress>(&data)
            {
                self.show(&entry, Clock::System.now_ms());
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn show(&self, entry: &RequestProgress, now: WallMs) {
        let mut state = self.state.borrow_mut();
        if state.finished {
            return;
        }
        if self.terminal {
            let line = entry.line(now).unwrap_or_default();
            if state.drawn || !line.is_empty() {
                state.drawn = true;
                state.write(&format!("\r{}\x1b[K", truncate(&text::line(&line), DRAWN_COLUMNS_MAX)));
            }
        } else if let Some(reason) = &entry.waiting
            && state.last_reason.replace(reason.change_key()) != Some(reason.change_key())
        {
            state.write(&format!("baa-conductor: {}\n", text::line(&reason.sentence(now))));
        }
    }
}

impl IndicatorState {
    /// Whoever cannot be told does without.
    fn write(&mut self, text: &str) {
        let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
    }
}

impl RequestProgress {
    /// What stands on a terminal; nothing once the answer has begun.
    fn line(&self, now: WallMs) -> Option<String> {
        if let Some(reason) = &self.waiting {
            return Some(reason.sentence(now));
        }
        match (self.phase.as_deref(), self.first_byte_at) {
            (Some("dispatched"), None) => {
                let who = self.client_id.as_deref().unwrap_or("the browser");
                let since = self.requested_at.map(|at| format!(", {} s so far", (now - at).max(0) / 1_000));
                Some(format!("sent to {who}, no answer yet{}", since.unwrap_or_default()))
            }
            _ => None,
        }
    }
}

impl WaitReason {
    fn sentence(&self, now: WallMs) -> String {
        let place = self.position.map(|place| format!(", {} in line", ordinal(place))).unwrap_or_default();
        let left = self.until.map(|until| until - now).or(self.delay_ms).filter(|ms| *ms > 0);
        let left = left.map(|ms| format!(", about {} s", ms.saturating_add(999) / 1_000)).unwrap_or_default();
        let why = match self.rule.as_str() {
            "slot" => String::new(),
            "circuit_probe" => " (another request tries whether the app answers again)".to_owned(),
            "backoff" => " (a rest after an error)".to_owned(),
            "rate_limit" => " (the platform's pace)".to_owned(),
            "jitter" => " (a random pause)".to_owned(),
            other => format!(" ({other})"),
        };
        format!("queued{place}{left}{why}")
    }

    /// What has to change for it to be told again.
    fn change_key(&self) -> String {
        format!("{} {:?}", self.rule, self.position)
    }
}

fn ordinal(place: u64) -> String {
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
    use serde_json::{Value, from_value, json};

    const NOW: WallMs = 1_000_000;

    fn entry(fields: Value) -> RequestProgress {
        from_value(fields).unwrap()
    }

    fn queued(rule: &str, position: u64, left: i64) -> RequestProgress {
        entry(json!({"phase": "queued", "waiting": {"rule": rule, "position": position, "until": NOW + left}}))
    }

    #[test]
    fn the_place_and_the_time_are_told_as_far_as_they_are_known() {
        for (waiting, said) in [
            (json!({"rule": "slot", "position": 2}), "queued, 2nd in line"),
            (
                json!({"rule": "rate_limit", "position": 2, "until": NOW + 5_001}),
                "queued, 2nd in line, about 6 s (the platform's pace)",
            ),
            (json!({"rule": "backoff", "until": NOW + 900}), "queued, about 1 s (a rest after an error)"),
            (
                json!({"rule": "jitter", "delay_ms": 2_000, "position": 1}),
                "queued, 1st in line, about 2 s (a random pause)",
            ),
            (json!({"rule": "backoff", "until": NOW - 5}), "queued (a rest after an error)"),
            (json!({"rule": "new_rule"}), "queued (new_rule)"),
        ] {
            assert_eq!(entry(json!({ "waiting": waiting })).line(NOW).as_deref(), Some(said));
        }
        for (place, said) in [(1, "1st"), (3, "3rd"), (11, "11th"), (12, "12th"), (22, "22nd"), (113, "113th")] {
            assert_eq!(ordinal(place), said);
        }
    }

    #[test]
    fn what_was_sent_and_not_answered_is_told_until_the_first_byte() {
        let sent = json!({"phase": "dispatched", "client_id": "ff", "requested_at": NOW - 12_000});
        assert_eq!(entry(sent).line(NOW).as_deref(), Some("sent to ff, no answer yet, 12 s so far"));
        assert_eq!(entry(json!({"phase": "streaming", "first_byte_at": NOW})).line(NOW), None);
        assert_eq!(entry(json!({})).line(NOW), None);
    }

    #[test]
    fn a_terminal_line_is_drawn_over_and_gone_at_the_end() {
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
    fn elsewhere_a_line_is_written_when_the_place_changes_and_not_for_each_second() {
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
        let wanted = "baa-conductor: queued, 2nd in line, about 6 s (the platform's pace)\n\
                      baa-conductor: queued, 1st in line, about 4 s (the platform's pace)\n";
        assert_eq!(output.text(), wanted);
    }
}
