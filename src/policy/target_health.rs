//! Health of one target: failures, back-off, circuit and counters. Pure; it outlives the process.

use super::{
    admission::{CircuitState, FailureStreak, PolicyRefusal},
    backoff,
    circuit::{Circuit, CircuitDecision, CircuitEvent},
    deadline::{ClockReadings, Deadline},
    outcome::{LeaseFailure, LeaseOutcome},
    settings::{Backoff, CircuitBreaker},
};
use crate::{
    clock::{Moment, WallMs},
    ids::{ClientId, PlatformName, RequestId},
    store::policy::{SweepRow, TargetRow},
};
use std::sync::Arc;
use tokio::time::Instant;

/// Most bytes kept of an error code, which may come from the extension.
const ERROR_BYTES_MAX: usize = 200;

/// What triggers a sweep of idle leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SweepReason {
    /// The periodic sweep.
    Interval,
    /// The arrival of another request.
    RequestBegin,
}

impl SweepReason {
    fn name(self) -> &'static str {
        match self {
            SweepReason::Interval => "background_interval:lease_idle_timeout",
            SweepReason::RequestBegin => "request_begin:lease_idle_timeout",
        }
    }
}

/// The urgency of persisting a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HealthChange {
    #[default]
    Nothing,
    /// The time of a success or cancellation; no decision depends on it.
    Minor,
    /// State that decisions depend on.
    Major,
}

#[derive(Clone, Debug)]
pub(super) struct TargetHealth {
    backoff_limits: Backoff,
    breaker: CircuitBreaker,
    circuit: Circuit,
    backoff: Option<Deadline>,
    pub(super) failures: u32,
    pub(super) last_error: Option<String>,
    pub(super) last_failure_at: Option<WallMs>,
    pub(super) last_success_at: Option<WallMs>,
    pub(super) sweep_count: u64,
    /// The last lease that was revoked.
    pub(super) last_sweep: Option<SweepRow>,
    change: HealthChange,
}

impl TargetHealth {
    pub(super) fn new(backoff_limits: Backoff, breaker: CircuitBreaker) -> Self {
        TargetHealth {
            backoff_limits,
            breaker,
            circuit: Circuit::default(),
            backoff: None,
            failures: 0,
            last_error: None,
            last_failure_at: None,
            last_success_at: None,
            sweep_count: 0,
            last_sweep: None,
            change: HealthChange::Nothing,
        }
    }

    pub(super) fn restored(limits: (Backoff, CircuitBreaker), row: TargetRow, readings: &ClockReadings) -> Self {
        let until = |row: &_, boot: &Option<Arc<str>>| Deadline::restored(row, boot.as_ref(), readings);
        let backoff = row.backoff.as_ref().map(|kept| until(kept, &row.boot_id));
        let circuit = row.circuit.as_ref().map_or(Circuit::Closed, |kept| Circuit::Open(until(kept, &row.boot_id)));
        TargetHealth {
            circuit,
            backoff: backoff.filter(|until| !until.is_over(readings.now.instant)),
            failures: row.consecutive_failures,
            last_error: row.last_error,
            last_failure_at: row.last_failure_at,
            last_success_at: row.last_success_at,
            sweep_count: row.stale_sweep_count,
            last_sweep: row.last_sweep,
            ..TargetHealth::new(limits.0, limits.1)
        }
    }

    /// Returns the stored form. A half-open circuit is stored as due, because its probe does not outlive the process.
    pub(super) fn row(&self, client: &ClientId, platform: &PlatformName, readings: &ClockReadings) -> TargetRow {
        let circuit = match self.circuit {
            Circuit::Closed => None,
            Circuit::Open(until) => Some(until),
            Circuit::HalfOpen { .. } => Some(Deadline::after(0, readings.now)),
        };
        TargetRow {
            client_id: client.shared(),
            platform: platform.shared(),
            boot_id: readings.boot_id(),
            circuit: circuit.map(|until| until.row(readings)),
            backoff: self.backoff.map(|until| until.row(readings)),
            consecutive_failures: self.failures,
            last_error: self.last_error.clone(),
            last_failure_at: self.last_failure_at,
            last_success_at: self.last_success_at,
            stale_sweep_count: self.sweep_count,
            last_sweep: self.last_sweep.clone(),
            updated_at: readings.now.wall,
        }
    }

    /// Takes the pending change.
    pub(super) fn take_change(&mut self) -> HealthChange {
        std::mem::take(&mut self.change)
    }

    fn changed(&mut self, change: HealthChange) {
        self.change = self.change.max(change);
    }

    pub(super) fn circuit_state(&self) -> CircuitState {
        self.circuit.state()
    }

    /// Returns when an open circuit admits a probe.
    pub(super) fn retry_at(&self) -> Option<&Deadline> {
        self.circuit.retry_at()
    }

    /// Returns the back-off, while it lasts.
    pub(super) fn backoff(&self, now: Instant) -> Option<&Deadline> {
        self.backoff.as_ref().filter(|until| !until.is_over(now))
    }

    /// Returns whether a probe is running, for which other requests wait.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.circuit, Circuit::HalfOpen { .. })
    }

    pub(super) fn decide(&self, number: u64, now: Moment) -> CircuitDecision {
        self.circuit.decide(number, now)
    }

    pub(super) fn start_probe(&mut self, number: u64) {
        self.circuit = Circuit::HalfOpen { probe: number };
        self.changed(HealthChange::Major);
    }

    pub(super) fn record_end(&mut self, number: u64, outcome: LeaseOutcome, now: Moment) {
        match outcome {
            LeaseOutcome::Success => {
                let clean = self.failures == 0 && self.circuit == Circuit::Closed && self.backoff.is_none();
                self.circuit = self.circuit.after(CircuitEvent::Succeeded, number, &self.breaker, now);
                (self.failures, self.backoff, self.last_error) = (0, None, None);
                self.last_success_at = Some(now.wall);
                self.changed(if clean { HealthChange::Minor } else { HealthChange::Major });
            }
            LeaseOutcome::Cancelled => {
                let after = self.circuit.after(CircuitEvent::Cancelled, number, &self.breaker, now);
                if std::mem::replace(&mut self.circuit, after) != after {
                    self.changed(HealthChange::Major);
                }
            }
            LeaseOutcome::Failure(failed) => self.record_failure(number, failed, now),
        }
    }

    fn record_failure(&mut self, number: u64, failed: LeaseFailure, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let rest = backoff::backoff_ms(self.failures, &self.backoff_limits, failed.retry_after_ms);
        // A longer back-off that the platform asked for earlier stays in force.
        self.backoff = Some(Deadline::after(rest, now).max(self.backoff));
        self.circuit = self.circuit.after(CircuitEvent::Failed { failures: self.failures }, number, &self.breaker, now);
        let mut error = failed.error;
        error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX));
        self.last_error = Some(error);
        self.last_failure_at = Some(now.wall);
        self.changed(HealthChange::Major);
    }

    /// Records the revocation of a lease, which counts as a failure.
    pub(super) fn record_sweep(
        &mut self,
        number: u64,
        request_id: RequestId,
        idle_ms: i64,
        why: SweepReason,
        now: Moment,
    ) {
        self.sweep_count += 1;
        let (request_id, reason) = (request_id.shared(), why.name().to_owned());
        self.last_sweep = Some(SweepRow { at: now.wall, idle_ms, request_id, reason });
        self.record_failure(number, LeaseFailure { error: "lease_swept".to_owned(), retry_after_ms: None }, now);
    }

    /// Resets failures, back-off and circuit.
    pub(super) fn reset(&mut self) {
        (self.circuit, self.backoff, self.failures, self.last_error) = (Circuit::Closed, None, 0, None);
        self.changed(HealthChange::Major);
    }

    fn failures(&self) -> FailureStreak {
        FailureStreak { count: self.failures, last_error: self.last_error.clone() }
    }

    /// Returns the refusal of an open circuit; another attempt makes sense once the back-off is over as well.
    pub(super) fn circuit_refusal(&self, until: &Deadline, now: Moment) -> PolicyRefusal {
        let until = until.max(self.backoff(now.instant).copied());
        let (retry_after_ms, until) = (until.left_ms(now.instant), until.wall(now));
        PolicyRefusal::CircuitOpen { retry_after_ms, until, cause: self.failures() }
    }

    /// Returns the refusal of a back-off that lasts longer than a request may wait.
    pub(super) fn backoff_refusal(&self, until: &Deadline, now: Moment) -> PolicyRefusal {
        let (retry_after_ms, until) = (until.left_ms(now.instant), until.wall(now));
        PolicyRefusal::Backoff { retry_after_ms, until, cause: self.failures() }
    }
}

#[cfg(test)]
mod tests;
