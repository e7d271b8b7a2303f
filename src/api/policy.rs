//! The request policy: its state, and what a request made now would meet.

use super::fields::request_fields;
use crate::{
    clock::WallMs,
    ids::{ClientId, PlatformName, RequestId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

pub use crate::policy::settings::PolicyLimits;

request_fields! {
    /// Parameters of an explanation.
    ExplainParameters {
        required {
            /// Platform of the request.
            platform: String,
        }
        optional {
            /// Client that would perform it; otherwise one is selected as for a request.
            client_id | "clientId": String,
        }
    }
}

/// What a request made now would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"client_id":"firefox-1","platform":"claude","would":"admit","reasons":[]}"#))]
pub struct ExplainedRequest {
    /// Client that would perform it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Predicted outcome.
    pub would: PredictedOutcome,
    /// The rules that apply, in the order in which they are checked; a refusal comes last.
    #[serde(default)]
    pub reasons: Vec<ExplainedReason>,
}

/// A rule that applies, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedReason {
    /// A rule of the policy, or the error code of what refuses a request before the policy is asked.
    pub rule: Cow<'static, str>,
    /// Expected end, in Unix milliseconds, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<WallMs>,
    /// Expected remaining time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Position in the queue, counted from 1, where there is a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// A sentence for people.
    #[serde(default)]
    pub message: String,
}

request_fields! {
    /// Which targets are reset; without any, all of them.
    #[derive(Default)]
    PolicyResetRequest {
        required {}
        optional {
            /// Only targets of this platform.
            platform: String,
            /// Only targets of this client.
            client_id: String,
        }
    }
}

/// Targets that were reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"reset":[]}"#))]
pub struct PolicyResetResult {
    /// State of each target before the reset.
    #[serde(default)]
    pub reset: Vec<ResetTarget>,
}

/// State of a target before its reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResetTarget {
    /// Client of the target.
    pub client_id: ClientId,
    /// Platform of the target.
    pub platform: PlatformName,
    /// State of the circuit.
    pub circuit_state: CircuitState,
    /// Failures since the last success.
    #[serde(default)]
    pub consecutive_failures: u32,
    /// End of the back-off, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_until: Option<WallMs>,
    /// When an open circuit admits a probe, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_retry_at: Option<WallMs>,
}

/// The `policy` part of the browser state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyState {
    /// Limits of a platform that has none of its own.
    pub defaults: PolicyLimits,
    /// Each registered platform.
    pub platforms: Vec<PlatformPolicy>,
    /// Each target that has had a request.
    pub targets: Vec<TargetView>,
}

/// Pacing of a platform, and the limits in force for it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlatformPolicy {
    /// Pacing of the platform.
    #[serde(flatten)]
    pub pacing: PlatformPacingView,
    /// Limits in force.
    pub limits: PolicyLimits,
}

/// An admitted request and the delays it went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Admission {
    /// Id of the request.
    pub request_id: RequestId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Client that performs the request.
    pub target_client_id: ClientId,
    /// Time of the application for a lease, in Unix milliseconds.
    pub requested_at: WallMs,
    /// Time of admission, in Unix milliseconds.
    pub admitted_at: WallMs,
    /// State of the target's circuit at admission.
    pub circuit_state: CircuitState,
    /// Milliseconds spent waiting for a slot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queue_delay_ms: i64,
    /// Milliseconds spent waiting for the back-off to end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backoff_delay_ms: i64,
    /// Milliseconds spent waiting for room in the platform's window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rate_limit_delay_ms: i64,
    /// Milliseconds of random pause.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_delay_ms: i64,
}

/// State of a target's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Requests pass.
    #[default]
    Closed,
    /// One request passes at a time, as a probe.
    HalfOpen,
    /// Requests are refused.
    Open,
}

/// A rule that delays or refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PolicyRule {
    /// Every slot of the target is taken, or earlier requests wait for one.
    Slot,
    /// The target's queue is full.
    QueueFull,
    /// The circuit is half open and its probe has not ended yet.
    CircuitProbe,
    /// The circuit is open.
    CircuitOpen,
    /// The target backs off after a failure.
    Backoff,
    /// The platform's window is full, or earlier requests of the platform go first.
    RateLimit,
    /// The random pause before a dispatch.
    Jitter,
    /// The longest time that a request may wait.
    WaiterTimeout,
    /// The daemon keeps as many targets as it may.
    TooManyTargets,
}

/// One rule that a request still has to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitReason {
    /// The rule.
    pub rule: PolicyRule,
    /// Expected end, in Unix milliseconds, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<WallMs>,
    /// Expected remaining time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Position in the queue, counted from 1, where there is a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
}

/// Predicted outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictedOutcome {
    /// It would be dispatched at once.
    Admit,
    /// It would wait.
    Wait,
    /// It would be refused.
    Refuse,
}

/// Pacing state of one platform, as shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlatformPacingView {
    /// Name of the platform.
    pub platform: PlatformName,
    /// Time of the last dispatch, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_dispatched_at: Option<WallMs>,
    /// Dispatches within the pacing window.
    pub recent_dispatch_count: usize,
    /// Requests waiting for their turn.
    pub waiting: usize,
    /// When the window has room again, in Unix milliseconds; absent while it has room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_slot_at: Option<WallMs>,
}

/// Totals over all targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySummary {
    /// Number of targets.
    pub targets: usize,
    /// Requests waiting for a slot, a back-off or pacing.
    pub waiting: usize,
    /// Requests that are dispatched and not finished.
    pub in_flight: usize,
    /// Targets whose circuit is open.
    pub open_circuits: usize,
}

/// State of one target, as shown to the operator. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    pub(crate) held_back: usize,
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
    pub last_activity_reason: Option<Cow<'static, str>>,
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

fn is_zero(delay_ms: &i64) -> bool {
    *delay_ms == 0
}
