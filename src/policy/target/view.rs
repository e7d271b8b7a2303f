//! State of one target, as shown to the operator.

use crate::{
    clock::{Moment, WallMs},
    ids::{ClientId, PlatformName, RequestId},
    policy::{deadline::Deadline, lease::ActivityKind, target_health::TargetHealth},
};

pub use crate::api::policy::TargetView;

/// State that only a running target has.
#[derive(Debug, Default)]
pub(in crate::policy) struct TargetCounts {
    pub(in crate::policy) in_flight: usize,
    pub(in crate::policy) held_back: usize,
    pub(in crate::policy) waiting: usize,
    pub(in crate::policy) activity: Option<(WallMs, ActivityKind)>,
}

impl TargetView {
    pub(in crate::policy) fn of(
        client: &ClientId,
        platform: &PlatformName,
        health: &TargetHealth,
        counts: TargetCounts,
        now: Moment,
    ) -> Self {
        let wall = |until: &Deadline| until.wall(now);
        let sweep = health.last_sweep.as_ref();
        TargetView {
            client_id: client.clone(),
            platform: platform.clone(),
            circuit_state: health.circuit_state(),
            in_flight: counts.in_flight,
            held_back: counts.held_back,
            waiting: counts.waiting,
            consecutive_failures: health.failures,
            backoff_until: health.backoff(now.instant).map(wall),
            circuit_retry_at: health.retry_at().map(wall),
            last_error: health.last_error.clone(),
            last_failure_at: health.last_failure_at,
            last_success_at: health.last_success_at,
            last_activity_at: counts.activity.map(|(at, _)| at),
            last_activity_reason: counts.activity.map(|(_, reason)| reason.name().into()),
            stale_sweep_count: health.sweep_count,
            last_stale_sweep_at: sweep.map(|sweep| sweep.at),
            last_stale_sweep_idle_ms: sweep.map(|sweep| sweep.idle_ms),
            last_stale_sweep_request_id: sweep.map(|sweep| RequestId::trusted(sweep.request_id.clone())),
            last_stale_sweep_reason: sweep.map(|sweep| sweep.reason.clone()),
        }
    }
}
