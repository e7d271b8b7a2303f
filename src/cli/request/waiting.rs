//! What is said on stderr of a request that nothing came of yet: where it stands in the line, and for about how long.
//!
//! Invariant: on a terminal it is one line that is drawn over and is gone before anything else is printed; elsewhere it is
//! a line for each change that a reader of logs wants, and none while nothing waits.

use super::order::Order;
use crate::{
    cli::{client::Client, table::cut, terminal, text},
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
const PATIENCE: Duration = Duration::from_millis(700);
/// Columns of a line that is drawn over: what is wrapped would stay.
const DRAWN_COLUMNS_MAX: usize = 79;
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A request's entry in the journal, as far as it is told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    phase: Option<String>,
    client_id: Option<String>,
    requested_at: Option<WallMs>,
    first_byte_at: Option<WallMs>,
    waiting: Option<Reason>,
}

/// What it waits for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    rule: String,
    until: Option<WallMs>,
    delay_ms: Option<i64>,
    position: Option<u64>,
}

/// Tells of the wait.
pub(super) struct Waiting {
    terminal: bool,
    page: RefCell<Page>,
}

struct Page {
    sink: Box<dyn Write>,
    /// Whether a line stands on the terminal.
    drawn: bool,
    /// What was last said of it elsewhere.
    said: Option<String>,
    over: bool,
}

impl Waiting {
    /// Tells it on stderr; `quiet`: not at all.
    pub(super) fn on_stderr(quiet: bool) -> Self {
        let waiting = Waiting::new(io::stderr().is_terminal(), Box::new(terminal::drawing()));
        waiting.page.borrow_mut().over = quiet;
        waiting
    }

    fn new(terminal: bool, sink: Box<dyn Write>) -> Self {
        Waiting { terminal, page: RefCell::new(Page { sink, drawn: false, said: None, over: false }) }
    }

    /// The wait is over: what was drawn goes, and nothing more is said.
    pub(super) fn end(&self) {
        let mut page = self.page.borrow_mut();
        page.over = true;
        if std::mem::take(&mut page.drawn) {
            page.write("\r\x1b[K");
        }
    }

    /// Looks at the request again and again.
    pub(super) async fn follow(&self, client: &Client, order: &Order) -> Infallible {
        sleep(PATIENCE).await;
        let path = format!("/v1/browser/requests/{}", order.request_id);
        loop {
            if self.page.borrow().over {
                return std::future::pending().await;
            }
            // What cannot be read now is not missed.
            if let Ok(data) = client.get(&path).await
                && let Ok(entry) = client.read::<Entry>(&data)
            {
                self.tell(&entry, Clock::System.now_ms());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn tell(&self, entry: &Entry, now: WallMs) {
        let mut page = self.page.borrow_mut();
        if page.over {
            return;
        }
        if self.terminal {
            let line = entry.line(now).unwrap_or_default();
            if page.drawn || !line.is_empty() {
                page.drawn = true;
                page.write(&format!("\r{}\x1b[K", cut(&text::line(&line), DRAWN_COLUMNS_MAX)));
            }
        } else if let Some(reason) = &entry.waiting
            && page.said.replace(reason.place()) != Some(reason.place())
        {
            page.write(&format!("baa-conductor: {}\n", text::line(&reason.sentence(now))));
        }
    }
}

impl Page {
    /// Whoever cannot be told does without.
    fn write(&mut self, text: &str) {
        let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
    }
}

impl Entry {
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

impl Reason {
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
    fn place(&self) -> String {
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
    use crate::cli::terminal::testing::Paper;
    use serde_json::{Value, from_value, json};

    const NOW: WallMs = 1_000_000;

    fn entry(fields: Value) -> Entry {
        from_value(fields).unwrap()
    }

    fn queued(rule: &str, position: u64, left: i64) -> Entry {
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
        let paper = Paper::new(10_000);
        let waiting = Waiting::new(true, Box::new(paper.clone()));
        waiting.tell(&queued("slot", 2, 0), NOW);
        waiting.tell(&queued("slot", 1, 3_000), NOW);
        waiting.end();
        waiting.tell(&queued("slot", 1, 2_000), NOW);
        waiting.end();
        let wanted = "\rqueued, 2nd in line\x1b[K\rqueued, 1st in line, about 3 s\x1b[K\r\x1b[K";
        assert_eq!(paper.text(), wanted);
    }

    #[test]
    fn elsewhere_a_line_is_written_when_the_place_changes_and_not_for_each_second() {
        let paper = Paper::new(10_000);
        let waiting = Waiting::new(false, Box::new(paper.clone()));
        for (entry, now) in [
            (queued("rate_limit", 2, 6_000), NOW),
            (queued("rate_limit", 2, 6_000), NOW + 1_000),
            (queued("rate_limit", 1, 6_000), NOW + 2_000),
            (self::entry(json!({"phase": "dispatched"})), NOW),
        ] {
            waiting.tell(&entry, now);
        }
        waiting.end();
        let wanted = "baa-conductor: queued, 2nd in line, about 6 s (the platform's pace)\n\
                      baa-conductor: queued, 1st in line, about 4 s (the platform's pace)\n";
        assert_eq!(paper.text(), wanted);
    }
}
