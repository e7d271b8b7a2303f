//! `/v1/browser/policy`: what a request made now would meet, and forgetting what the policy holds against targets.

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
    // Of one that is named the policy may know more, connected or not.
    let client = chosen.ok().map(|link| link.client_id).or(named);
    let explanation = match &client {
        Some(client) => Some(call.core.policy.explain(client, platform).await),
        None => None,
    };
    Ok(call.success(&explanation_view(client.as_ref(), platform, explanation.as_ref(), outside_reason)))
}

/// What refuses a request whatever the policy says. That it is not taken over at all comes first, as for a request.
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

/// A rule as it stands, in one sentence.
fn reason_message(reason: &WaitReason) -> String {
    let what = match reason.rule {
        PolicyRule::Slot => "Every slot of this client and platform is taken, or others wait for one",
        PolicyRule::QueueFull => "As many requests as may wait for this client and platform already do",
        PolicyRule::CircuitProbe => "The circuit is half open and its one probe is out",
        PolicyRule::CircuitOpen => "The circuit is open: the platform failed too often and is left alone",
        PolicyRule::Backoff => "This client and platform rest after a failure",
        PolicyRule::RateLimit => "The platform's window is full, or others of the platform go first",
        PolicyRule::Jitter => "A random pause comes before the dispatch",
        PolicyRule::WaiterTimeout => "No request waits that long: its turn would come too late",
        PolicyRule::TooManyTargets => "The daemon keeps no more clients and platforms",
    };
    let mut reason_message = what.to_owned();
    if let Some(delay_ms) = reason.delay_ms {
        // Of a pause that is not drawn yet only the mean is known.
        reason_message.push_str(&match reason.rule {
            PolicyRule::WaiterTimeout => format!(" (at most {delay_ms} ms)"),
            PolicyRule::Jitter if reason.until.is_none() => format!(", for about {delay_ms} ms"),
            _ => format!(", for another {delay_ms} ms"),
        });
    }
    if let Some(position) = reason.position.filter(|_| reason.rule != PolicyRule::QueueFull) {
        reason_message.push_str(&format!("; place {position} in the line"));
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
