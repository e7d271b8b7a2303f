//! State of one target, as shown to the operator.

use crate::{
    clock::{Moment, WallMs},
    ids::{ClientId, PlatformName, RequestId},
    policy::{admission::CircuitState, deadline::Deadline, lease::ActivityKind, target_health::TargetHealth},
};
use serde::Serialize;

/// State of one target, as shown to the operator. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetView {
    /// Client of the target.
    pub client_id: ClientId,
    /// Platform of the target.
    pub platform: PlatformName,
    /// State of the circuit.
    pub circuit_state: CircuitState,
    /// Requests holding a slot.
    pub in_flight: usize,
    /// Those of them that wait for back-off or pacing.
    #[serde(skip)]
    pub held_back: usize,
    /// Requests waiting for a slot.
    pub waiting: usize,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// End of the back-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_until: Option<WallMs>,
    /// When an open circuit admits a probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_retry_at: Option<WallMs>,
    /// Error code of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Time of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<WallMs>,
    /// Time of the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<WallMs>,
    /// Time of the last activity of any request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<WallMs>,
    /// Kind of that activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_reason: Option<&'static str>,
    /// Number of revoked leases.
    pub stale_sweep_count: u64,
    /// Time of the last revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stale_sweep_at: Option<WallMs>,
    /// How long that lease had been idle, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stale_sweep_idle_ms: Option<i64>,
    /// Request of that lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stale_sweep_request_id: Option<RequestId>,
    /// What triggered the sweep, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stale_sweep_reason: Option<String>,
}

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
            last_activity_reason: counts.activity.map(|(_, reason)| reason.name()),
            stale_sweep_count: health.sweep_count,
            last_stale_sweep_at: sweep.map(|sweep| sweep.at),
            last_stale_sweep_idle_ms: sweep.map(|sweep| sweep.idle_ms),
            last_stale_sweep_request_id: sweep.map(|sweep| sweep.request_id.clone()),
            last_stale_sweep_reason: sweep.map(|sweep| sweep.reason.clone()),
        }
    }
}
