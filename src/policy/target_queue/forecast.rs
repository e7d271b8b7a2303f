//! Predicts what a queued request waits for, and what a new request would wait for.

use super::{HolderState, TargetQueue};
use crate::{
    clock::Moment,
    policy::{
        admission::{PolicyRefusal, PolicyRule, WaitReason},
        circuit::CircuitDecision,
        deadline::Deadline,
    },
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum WaitLocation {
    /// At its target, for the given reason.
    Target(WaitReason),
    /// In the pacing queue, at the place with this number.
    Platform(u64),
}

/// Forecast of a target for a request made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum AdmissionForecast {
    /// It would reach the pacing queue, after waiting for these reasons.
    Passes(Vec<WaitReason>),
    Refused(PolicyRefusal),
}

/// A number that no request has.
const NO_REQUEST: u64 = u64::MAX;

impl<A: Clone> TargetQueue<A> {
    /// Returns where a request waits; `None` if it does not wait.
    pub(in crate::policy) fn wait_location(&self, number: u64, now: Moment) -> Option<WaitLocation> {
        if let Some(place) = self.queue.iter().position(|request| request.arrival.number == number) {
            return Some(WaitLocation::Target(WaitReason::of(self.queue_rule()).at(place + 1)));
        }
        match self.holders.get(&number)?.standing {
            HolderState::Running => None,
            HolderState::Pacing(_) => {
                let index = self.pacing().position(|paces| paces == number)?;
                self.pacing_places.get(index).copied().map(WaitLocation::Platform)
            }
            HolderState::BackingOff => Some(WaitLocation::Target(match self.health.backoff(now.instant) {
                Some(until) => rest(until, now),
                None => WaitReason::lasting(PolicyRule::Backoff, 0, now.wall),
            })),
        }
    }

    pub(in crate::policy) fn forecast(&self, now: Moment) -> AdmissionForecast {
        let mut reasons = Vec::new();
        if !self.queue.is_empty() || !self.has_slot() {
            if self.queue.len() >= self.slots.waiting_max {
                return AdmissionForecast::Refused(PolicyRefusal::QueueFull { waiting: self.queue.len() });
            }
            reasons.push(WaitReason::of(self.queue_rule()).at(self.queue.len() + 1));
        }
        if let CircuitDecision::Refuse(until) = self.health.decide(NO_REQUEST, now) {
            return AdmissionForecast::Refused(self.health.circuit_refusal(&until, now));
        }
        if let Some(until) = self.health.backoff(now.instant) {
            if until.at() > now.instant + self.slots.wait {
                return AdmissionForecast::Refused(self.health.backoff_refusal(until, now));
            }
            reasons.push(rest(until, now));
        }
        AdmissionForecast::Passes(reasons)
    }

    #[cfg(test)]
    pub(in crate::policy) fn pacing_count(&self) -> usize {
        self.pacing().count()
    }

    /// Returns the rule that requests in the queue wait for.
    pub(super) fn queue_rule(&self) -> PolicyRule {
        let free = self.holders.len() < self.slots.in_flight_max;
        if free && self.health.is_probing() { PolicyRule::CircuitProbe } else { PolicyRule::Slot }
    }
}

fn rest(until: &Deadline, now: Moment) -> WaitReason {
    let reason = WaitReason::lasting(PolicyRule::Backoff, until.left_ms(now.instant), now.wall);
    WaitReason { until: Some(until.wall(now)), ..reason }
}
