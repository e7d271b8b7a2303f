//! `/v1/browser/policy`: predicts the outcome of a request, and resets policy targets.

use super::{
    endpoint::ApiCall,
    error::{self, ApiError},
    fields,
    reply::ApiReply,
};
use crate::{
    api::policy::{
        ExplainParameters, ExplainedReason, ExplainedRequest, PolicyResetResult, PolicyRule, PredictedOutcome,
        ResetTarget, TargetView, WaitReason,
    },
    bridge::NoClient,
    ids::{ClientId, PlatformName},
    policy::PolicyExplanation,
    relay::{RelayRefusal, RequestError},
    wire::FieldError,
};
use std::borrow::Cow;

/// `GET /v1/browser/policy/explain`. Nothing is sent, and nothing waits.
pub(super) async fn explain(call: ApiCall) -> Result<ApiReply, ApiError> {
    let platform =
        call.query(ExplainParameters::platform()).ok_or_else(|| FieldError::new("platform", "is required"))?;
    let platform = &fields::registered(&platform, &call.core.registry)?.name;
    let named = call.query(ExplainParameters::client_id()).map(|id| fields::client(&id)).transpose()?;
    let chosen = call.core.bridge.select(platform, named.as_ref());
    let outside_reason = outside_reason(call.core.relay.refusal(), chosen.as_ref().err().copied());
    // The policy may know a named client even if it is not connected.
    let client = chosen.ok().map(|link| link.client_id).or(named);
    let explanation = match &client {
        Some(client) => Some(call.core.policy.explain(client, platform).await),
        None => None,
    };
    Ok(call.success(&explanation_view(client.as_ref(), platform, explanation.as_ref(), outside_reason)))
}

/// Returns what refuses a request before the policy does, in the order in which a request meets it.
fn outside_reason(refused: Option<RelayRefusal>, no_client: Option<NoClient>) -> Option<ExplainedReason> {
    let (rule, message) = match (refused, no_client) {
        (Some(refused), _) => {
            let error = error::of_refused(refused, "");
            (Cow::Borrowed(error.code().name()), error.message().to_owned())
        }
        (None, Some(no_client)) => {
            let cause = RequestError::NoClient(no_client);
            (cause.code(), cause.message())
        }
        (None, None) => return None,
    };
    Some(ExplainedReason { rule, until: None, delay_ms: None, position: None, message })
}

fn explanation_view(
    client_id: Option<&ClientId>,
    platform: &PlatformName,
    explanation: Option<&PolicyExplanation>,
    outside_reason: Option<ExplainedReason>,
) -> ExplainedRequest {
    let policy = explanation.map_or(PredictedOutcome::Admit, |explanation| explanation.would);
    let would = if outside_reason.is_some() { PredictedOutcome::Refuse } else { policy };
    let reasons = explanation.into_iter().flat_map(|explanation| &explanation.reasons);
    let policy_reasons = reasons.map(|reason| ExplainedReason {
        rule: reason.rule.name().into(),
        until: reason.until,
        delay_ms: reason.delay_ms,
        position: reason.position,
        message: reason_message(reason),
    });
    ExplainedRequest {
        client_id: client_id.cloned(),
        platform: platform.clone(),
        would,
        reasons: policy_reasons.chain(outside_reason).collect(),
    }
}

/// Returns the text of a reason, one sentence.
fn reason_message(reason: &WaitReason) -> String {
    let what = match reason.rule {
        PolicyRule::Slot => "All slots of this client and platform are in use, or earlier requests wait for one",
        PolicyRule::QueueFull => "The queue of this client and platform is full",
        PolicyRule::CircuitProbe => "The circuit is half open and its probe is in progress",
        PolicyRule::CircuitOpen => "The circuit is open after too many failures of the platform",
        PolicyRule::Backoff => "This client and platform are in back-off after a failure",
        PolicyRule::RateLimit => "The platform's rate limit is reached, or earlier requests of the platform go first",
        PolicyRule::Jitter => "A random pause comes before the dispatch",
        PolicyRule::WaiterTimeout => "The request would wait longer than the limit",
        PolicyRule::TooManyTargets => "The daemon tracks no further pairs of client and platform",
    };
    let mut reason_message = what.to_owned();
    if let Some(delay_ms) = reason.delay_ms {
        // Before the random pause is drawn, only its mean is known.
        reason_message.push_str(&match reason.rule {
            PolicyRule::WaiterTimeout => format!(" (at most {delay_ms} ms)"),
            PolicyRule::Jitter if reason.until.is_none() => format!(", for about {delay_ms} ms"),
            _ => format!(", for another {delay_ms} ms"),
        });
    }
    if let Some(position) = reason.position.filter(|_| reason.rule != PolicyRule::QueueFull) {
        reason_message.push_str(&format!("; position {position} in the queue"));
    }
    reason_message + "."
}

/// The state of a target before its reset.
fn before(target: &TargetView) -> ResetTarget {
    ResetTarget {
        client_id: target.client_id.clone(),
        platform: target.platform.clone(),
        circuit_state: target.circuit_state,
        consecutive_failures: target.consecutive_failures,
        backoff_until: target.backoff_until,
        circuit_retry_at: target.circuit_retry_at,
    }
}

/// `POST /v1/browser/policy/reset`.
pub(super) async fn reset(call: ApiCall) -> Result<ApiReply, ApiError> {
    let (client, platform) = fields::reset(&call.body, &call.core.registry)?;
    let targets = call.core.policy.reset(client.as_ref(), platform.as_ref()).await;
    Ok(call.success(&PolicyResetResult { reset: targets.iter().map(before).collect() }))
}

#[cfg(test)]
mod tests;
