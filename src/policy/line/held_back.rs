//! Those who hold a slot and are not out yet: they rest, then pace, until the platform's line calls.

use super::{Arrival, Effect, Line, Request, Standing};
use crate::{
    clock::Moment,
    policy::{
        admission::{CircuitState, Refusal, Rule, Stage},
        circuit::Ruling,
        lease::{Activity, Touch},
        outcome::Outcome,
        pacing::Turn,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What a request has waited for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Waited {
    pub(in crate::policy) backoff: Duration,
    pub(in crate::policy) rate_limit: Duration,
    pub(in crate::policy) jitter: Duration,
}

/// A request that may go out.
#[derive(Debug)]
pub(in crate::policy) struct Granted<A> {
    pub(in crate::policy) arrival: Arrival<A>,
    pub(in crate::policy) requested: Moment,
    pub(in crate::policy) admitted: Instant,
    pub(in crate::policy) waited: Waited,
    pub(in crate::policy) circuit_state: CircuitState,
    pub(in crate::policy) activity: Arc<Activity>,
}

impl<A: Clone> Line<A> {
    pub(super) fn touch(&self, number: u64, touch: Touch, now: Instant) {
        if let Some(holder) = self.holders.get(&number) {
            holder.activity.touch(touch, now);
        }
    }

    /// A request that has rested joins the platform's line.
    pub(super) fn pace(&mut self, number: u64, now: Moment, effects: &mut Vec<Effect<A>>) {
        let Some(holder) = self.holders.get_mut(&number) else { return };
        holder.request.waited.backoff += now.instant.saturating_duration_since(holder.since);
        (holder.since, holder.standing) = (now.instant, Standing::Pacing(Rule::RateLimit));
        self.resting -= 1;
        self.places.push_back(number);
        effects.push(Effect::Enter(number));
    }

    /// The requests that pace, in the order of their arrival, which is that of their places.
    pub(super) fn pacing(&self) -> impl Iterator<Item = u64> {
        let paces = |number: &&u64| matches!(self.holders[*number].standing, Standing::Pacing(_));
        self.held_back.values().filter(paces).copied()
    }

    /// The platform's line says what the request that took a place waits for.
    pub(in crate::policy) fn waits(&mut self, place: u64, why: Rule, now: Instant) {
        let Some(index) = self.places.iter().position(|taken| *taken == place) else { return };
        let Some(number) = self.pacing().nth(index) else { return };
        let touch = if why == Rule::Jitter { Touch::JitterWait } else { Touch::RateLimitWait };
        self.touch(number, touch, now);
        if let Some(holder) = self.holders.get_mut(&number) {
            holder.standing = Standing::Pacing(why);
        }
    }

    /// The platform's line calls. Says whether the turn is used.
    pub(in crate::policy) fn called(&mut self, turn: &Turn, now: Moment, effects: &mut Vec<Effect<A>>) -> bool {
        // Those whose rest is over go before those who came later.
        self.look_at_held_back(now, effects);
        let Some(index) = self.places.iter().position(|place| *place == turn.number) else { return false };
        let Some(number) = self.pacing().next() else { return false };
        self.places.remove(index);
        let Some(holder) = self.holders.get_mut(&number) else { return false };
        // It may not have been there yet when the pause of this place began.
        let paused_at = turn.paused_at.max(holder.since);
        let entered_at = turn.entered_at.max(holder.since);
        let paused = now.instant.saturating_duration_since(paused_at);
        holder.request.waited.rate_limit += paused_at.saturating_duration_since(entered_at);
        holder.request.waited.jitter += paused.min(Duration::from_millis(turn.jitter_ms));
        // Until something better is known it rests.
        (holder.since, holder.standing) = (now.instant, Standing::Resting);
        self.resting += 1;
        let used = match self.health.rule(number, now) {
            Ruling::Refuse(until) => {
                let refusal = self.health.circuit_open(&until, now);
                self.refuse(number, refusal, now, effects);
                false
            }
            Ruling::Wait => {
                if let Some(holder) = self.let_go(number) {
                    self.put_back(holder.request);
                }
                false
            }
            Ruling::Pass | Ruling::Probe if self.health.backoff(now.instant).is_some() => {
                // Another one has failed meanwhile.
                self.touch(number, Touch::BackoffWait, now.instant);
                false
            }
            ruling => {
                if ruling == Ruling::Probe {
                    self.health.probes(number);
                }
                self.grant(number, now, effects);
                true
            }
        };
        self.go_on(now, effects);
        used
    }

    fn grant(&mut self, number: u64, now: Moment, effects: &mut Vec<Effect<A>>) {
        let circuit_state = self.health.circuit_state();
        let Some(holder) = self.holders.get_mut(&number) else { return };
        (holder.since, holder.standing) = (now.instant, Standing::Running);
        holder.activity.touch(Touch::Admitted, now.instant);
        self.resting -= 1;
        self.held_back.remove(&holder.request.rank);
        let first_idle = now.instant + self.slots.idle;
        self.idle_from = Some(self.idle_from.map_or(first_idle, |from| from.min(first_idle)));
        effects.push(Effect::Grant(Granted {
            arrival: holder.request.arrival.clone(),
            requested: holder.request.requested,
            admitted: now.instant,
            waited: holder.request.waited,
            circuit_state,
            activity: Arc::clone(&holder.activity),
        }));
    }

    fn put_back(&mut self, request: Request<A>) {
        let place = self.queue.iter().position(|other| other.rank > request.rank).unwrap_or(self.queue.len());
        self.queue.insert(place, request);
    }

    pub(super) fn leave_platform(&mut self, standing: Standing, effects: &mut Vec<Effect<A>>) {
        if let Standing::Pacing(_) = standing {
            effects.extend(self.places.pop_back().map(Effect::Leave));
        }
    }

    /// A request that holds a slot and is not out is refused.
    pub(super) fn refuse(&mut self, number: u64, refusal: Refusal, now: Moment, effects: &mut Vec<Effect<A>>) {
        let Some(holder) = self.let_go(number) else { return };
        self.leave_platform(holder.standing, effects);
        // If it was to be the probe, that says nothing.
        self.health.ended(number, Outcome::Cancelled, now);
        effects.push(Effect::Refuse(holder.request.arrival.who, refusal));
    }

    pub(super) fn look_at_held_back(&mut self, now: Moment, effects: &mut Vec<Effect<A>>) {
        // All wait equally long, so that the first to come is the first to be late.
        while let Some(number) = self.first_held_back(|request| request.until <= now.instant) {
            let refusal = match self.holders[&number].standing {
                Standing::Pacing(rule) => self.too_late(Stage::PlatformAdmission, rule),
                _ => self.too_late(Stage::TargetSlot, Rule::Backoff),
            };
            self.refuse(number, refusal, now, effects);
        }
        if self.resting == 0 {
            return;
        }
        let rests = |number: &&u64| self.holders[*number].standing == Standing::Resting;
        let resting: Vec<_> = self.held_back.values().filter(rests).copied().collect();
        for number in resting {
            match self.health.backoff(now.instant) {
                None => self.pace(number, now, effects),
                // Another failure made it longer.
                Some(until) if until.at() > self.holders[&number].request.until => {
                    let refusal = self.health.rests_too_long(until, now);
                    self.refuse(number, refusal, now, effects);
                }
                Some(_) => {}
            }
        }
    }

    fn first_held_back(&self, is: impl Fn(&Request<A>) -> bool) -> Option<u64> {
        let (_, number) = self.held_back.first_key_value()?;
        is(&self.holders[number].request).then_some(*number)
    }
}

impl<A> Granted<A> {
    /// What was waited for, in whole milliseconds that add up, but for one: slot, back-off, pacing, random pause. What was waited for
    /// nothing in particular was waiting for its turn.
    pub(in crate::policy) fn delays_ms(&self) -> [i64; 4] {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let total = ms(self.admitted.saturating_duration_since(self.requested.instant));
        let (backoff, rate_limit, jitter) =
            (ms(self.waited.backoff), ms(self.waited.rate_limit), ms(self.waited.jitter));
        let turn = total - backoff - rate_limit - jitter;
        // A timer may be late by that much; nobody waited.
        [if turn <= 1 { 0 } else { turn }, backoff, rate_limit, jitter]
    }
}
