//! What the policy decided about a request, as it is shown to the caller.

use crate::{
    clock::WallMs,
    ids::{ClientId, PlatformName, RequestId},
};
use serde::Serialize;

/// A request that may go out, and what it waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admission {
    /// The request.
    pub request_id: RequestId,
    /// Its platform.
    pub platform: PlatformName,
    /// The client that performs it.
    pub target_client_id: ClientId,
    /// When the policy was asked, in Unix milliseconds.
    pub requested_at: WallMs,
    /// When it said yes, in Unix milliseconds.
    pub admitted_at: WallMs,
    /// The target's circuit at that moment.
    pub circuit_state: CircuitState,
    /// Waited for a slot.
    #[serde(skip_serializing_if = "is_zero")]
    pub queue_delay_ms: i64,
    /// Waited for the back-off to end.
    #[serde(skip_serializing_if = "is_zero")]
    pub backoff_delay_ms: i64,
    /// Waited for room in the platform's window.
    #[serde(skip_serializing_if = "is_zero")]
    pub rate_limit_delay_ms: i64,
    /// Waited at random.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter_delay_ms: i64,
}

fn is_zero(delay_ms: &i64) -> bool {
    *delay_ms == 0
}

/// Whether a target lets requests through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// It does.
    #[default]
    Closed,
    /// One at a time, to find out.
    HalfOpen,
    /// It does not.
    Open,
}

/// Where a request waited in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStage {
    /// For a slot of its target.
    TargetSlot,
    /// For its platform's pacing.
    PlatformAdmission,
}

/// What delays a request or refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRule {
    /// Every slot of the target is taken, or others wait for one.
    Slot,
    /// As many as may wait for a slot do.
    QueueFull,
    /// The circuit is half open and its probe is out.
    CircuitProbe,
    /// The circuit is open.
    CircuitOpen,
    /// The target rests after a failure.
    Backoff,
    /// The platform's window is full, or others of the platform go first.
    RateLimit,
    /// The random pause before a dispatch.
    Jitter,
    /// A request waits no longer than this.
    WaiterTimeout,
    /// The daemon keeps no more targets.
    TooManyTargets,
}

impl PolicyRule {
    /// The rule as it is written.
    pub fn name(self) -> &'static str {
        match self {
            PolicyRule::Slot => "slot",
            PolicyRule::QueueFull => "queue_full",
            PolicyRule::CircuitProbe => "circuit_probe",
            PolicyRule::CircuitOpen => "circuit_open",
            PolicyRule::Backoff => "backoff",
            PolicyRule::RateLimit => "rate_limit",
            PolicyRule::Jitter => "jitter",
            PolicyRule::WaiterTimeout => "waiter_timeout",
            PolicyRule::TooManyTargets => "too_many_targets",
        }
    }
}

/// One rule that stands between a request and its dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitReason {
    /// Which.
    pub rule: PolicyRule,
    /// When it ends, in Unix milliseconds, as far as that can be foretold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<WallMs>,
    /// The same in milliseconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The place in the line, from 1; only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
}

impl WaitReason {
    /// A rule of which nothing more can be said.
    pub(super) fn of(rule: PolicyRule) -> Self {
        WaitReason { rule, until: None, delay_ms: None, position: None }
    }

    /// A rule that ends `delay_ms` from now.
    pub(super) fn lasting(rule: PolicyRule, delay_ms: u64, now: WallMs) -> Self {
        let until = now.saturating_add(WallMs::try_from(delay_ms).unwrap_or(WallMs::MAX));
        WaitReason { until: Some(until), delay_ms: Some(delay_ms), ..WaitReason::of(rule) }
    }

    /// With its place in the line, from 1.
    pub(super) fn at(self, position: usize) -> Self {
        WaitReason { position: Some(position), ..self }
    }
}

/// Why a request may not go out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// Too many wait already.
    #[error("{waiting} requests already wait for this client and platform")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// The platform failed too often and is left alone for a while.
    #[error("the circuit is open for another {retry_after_ms} ms, {cause}")]
    CircuitOpen {
        /// Milliseconds until a request may find out.
        retry_after_ms: u64,
        /// The same, in Unix milliseconds.
        until: WallMs,
        /// After what.
        cause: FailureStreak,
    },
    /// The target rests for longer than a request may wait.
    #[error("the back-off lasts another {retry_after_ms} ms, longer than a request may wait, {cause}")]
    Backoff {
        /// Milliseconds until its end.
        retry_after_ms: u64,
        /// The same, in Unix milliseconds.
        until: WallMs,
        /// After what.
        cause: FailureStreak,
    },
    /// Its turn did not come in time.
    #[error("the request's turn did not come within {wait_timeout_ms} ms; it last waited for {}", words(*rule))]
    WaiterTimeout {
        /// Where it waited.
        stage: WaitStage,
        /// For what.
        rule: PolicyRule,
        /// How long it may wait.
        wait_timeout_ms: u64,
    },
    /// More targets than the daemon keeps.
    #[error("the daemon already keeps {max} targets")]
    TooManyTargets {
        /// How many it keeps.
        max: usize,
    },
}

/// A row of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureStreak {
    /// How many in a row.
    pub count: u32,
    /// What failed last.
    pub last_error: Option<String>,
}

impl std::fmt::Display for FailureStreak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "after {} failure{plural}", self.count)?;
        self.last_error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

/// What is waited for, as a part of a sentence.
fn words(rule: PolicyRule) -> &'static str {
    match rule {
        PolicyRule::Slot | PolicyRule::QueueFull | PolicyRule::WaiterTimeout | PolicyRule::TooManyTargets => "a slot",
        PolicyRule::CircuitProbe | PolicyRule::CircuitOpen => "the circuit's probe",
        PolicyRule::Backoff => "the end of the back-off",
        PolicyRule::RateLimit => "room in the platform's window",
        PolicyRule::Jitter => "its random pause",
    }
}

impl PolicyRefusal {
    /// The specific error code.
    pub fn code(&self) -> &'static str {
        match self {
            PolicyRefusal::QueueFull { .. } | PolicyRefusal::TooManyTargets { .. } => "queue_full",
            PolicyRefusal::CircuitOpen { .. } => "circuit_open",
            PolicyRefusal::Backoff { .. } => "backoff",
            PolicyRefusal::WaiterTimeout { .. } => "waiter_timeout",
        }
    }

    /// The rule that said no.
    pub fn rule(&self) -> PolicyRule {
        match self {
            PolicyRefusal::QueueFull { .. } => PolicyRule::QueueFull,
            PolicyRefusal::TooManyTargets { .. } => PolicyRule::TooManyTargets,
            PolicyRefusal::CircuitOpen { .. } => PolicyRule::CircuitOpen,
            PolicyRefusal::Backoff { .. } => PolicyRule::Backoff,
            PolicyRefusal::WaiterTimeout { rule, .. } => *rule,
        }
    }

    /// When it is worth trying again, in milliseconds from now.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            PolicyRefusal::CircuitOpen { retry_after_ms, .. } | PolicyRefusal::Backoff { retry_after_ms, .. } => {
                Some(*retry_after_ms)
            }
            _ => None,
        }
    }

    /// The same, in Unix milliseconds.
    pub fn until(&self) -> Option<WallMs> {
        match self {
            PolicyRefusal::CircuitOpen { until, .. } | PolicyRefusal::Backoff { until, .. } => Some(*until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_of_zero_is_not_shown() {
        let mut admission = Admission {
            request_id: RequestId::trusted("r"),
            platform: PlatformName::trusted("claude"),
            target_client_id: ClientId::trusted("c"),
            requested_at: 1,
            admitted_at: 1,
            circuit_state: CircuitState::Closed,
            queue_delay_ms: 0,
            backoff_delay_ms: 0,
            rate_limit_delay_ms: 0,
            jitter_delay_ms: 0,
        };
        assert!(!serde_json::to_string(&admission).unwrap().contains("delay"));
        admission.queue_delay_ms = 5;
        assert!(serde_json::to_string(&admission).unwrap().contains("\"queue_delay_ms\":5"));
    }
}
