//! Leases that show no sign of life are taken back.

use super::{Effect, Line, Standing};
use crate::{
    clock::Moment,
    policy::{deadline::signed_ms, health::SweepReason},
};

impl<A: Clone> Line<A> {
    /// Takes back the leases that have shown no life for too long. Those that wait inside the policy have none to show.
    pub(super) fn sweep(&mut self, why: SweepReason, now: Moment, effects: &mut Vec<Effect<A>>) {
        // Signs of life only move this later, so that before it there is nothing to find.
        if self.idle_from.is_none_or(|from| now.instant < from) {
            return;
        }
        let last_life = |holder: &super::Holder<A>| holder.activity.last().map_or(holder.since, |(at, _)| at);
        let running = || self.holders.iter().filter(|(_, holder)| holder.standing == Standing::Running);
        let idle = |at| now.instant.saturating_duration_since(at) >= self.slots.idle;
        let stale = running().map(|(number, holder)| (*number, last_life(holder))).filter(|(_, at)| idle(*at));
        let mut stale: Vec<_> = stale.collect();
        stale.sort_unstable();
        for (number, at) in stale {
            let Some(holder) = self.let_go(number) else { continue };
            let request = holder.request.arrival;
            self.health.swept(number, request.request_id, signed_ms(at, now.instant), why, now);
            effects.push(Effect::Sweep(request.who));
        }
        let running = self.holders.values().filter(|holder| holder.standing == Standing::Running);
        self.idle_from = running.map(|holder| last_life(holder) + self.slots.idle).min();
        self.go_on(now, effects);
    }
}
