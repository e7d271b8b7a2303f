//! What a request waits for, and what one made now would meet.

use super::{Line, Standing};
use crate::{
    clock::Moment,
    policy::{
        admission::{Reason, Refusal, Rule},
        circuit::Ruling,
        deadline::Deadline,
    },
};

/// What a request of that number waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum WaitsFor {
    /// Something of its target.
    Target(Reason),
    /// Its turn in the platform's line, where this place is its own.
    Platform(u64),
}

/// What a request made now would meet at its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Prospect {
    /// It would get as far as the platform's line, after this.
    Passes(Vec<Reason>),
    /// It would be refused.
    Refused(Refusal),
}

/// No request has this number.
const NOBODY: u64 = u64::MAX;

impl<A: Clone> Line<A> {
    /// What the request waits for; nothing of one that does not wait.
    pub(in crate::policy) fn waits_for(&self, number: u64, now: Moment) -> Option<WaitsFor> {
        if let Some(place) = self.queue.iter().position(|request| request.arrival.number == number) {
            return Some(WaitsFor::Target(Reason::of(self.queue_rule()).at(place + 1)));
        }
        match self.holders.get(&number)?.standing {
            Standing::Running => None,
            Standing::Pacing(_) => {
                let index = self.pacing().position(|paces| paces == number)?;
                self.places.get(index).copied().map(WaitsFor::Platform)
            }
            Standing::Resting => Some(WaitsFor::Target(match self.health.backoff(now.instant) {
                Some(until) => rest(until, now),
                None => Reason::lasting(Rule::Backoff, 0, now.wall),
            })),
        }
    }

    /// What a request made now would meet.
    pub(in crate::policy) fn prospect(&self, now: Moment) -> Prospect {
        let mut reasons = Vec::new();
        if !self.queue.is_empty() || !self.has_slot() {
            if self.queue.len() >= self.slots.waiting_max {
                return Prospect::Refused(Refusal::QueueFull { waiting: self.queue.len() });
            }
            reasons.push(Reason::of(self.queue_rule()).at(self.queue.len() + 1));
        }
        if let Ruling::Refuse(until) = self.health.rule(NOBODY, now) {
            return Prospect::Refused(self.health.circuit_open(&until, now));
        }
        if let Some(until) = self.health.backoff(now.instant) {
            if until.at() > now.instant + self.slots.wait {
                return Prospect::Refused(self.health.rests_too_long(until, now));
            }
            reasons.push(rest(until, now));
        }
        Prospect::Passes(reasons)
    }

    /// Requests that are in the platform's line.
    #[cfg(test)]
    pub(in crate::policy) fn pacing_count(&self) -> usize {
        self.pacing().count()
    }

    /// What those in the queue wait for.
    pub(super) fn queue_rule(&self) -> Rule {
        let free = self.holders.len() < self.slots.in_flight_max;
        if free && self.health.probe_is_out() { Rule::CircuitProbe } else { Rule::Slot }
    }
}

fn rest(until: &Deadline, now: Moment) -> Reason {
    let reason = Reason::lasting(Rule::Backoff, until.left_ms(now.instant), now.wall);
    Reason { until: Some(until.wall(now)), ..reason }
}
