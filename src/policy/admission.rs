//! Decisions of the policy, in the form in which callers see them.

use crate::{api::request_error_code::RequestErrorCode, clock::WallMs};
use serde::Serialize;

pub use crate::api::policy::{Admission, CircuitState, PolicyRule, WaitReason};

/// Stage at which a request was still waiting when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStage {
    /// Waiting for a slot of the target.
    TargetSlot,
    /// Waiting for the platform's pacing.
    PlatformAdmission,
}

impl PolicyRule {
    /// Returns the name of the rule in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl WaitReason {
    /// Creates a reason without a known end.
    pub(super) fn of(rule: PolicyRule) -> Self {
        WaitReason { rule, until: None, delay_ms: None, position: None }
    }

    /// Creates a reason that ends `delay_ms` milliseconds from now.
    pub(super) fn lasting(rule: PolicyRule, delay_ms: u64, now: WallMs) -> Self {
        let until = now.saturating_add(WallMs::try_from(delay_ms).unwrap_or(WallMs::MAX));
        WaitReason { until: Some(until), delay_ms: Some(delay_ms), ..WaitReason::of(rule) }
    }

    /// Adds the position in the queue, counted from 1.
    pub(super) fn at(self, position: usize) -> Self {
        WaitReason { position: Some(position), ..self }
    }
}

/// Refusal of a request by the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The target's queue is full.
    #[error("{waiting} requests already wait for this client and platform")]
    QueueFull {
        /// Number of requests in the queue.
        waiting: usize,
    },
    /// The circuit is open after too many failures.
    #[error("the circuit is open for another {retry_after_ms} ms, {cause}")]
    CircuitOpen {
        /// Milliseconds until a probe may pass.
        retry_after_ms: u64,
        /// The same time in Unix milliseconds.
        until: WallMs,
        /// The failures that opened the circuit.
        cause: FailureStreak,
    },
    /// The back-off lasts longer than the request may wait.
    #[error("the back-off lasts another {retry_after_ms} ms, longer than a request may wait, {cause}")]
    Backoff {
        /// Milliseconds until the back-off ends.
        retry_after_ms: u64,
        /// The same time in Unix milliseconds.
        until: WallMs,
        /// The failures that caused the back-off.
        cause: FailureStreak,
    },
    /// The request was not admitted within the waiting time.
    #[error("the request's turn did not come within {wait_timeout_ms} ms; it last waited for {}", words(*rule))]
    WaiterTimeout {
        /// Stage at which it was waiting.
        stage: WaitStage,
        /// Rule that it was waiting for.
        rule: PolicyRule,
        /// The waiting time, in milliseconds.
        wait_timeout_ms: u64,
    },
    /// The daemon keeps as many targets as it may.
    #[error("the daemon already keeps {max} targets")]
    TooManyTargets {
        /// The highest number of targets.
        max: usize,
    },
}

/// Consecutive failures of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureStreak {
    /// Number of failures since the last success.
    pub count: u32,
    /// Error code of the last failure.
    pub last_error: Option<String>,
}

impl std::fmt::Display for FailureStreak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "after {} failure{plural}", self.count)?;
        self.last_error.as_ref().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

/// Returns what is waited for, as a part of a sentence.
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
    /// Returns the specific error code.
    pub fn code(&self) -> RequestErrorCode {
        match self {
            PolicyRefusal::QueueFull { .. } | PolicyRefusal::TooManyTargets { .. } => RequestErrorCode::QueueFull,
            PolicyRefusal::CircuitOpen { .. } => RequestErrorCode::CircuitOpen,
            PolicyRefusal::Backoff { .. } => RequestErrorCode::Backoff,
            PolicyRefusal::WaiterTimeout { .. } => RequestErrorCode::WaiterTimeout,
        }
    }

    /// Returns the rule that refused the request.
    pub fn rule(&self) -> PolicyRule {
        match self {
            PolicyRefusal::QueueFull { .. } => PolicyRule::QueueFull,
            PolicyRefusal::TooManyTargets { .. } => PolicyRule::TooManyTargets,
            PolicyRefusal::CircuitOpen { .. } => PolicyRule::CircuitOpen,
            PolicyRefusal::Backoff { .. } => PolicyRule::Backoff,
            PolicyRefusal::WaiterTimeout { rule, .. } => *rule,
        }
    }

    /// Returns the milliseconds until another attempt makes sense.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            PolicyRefusal::CircuitOpen { retry_after_ms, .. } | PolicyRefusal::Backoff { retry_after_ms, .. } => {
                Some(*retry_after_ms)
            }
            _ => None,
        }
    }

    /// Returns the same time in Unix milliseconds.
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
    use crate::ids::{ClientId, PlatformName, RequestId};

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
