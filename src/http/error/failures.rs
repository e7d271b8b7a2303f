//! Maps the failures of the domain to errors of the API.

use super::{ApiError, Code};
use crate::{
    bridge::{ActionFailure, DisconnectReason, NoClient},
    ids::PlatformName,
    platforms::plan::PlanError,
    policy::PolicyRefusal,
    relay::{CancelError, RelayRefusal, RequestError, RequestFailure},
    wire::{ActionKind, RawJson},
};
use serde_json::Value;

/// Returns the code and status of a failed request, as a buffered answer has them; a stream's last frame repeats them.
pub(in crate::http) fn of_cause(cause: &RequestError) -> (Code, u16) {
    let code = match cause {
        RequestError::NoClient(NoClient::NotConnected) => Code::BrowserClientNotFound,
        RequestError::NoClient(NoClient::Unpaired) => Code::PairingRequired,
        RequestError::NoClient(NoClient::NoneConnected) | RequestError::Gone(_) => Code::BrowserBridgeUnavailable,
        // The only refusal that the caller can resolve, by waiting.
        RequestError::Refused(PolicyRefusal::CircuitOpen { .. }) => return (Code::BrowserRiskLimited, 429),
        RequestError::Refused(_) => Code::BrowserRiskLimited,
        RequestError::NoCredentials => Code::ClaudeCredentialsUnavailable,
        RequestError::CredentialPath => Code::InvalidRequest,
        RequestError::NoTemplate(_) => Code::TemplateUnavailable,
        RequestError::Plan(PlanError::InvalidResponse(_)) => Code::BrowserUpstreamInvalidResponse,
        RequestError::Plan(_) => Code::NotFound,
        RequestError::Swept | RequestError::Timeout | RequestError::OpenTimeout | RequestError::IdleTimeout => {
            Code::BrowserRequestTimeout
        }
        RequestError::Cancelled | RequestError::CallerGone | RequestError::Overflow => Code::BrowserRequestCancelled,
        RequestError::Revoked => Code::Unauthorized,
        RequestError::Upstream(upstream) => {
            let status = upstream.status.filter(|status| (400..600).contains(status)).unwrap_or(502);
            return (Code::BrowserUpstreamError, status);
        }
        RequestError::TooLarge { .. } => Code::BrowserResponseTooLarge,
        RequestError::Garbled(_) => Code::BrowserBridgeError,
        RequestError::Internal => Code::InternalError,
    };
    (code, code.entry().1)
}

/// Advice for a client without a login.
const LOG_IN: &str = "Log in to the app in that Firefox. POST /v1/browser/actions {\"action\":\"tab_open\",\"platform\":\"claude\"} opens its tab.";
/// Advice for an extension without a prompt template.
const SEND_ONCE: &str =
    "Send one message by hand in the app's tab in that Firefox. The extension learns the request from it.";

/// Returns advice for a person.
pub(in crate::http) fn suggested_action(cause: &RequestError) -> Option<&'static str> {
    match cause {
        RequestError::NoCredentials => Some(LOG_IN),
        RequestError::NoTemplate(_) => Some(SEND_ONCE),
        _ => None,
    }
}

/// Returns the error of a failed browser request.
pub(in crate::http) fn of_failure(failure: &RequestFailure, request_id: &str, platform: &str) -> ApiError {
    let (code, status) = of_cause(&failure.cause);
    let mut error = ApiError::new(code, failure.cause.message())
        .about(platform)
        .status(status)
        .with("action", "request")
        .with("error_code", failure.cause.code())
        .with("platform", platform)
        .with("bridge_request_id", request_id)
        .with_some("bridge_client_id", failure.client_id.as_ref())
        .with_some("bridge_connection_id", failure.connection_id.as_ref());
    match &failure.cause {
        RequestError::Upstream(upstream) => {
            let body = Some(&upstream.body).filter(|body| !body.is_empty());
            error = error
                .with_some("upstream_status", upstream.status)
                .with_some("upstream_error", upstream.error.as_ref())
                .with_some("upstream_body", body.map(shown));
            if let Some(wait) = upstream.retry_after_ms {
                error = error.retry_after(wait.div_ceil(1_000));
            }
        }
        RequestError::NoCredentials | RequestError::NoTemplate(_) => {
            error = error.with_some("suggested_action", suggested_action(&failure.cause));
        }
        RequestError::CredentialPath => error = error.with("field", "path"),
        RequestError::Plan(plan) => error = error.with_some("resource", plan.resource()),
        RequestError::Refused(refusal) => {
            error = refused(error.with_some("client_id", failure.client_id.as_ref()), refusal)
        }
        _ => {}
    }
    error
}

/// Adds the rule that refused, and until when.
fn refused(error: ApiError, refusal: &PolicyRefusal) -> ApiError {
    let mut error = error
        .with("rule", refusal.rule())
        .with_some("until", refusal.until())
        .with_some("retry_after_ms", refusal.retry_after_ms());
    if let Some(wait) = refusal.retry_after_ms() {
        error = error.retry_after(wait.div_ceil(1_000));
    }
    match refusal {
        PolicyRefusal::WaiterTimeout { stage, wait_timeout_ms, .. } => {
            error.with("stage", stage).with("wait_timeout_ms", wait_timeout_ms)
        }
        PolicyRefusal::QueueFull { waiting } => error.with("waiting", waiting),
        PolicyRefusal::CircuitOpen { cause, .. } | PolicyRefusal::Backoff { cause, .. } => {
            error.with("consecutive_failures", cause.count).with_some("last_error", cause.last_error.as_ref())
        }
        PolicyRefusal::TooManyTargets { .. } => error,
    }
}

/// Returns JSON as a value, or as its text if a value cannot hold it: numbers too large, half a surrogate pair.
fn shown(body: &RawJson) -> Value {
    serde_json::from_str(body.text()).unwrap_or_else(|_| Value::from(body.text()))
}

/// Returns the error of a request that was not accepted.
pub(in crate::http) fn of_refused(refused: RelayRefusal, request_id: &str) -> ApiError {
    let about = |code, message: &str| {
        ApiError::new(code, message).with("action", "request").with("bridge_request_id", request_id)
    };
    match refused {
        RelayRefusal::Conflict => {
            about(Code::BrowserRequestConflict, "A request with this id is already queued or in flight.")
                .with("error_code", "request_conflict")
        }
        RelayRefusal::Overloaded => {
            ApiError::new(Code::Overloaded, "Too many browser requests are in progress.").retry_after(1)
        }
        RelayRefusal::Draining => {
            about(Code::SystemDraining, "The system is draining and accepts no new browser requests.")
        }
        RelayRefusal::Stopping => about(Code::BrowserBridgeUnavailable, "The service is stopping.")
            .with("error_code", DisconnectReason::Stopped.code().name()),
    }
}

/// Returns the error of a cancellation without effect.
pub(in crate::http) fn of_cancel(refused: &CancelError, request_id: &str, platform: &str) -> ApiError {
    let (code, error_code, message) = match refused {
        CancelError::NotFound => (
            Code::BrowserRequestNotFound,
            "request_not_found",
            "No request with this id is queued or in flight for this platform.",
        ),
        CancelError::Mismatch { .. } => {
            (Code::BrowserRequestClientMismatch, "request_client_mismatch", "Another client performs this request.")
        }
    };
    let error = ApiError::new(code, message)
        .with("action", "cancel")
        .with("error_code", error_code)
        .with("platform", platform)
        .with("bridge_request_id", request_id);
    match refused {
        CancelError::Mismatch { executing: Some(client) } => error.with("bridge_client_id", client),
        _ => error,
    }
}

/// Returns the error of an action without a result.
pub(in crate::http) fn of_action(
    failure: &ActionFailure,
    kind: ActionKind,
    platform: Option<&PlatformName>,
) -> ApiError {
    let (code, error_code) = match failure {
        ActionFailure::NoClient(NoClient::NotConnected) => (Code::BrowserClientNotFound, "client_not_found"),
        ActionFailure::NoClient(NoClient::Unpaired) => (Code::PairingRequired, "pairing_required"),
        ActionFailure::NoClient(NoClient::NoneConnected) => (Code::BrowserBridgeUnavailable, "no_active_client"),
        ActionFailure::Disconnected { reason, .. } => (Code::BrowserBridgeUnavailable, reason.code().name()),
        ActionFailure::Unreadable { .. } => (Code::BrowserBridgeError, "invalid_message"),
        ActionFailure::Timeout { .. } => (Code::BrowserActionTimeout, "action_timeout"),
    };
    let mut message = failure.to_string();
    message[..1].make_ascii_uppercase();
    message.push('.');
    let error = ApiError::new(code, message)
        .with("action", kind.name())
        .with("error_code", error_code)
        .with_some("platform", platform);
    match failure {
        ActionFailure::NoClient(_) => error,
        ActionFailure::Disconnected { dispatch, .. }
        | ActionFailure::Unreadable { dispatch, .. }
        | ActionFailure::Timeout { dispatch, .. } => error
            .with("bridge_client_id", &dispatch.client_id)
            .with("bridge_connection_id", &dispatch.connection_id)
            .with("bridge_request_id", &dispatch.request_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::UpstreamError;

    #[test]
    fn an_upstream_status_is_kept_when_it_is_an_error_and_502_otherwise() {
        for (status, shown) in [(Some(404), 404), (Some(599), 599), (Some(600), 502), (Some(200), 502), (None, 502)] {
            let cause = RequestError::Upstream(Box::new(UpstreamError { status, ..UpstreamError::default() }));
            assert_eq!(of_cause(&cause), (Code::BrowserUpstreamError, shown), "{status:?}");
        }
    }

    #[test]
    fn a_cancelled_request_is_499_whoever_ended_it() {
        for cause in [RequestError::Cancelled, RequestError::Overflow, RequestError::CallerGone] {
            assert_eq!(of_cause(&cause).1, 499, "{cause:?}");
        }
    }
}
