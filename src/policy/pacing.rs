//! Who of a platform goes when, as a value: first in first out, one at a time. No clock, no actor, no I/O.
//!
//! ```text
//! first in line ──window full──► waits for the window ──room──► waits at random ──over──► its turn
//!                     └──────────────── room ────────────────────────▲ └─ none drawn ───────▲
//! ```

use super::{
    admission::Rule,
    jitter,
    settings::{Jitter, RateLimit},
    window::Window,
};
use crate::clock::Moment;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A request in line; `A` is how to tell it.
#[derive(Clone, Debug)]
struct Entrant<A> {
    number: u64,
    since: Instant,
    who: A,
}

/// What the first in line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    /// Nobody is there, or nothing was decided yet.
    Undecided,
    /// Room in the window.
    Limited { until: Instant },
    /// The random pause.
    Jittering { since: Instant, until: Instant, drawn_ms: u64 },
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told<A> {
    /// A request waits, and why.
    Waits { who: A, number: u64, why: Rule },
    /// It is a request's turn; its dispatch is recorded.
    Turn(A, Turn),
}

/// A request's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whose.
    pub(super) number: u64,
    /// The dispatch that was recorded for it.
    pub(super) dispatch: i64,
    /// When it joined the line.
    pub(super) entered_at: Instant,
    /// When its random pause began: all since it joined was waiting for the window and for others.
    pub(super) paused_at: Instant,
    /// The random pause, in milliseconds.
    pub(super) jitter_ms: u64,
    /// When it was called.
    pub(super) called_at: Instant,
}

/// What a request would wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Requests in line before it.
    pub(super) ahead: usize,
    /// When the window has room for it; nothing where it has.
    pub(super) room_at: Option<Instant>,
    /// The random pauses to be expected, those of the ones before it included.
    pub(super) jitter_ms: u64,
    /// The end of its own random pause, once that has begun.
    pub(super) jitter_until: Option<Instant>,
}

/// The line of one platform.
#[derive(Debug)]
pub(super) struct Pacing<A> {
    pub(super) window: Window,
    jitter: Jitter,
    random: StdRng,
    line: VecDeque<Entrant<A>>,
    front: Front,
}

impl<A: Clone> Pacing<A> {
    /// Nobody waits.
    pub(super) fn new(limits: &RateLimit, jitter: Jitter, random: StdRng) -> Self {
        Pacing { window: Window::new(limits), jitter, random, line: VecDeque::new(), front: Front::Undecided }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// A request joins the line.
    pub(super) fn enter(&mut self, number: u64, who: A, now: Moment, told: &mut Vec<Told<A>>) {
        self.line.push_back(Entrant { number, since: now.instant, who: who.clone() });
        if self.line.len() > 1 {
            return told.push(Told::Waits { who, number, why: Rule::RateLimit });
        }
        self.advance(now, told);
    }

    /// A request leaves the line.
    pub(super) fn leave(&mut self, number: u64, now: Moment, told: &mut Vec<Told<A>>) {
        let Some(place) = self.line.iter().position(|entrant| entrant.number == number) else { return };
        self.line.remove(place);
        if place == 0 {
            self.front = Front::Undecided;
            self.advance(now, told);
        }
    }

    /// A turn was not used: there is room for one more.
    pub(super) fn take_back(&mut self, dispatch: i64, now: Moment, told: &mut Vec<Told<A>>) {
        self.window.take_back(dispatch);
        if let Front::Limited { .. } = self.front {
            self.front = Front::Limited { until: now.instant };
        }
        self.advance(now, told);
    }

    /// Time has passed; safe to call at any time.
    pub(super) fn advance(&mut self, now: Moment, told: &mut Vec<Told<A>>) {
        while let Some(first) = self.line.front() {
            let number = first.number;
            match self.front {
                Front::Undecided => {
                    if let Some(until) = self.window.room_at(0, now.instant) {
                        told.push(Told::Waits { who: first.who.clone(), number, why: Rule::RateLimit });
                        self.front = Front::Limited { until };
                        return;
                    }
                    let drawn_ms = jitter::draw_ms(&self.jitter, &mut self.random);
                    if drawn_ms > 0 {
                        told.push(Told::Waits { who: first.who.clone(), number, why: Rule::Jitter });
                    }
                    let until = now.instant + Duration::from_millis(drawn_ms);
                    self.front = Front::Jittering { since: now.instant, until, drawn_ms };
                }
                Front::Limited { until } if now.instant < until => return,
                Front::Limited { .. } => self.front = Front::Undecided,
                Front::Jittering { until, .. } if now.instant < until => return,
                Front::Jittering { since, drawn_ms, .. } => {
                    self.front = Front::Undecided;
                    let Some(first) = self.line.pop_front() else { return };
                    let dispatch = self.window.record(now);
                    let turn = Turn {
                        number,
                        dispatch,
                        entered_at: first.since,
                        paused_at: since,
                        jitter_ms: drawn_ms,
                        called_at: now.instant,
                    };
                    told.push(Told::Turn(first.who, turn));
                }
            }
        }
    }

    /// When time alone changes something.
    pub(super) fn alarm(&self) -> Option<Instant> {
        match self.front {
            Front::Undecided => None,
            Front::Limited { until } | Front::Jittering { until, .. } => Some(until),
        }
    }

    /// What the request of that number waits for; of one that is not in line, what it would.
    pub(super) fn outlook(&mut self, number: Option<u64>, now: Instant) -> Option<Outlook> {
        let ahead = match number {
            Some(number) => self.line.iter().position(|entrant| entrant.number == number)?,
            None => self.line.len(),
        };
        let jittering = if let Front::Jittering { until, .. } = self.front { Some(until) } else { None };
        let expected = jitter::expected_ms(&self.jitter);
        let own = (ahead == 0).then_some(jittering).flatten();
        let others = u64::try_from(ahead).unwrap_or(u64::MAX);
        let jitter_ms = match own {
            Some(until) => super::window::ms_until(now, until),
            None => expected.saturating_mul(others.saturating_add(1)),
        };
        // Whose random pause has begun has its place in the window.
        let room_at = if own.is_some() { None } else { self.window.room_at(ahead, now) };
        Some(Outlook { ahead, room_at, jitter_ms, jitter_until: own })
    }
}

#[cfg(test)]
mod tests;
