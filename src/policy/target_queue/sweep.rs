//! Revocation of idle leases.

use super::{HolderState, TargetEffect, TargetQueue};
use crate::{
    clock::Moment,
    policy::{deadline::signed_ms, target_health::SweepReason},
};

impl<A: Clone> TargetQueue<A> {
    /// Revokes leases that have been idle for too long. Requests that still wait inside the policy show no activity and
    /// are left alone.
    pub(super) fn sweep(&mut self, why: SweepReason, now: Moment, effects: &mut Vec<TargetEffect<A>>) {
        // Activity only moves this time later, so nothing can be found before it.
        if self.idle_from.is_none_or(|from| now.instant < from) {
            return;
        }
        let last_life = |holder: &super::SlotHolder<A>| holder.activity.last().map_or(holder.since, |(at, _)| at);
        let running = || self.holders.iter().filter(|(_, holder)| holder.standing == HolderState::Running);
        let idle = |at| now.instant.saturating_duration_since(at) >= self.slots.idle;
        let stale = running().map(|(number, holder)| (*number, last_life(holder))).filter(|(_, at)| idle(*at));
        let mut stale: Vec<_> = stale.collect();
        stale.sort_unstable();
        for (number, at) in stale {
            let Some(holder) = self.release_slot(number) else { continue };
            let request = holder.request.arrival;
            self.health.record_sweep(number, request.request_id, signed_ms(at, now.instant), why, now);
            effects.push(TargetEffect::Sweep(request.reply_to));
        }
        let running = self.holders.values().filter(|holder| holder.standing == HolderState::Running);
        self.idle_from = running.map(|holder| last_life(holder) + self.slots.idle).min();
        self.advance(now, effects);
    }
}
