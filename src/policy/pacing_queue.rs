//! Order of a platform's requests, as a value: first in, first out, one at a time. No clock, no actor, no I/O.
//!
//! ```text
//! first in queue ─window full──► waits for the window ──room──► waits at random ──over──► its turn
//!                     └──────────────── room ────────────────────────▲ └─ none drawn ───────▲
//! ```

use super::{
    admission::PolicyRule,
    dispatch_window::DispatchWindow,
    jitter,
    settings::{Jitter, RateLimit},
};
use crate::clock::Moment;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A queued request; `A` is the handle by which its target is reached.
#[derive(Clone, Debug)]
struct PacingEntry<A> {
    number: u64,
    since: Instant,
    reply_to: A,
}

/// State of the first request in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadState {
    /// The queue is empty, or nothing was decided yet.
    Undecided,
    /// Waiting for room in the window.
    AwaitingWindow { until: Instant },
    /// Waiting for the random pause to end.
    AwaitingJitter { since: Instant, until: Instant, drawn_ms: u64 },
}

/// An effect that the pacer has to perform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PacingEffect<A> {
    /// Tells a target what its request waits for.
    Waits { reply_to: A, number: u64, why: PolicyRule },
    /// Gives a request its turn; its dispatch is already recorded.
    Turn(A, PacingTurn),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacingTurn {
    pub(super) number: u64,
    /// Number of the recorded dispatch.
    pub(super) dispatch: i64,
    /// When the request joined the queue.
    pub(super) entered_at: Instant,
    /// When its random pause began; the time before was spent on the window and on earlier requests.
    pub(super) paused_at: Instant,
    pub(super) jitter_ms: u64,
    pub(super) granted_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacingForecast {
    /// Requests ahead of it.
    pub(super) ahead: usize,
    /// When the window will have room for it; `None` if it has room now.
    pub(super) room_at: Option<Instant>,
    /// Expected sum of random pauses, including those of the requests ahead, in milliseconds.
    pub(super) jitter_ms: u64,
    /// End of its own random pause, once that has begun.
    pub(super) jitter_until: Option<Instant>,
}

/// Queue of one platform's requests: first in, first out, one turn at a time.
#[derive(Debug)]
pub(super) struct PacingQueue<A> {
    pub(super) window: DispatchWindow,
    jitter: Jitter,
    random: StdRng,
    queue: VecDeque<PacingEntry<A>>,
    head: HeadState,
}

impl<A: Clone> PacingQueue<A> {
    pub(super) fn new(limits: &RateLimit, jitter: Jitter, random: StdRng) -> Self {
        PacingQueue {
            window: DispatchWindow::new(limits),
            jitter,
            random,
            queue: VecDeque::new(),
            head: HeadState::Undecided,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn join(&mut self, number: u64, reply_to: A, now: Moment, effects: &mut Vec<PacingEffect<A>>) {
        self.queue.push_back(PacingEntry { number, since: now.instant, reply_to: reply_to.clone() });
        if self.queue.len() > 1 {
            return effects.push(PacingEffect::Waits { reply_to, number, why: PolicyRule::RateLimit });
        }
        self.advance(now, effects);
    }

    pub(super) fn leave(&mut self, number: u64, now: Moment, effects: &mut Vec<PacingEffect<A>>) {
        let Some(place) = self.queue.iter().position(|entrant| entrant.number == number) else { return };
        self.queue.remove(place);
        if place == 0 {
            self.head = HeadState::Undecided;
            self.advance(now, effects);
        }
    }

    /// Removes the dispatch of an unused turn from the window.
    pub(super) fn return_turn(&mut self, dispatch: i64, now: Moment, effects: &mut Vec<PacingEffect<A>>) {
        self.window.take_back(dispatch);
        if let HeadState::AwaitingWindow { .. } = self.head {
            self.head = HeadState::AwaitingWindow { until: now.instant };
        }
        self.advance(now, effects);
    }

    /// Advances the queue to the current time; safe to call at any time.
    pub(super) fn advance(&mut self, now: Moment, effects: &mut Vec<PacingEffect<A>>) {
        while let Some(first) = self.queue.front() {
            let number = first.number;
            match self.head {
                HeadState::Undecided => {
                    if let Some(until) = self.window.room_at(0, now.instant) {
                        effects.push(PacingEffect::Waits {
                            reply_to: first.reply_to.clone(),
                            number,
                            why: PolicyRule::RateLimit,
                        });
                        self.head = HeadState::AwaitingWindow { until };
                        return;
                    }
                    let drawn_ms = jitter::draw_ms(&self.jitter, &mut self.random);
                    if drawn_ms > 0 {
                        effects.push(PacingEffect::Waits {
                            reply_to: first.reply_to.clone(),
                            number,
                            why: PolicyRule::Jitter,
                        });
                    }
                    let until = now.instant + Duration::from_millis(drawn_ms);
                    self.head = HeadState::AwaitingJitter { since: now.instant, until, drawn_ms };
                }
                HeadState::AwaitingWindow { until } if now.instant < until => return,
                HeadState::AwaitingWindow { .. } => self.head = HeadState::Undecided,
                HeadState::AwaitingJitter { until, .. } if now.instant < until => return,
                HeadState::AwaitingJitter { since, drawn_ms, .. } => {
                    self.head = HeadState::Undecided;
                    let Some(first) = self.queue.pop_front() else { return };
                    let dispatch = self.window.record(now);
                    let turn = PacingTurn {
                        number,
                        dispatch,
                        entered_at: first.since,
                        paused_at: since,
                        jitter_ms: drawn_ms,
                        granted_at: now.instant,
                    };
                    effects.push(PacingEffect::Turn(first.reply_to, turn));
                }
            }
        }
    }

    /// Returns the time of the next change that only time causes.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        match self.head {
            HeadState::Undecided => None,
            HeadState::AwaitingWindow { until } | HeadState::AwaitingJitter { until, .. } => Some(until),
        }
    }

    /// Returns the forecast for the given request, or for a new one without a number.
    pub(super) fn forecast(&mut self, number: Option<u64>, now: Instant) -> Option<PacingForecast> {
        let ahead = match number {
            Some(number) => self.queue.iter().position(|entrant| entrant.number == number)?,
            None => self.queue.len(),
        };
        let jittering = if let HeadState::AwaitingJitter { until, .. } = self.head { Some(until) } else { None };
        let expected = jitter::expected_ms(&self.jitter);
        let own = (ahead == 0).then_some(jittering).flatten();
        let others = u64::try_from(ahead).unwrap_or(u64::MAX);
        let jitter_ms = match own {
            Some(until) => super::dispatch_window::ms_until(now, until),
            None => expected.saturating_mul(others.saturating_add(1)),
        };
        // A request whose random pause has begun already has room in the window.
        let room_at = if own.is_some() { None } else { self.window.room_at(ahead, now) };
        Some(PacingForecast { ahead, room_at, jitter_ms, jitter_until: own })
    }
}

#[cfg(test)]
mod tests;
