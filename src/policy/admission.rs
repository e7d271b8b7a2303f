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
pub enum Stage {
    /// For a slot of its target.
    TargetSlot,
    /// For its platform's pacing.
    PlatformAdmission,
}

/// Why a request may not go out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already.
    #[error("{waiting} requests already wait for this client and platform")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// Its turn did not come in time.
    #[error("the request's turn did not come within {wait_timeout_ms} ms")]
    WaiterTimeout {
        /// Where it waited.
        stage: Stage,
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

impl Refusal {
    /// The specific error code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::QueueFull { .. } | Refusal::TooManyTargets { .. } => "queue_full",
            Refusal::WaiterTimeout { .. } => "waiter_timeout",
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
