//! Requests that hold a slot and are not dispatched yet: they back off, then wait in the pacing queue for their turn.

use super::{HolderState, QueueArrival, QueuedRequest, TargetEffect, TargetQueue};
use crate::{
    clock::Moment,
    policy::{
        admission::{CircuitState, PolicyRefusal, PolicyRule, WaitStage},
        circuit::CircuitDecision,
        lease::{ActivityKind, ActivityRecord},
        outcome::LeaseOutcome,
        pacing_queue::PacingTurn,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Time that a request has waited, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct WaitDurations {
    pub(in crate::policy) backoff: Duration,
    pub(in crate::policy) rate_limit: Duration,
    pub(in crate::policy) jitter: Duration,
}

#[derive(Debug)]
pub(in crate::policy) struct GrantedRequest<A> {
    pub(in crate::policy) arrival: QueueArrival<A>,
    pub(in crate::policy) requested: Moment,
    pub(in crate::policy) admitted: Instant,
    pub(in crate::policy) waited: WaitDurations,
    pub(in crate::policy) circuit_state: CircuitState,
    pub(in crate::policy) activity: Arc<ActivityRecord>,
}

impl<A: Clone> TargetQueue<A> {
    pub(super) fn touch(&self, number: u64, touch: ActivityKind, now: Instant) {
        if let Some(holder) = self.holders.get(&number) {
            holder.activity.touch(touch, now);
        }
    }

    /// Moves a request from backing off to the pacing queue.
    pub(super) fn start_pacing(&mut self, number: u64, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        let Some(holder) = self.holders.get_mut(&number) else { return };
        holder.request.waited.backoff += now.instant.saturating_duration_since(holder.since);
        (holder.since, holder.standing) = (now.instant, HolderState::Pacing(PolicyRule::RateLimit));
        self.backing_off -= 1;
        self.pacing_places.push_back(number);
        effects.push(TargetEffect::Join(number));
    }

    /// Returns the pacing requests in the order of arrival, which is also that of their places.
    pub(super) fn pacing(&self) -> impl Iterator<Item = u64> {
        let paces = |number: &&u64| matches!(self.holders[*number].standing, HolderState::Pacing(_));
        self.held_back.values().filter(paces).copied()
    }

    /// Records what the request at a place of the pacing queue waits for.
    pub(in crate::policy) fn set_pacing_wait(&mut self, place: u64, why: PolicyRule, now: Instant) {
        let Some(index) = self.pacing_places.iter().position(|taken| *taken == place) else { return };
        let Some(number) = self.pacing().nth(index) else { return };
        let touch = if why == PolicyRule::Jitter { ActivityKind::JitterWait } else { ActivityKind::RateLimitWait };
        self.touch(number, touch, now);
        if let Some(holder) = self.holders.get_mut(&number) {
            holder.standing = HolderState::Pacing(why);
        }
    }

    /// Handles a turn from the pacing queue. Returns whether it was used.
    pub(in crate::policy) fn on_pacing_turn(
        &mut self,
        turn: &PacingTurn,
        now: Moment,
        effects: &mut Vec<TargetEffect<A>>,
    ) -> bool {
        // Requests whose back-off is over go before later ones.
        self.advance_held_back(now, effects);
        let Some(index) = self.pacing_places.iter().position(|place| *place == turn.number) else { return false };
        let Some(number) = self.pacing().next() else { return false };
        self.pacing_places.remove(index);
        let Some(holder) = self.holders.get_mut(&number) else { return false };
        // The request may have joined after the pause of this place had begun.
        let paused_at = turn.paused_at.max(holder.since);
        let entered_at = turn.entered_at.max(holder.since);
        let paused = now.instant.saturating_duration_since(paused_at);
        holder.request.waited.rate_limit += paused_at.saturating_duration_since(entered_at);
        holder.request.waited.jitter += paused.min(Duration::from_millis(turn.jitter_ms));
        // It counts as backing off until it is granted.
        (holder.since, holder.standing) = (now.instant, HolderState::BackingOff);
        self.backing_off += 1;
        let used = match self.health.decide(number, now) {
            CircuitDecision::Refuse(until) => {
                let refusal = self.health.circuit_refusal(&until, now);
                self.refuse(number, refusal, now, effects);
                false
            }
            CircuitDecision::Wait => {
                if let Some(holder) = self.release_slot(number) {
                    self.requeue(holder.request);
                }
                false
            }
            CircuitDecision::Pass | CircuitDecision::Probe if self.health.backoff(now.instant).is_some() => {
                // Another request has failed in the meantime.
                self.touch(number, ActivityKind::BackoffWait, now.instant);
                false
            }
            ruling => {
                if ruling == CircuitDecision::Probe {
                    self.health.start_probe(number);
                }
                self.grant(number, now, effects);
                true
            }
        };
        self.advance(now, effects);
        used
    }

    fn grant(&mut self, number: u64, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        let circuit_state = self.health.circuit_state();
        let Some(holder) = self.holders.get_mut(&number) else { return };
        (holder.since, holder.standing) = (now.instant, HolderState::Running);
        holder.activity.touch(ActivityKind::Admitted, now.instant);
        self.backing_off -= 1;
        self.held_back.remove(&holder.request.rank);
        let first_idle = now.instant + self.slots.idle;
        self.idle_from = Some(self.idle_from.map_or(first_idle, |from| from.min(first_idle)));
        effects.push(TargetEffect::Grant(GrantedRequest {
            arrival: holder.request.arrival.clone(),
            requested: holder.request.requested,
            admitted: now.instant,
            waited: holder.request.waited,
            circuit_state,
            activity: Arc::clone(&holder.activity),
        }));
    }

    fn requeue(&mut self, request: QueuedRequest<A>) {
        let place = self.queue.iter().position(|other| other.rank > request.rank).unwrap_or(self.queue.len());
        self.queue.insert(place, request);
    }

    pub(super) fn leave_pacing(&mut self, standing: HolderState, effects: &mut Vec<TargetEffect<A>>) {
        if let HolderState::Pacing(_) = standing {
            effects.extend(self.pacing_places.pop_back().map(TargetEffect::Leave));
        }
    }

    /// Refuses a request that holds a slot and is not dispatched yet.
    pub(super) fn refuse(
        &mut self,
        number: u64,
        refusal: PolicyRefusal,
        now: Moment,
        effects: &mut Vec<TargetEffect<A>>,
    ) {
        let Some(holder) = self.release_slot(number) else { return };
        self.leave_pacing(holder.standing, effects);
        // A probe that was never dispatched finds nothing out.
        self.health.record_end(number, LeaseOutcome::Cancelled, now);
        effects.push(TargetEffect::Refuse(holder.request.arrival.reply_to, refusal));
    }

    pub(super) fn advance_held_back(&mut self, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        // All requests may wait equally long, so the first to arrive is the first to be late.
        while let Some(number) = self.first_held_back(|request| request.until <= now.instant) {
            let refusal = match self.holders[&number].standing {
                HolderState::Pacing(rule) => self.wait_timeout(WaitStage::PlatformAdmission, rule),
                _ => self.wait_timeout(WaitStage::TargetSlot, PolicyRule::Backoff),
            };
            self.refuse(number, refusal, now, effects);
        }
        if self.backing_off == 0 {
            return;
        }
        let is_backing_off = |number: &&u64| self.holders[*number].standing == HolderState::BackingOff;
        let backing_off: Vec<_> = self.held_back.values().filter(is_backing_off).copied().collect();
        for number in backing_off {
            match self.health.backoff(now.instant) {
                None => self.start_pacing(number, now, effects),
                // A further failure has prolonged the back-off.
                Some(until) if until.at() > self.holders[&number].request.until => {
                    let refusal = self.health.backoff_refusal(until, now);
                    self.refuse(number, refusal, now, effects);
                }
                Some(_) => {}
            }
        }
    }

    fn first_held_back(&self, is: impl Fn(&QueuedRequest<A>) -> bool) -> Option<u64> {
        let (_, number) = self.held_back.first_key_value()?;
        is(&self.holders[number].request).then_some(*number)
    }
}

impl<A> GrantedRequest<A> {
    /// Returns the delays in whole milliseconds: slot, back-off, pacing, random pause. They add up to the total, within
    /// one millisecond. Time without another cause counts as waiting for a slot.
    pub(in crate::policy) fn delays_ms(&self) -> [i64; 4] {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let total = ms(self.admitted.saturating_duration_since(self.requested.instant));
        let (backoff, rate_limit, jitter) =
            (ms(self.waited.backoff), ms(self.waited.rate_limit), ms(self.waited.jitter));
        let turn = total - backoff - rate_limit - jitter;
        // A timer may be late by one millisecond.
        [if turn <= 1 { 0 } else { turn }, backoff, rate_limit, jitter]
    }
}
