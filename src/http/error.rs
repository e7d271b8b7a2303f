//! Failures as callers see them: the one table from error code to status, and what each failure of the domain becomes.

use crate::{
    bridge::{ActionFailure, Gone, NoClient},
    ids::PlatformName,
    platforms::plan::PlanError,
    policy::Refusal,
    relay::{CancelRefused, Cause, Failure, Refused},
    store::StoreError,
    wire::{ActionKind, BadField, Raw},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A stable error code of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described in the contract's table")]
pub enum Code {
    InvalidRequest,
    Unauthorized,
    AuthThrottled,
    Overloaded,
    HostNotAllowed,
    OriginNotAllowed,
    PairingRequired,
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    BodyTimeout,
    UnsupportedMediaType,
    BrowserBridgeUnavailable,
    BrowserClientNotFound,
    BrowserRequestConflict,
    BrowserRequestNotFound,
    BrowserRequestClientMismatch,
    BrowserRequestCancelled,
    BrowserRequestTimeout,
    BrowserActionTimeout,
    BrowserUpstreamError,
    BrowserUpstreamInvalidResponse,
    BrowserResponseTooLarge,
    BrowserBridgeError,
    BrowserRiskLimited,
    SystemDraining,
    PlatformNotSupported,
    ClaudeCredentialsUnavailable,
    TemplateUnavailable,
    CodexdNotConfigured,
    CodexdUnavailable,
    OutsideRoots,
    SandboxUnavailable,
    RootRefused,
    ApprovalStale,
    InstructionRejected,
    StoreUnavailable,
    NotReady,
    InternalError,
}

impl Code {
    /// The code as it is written, and its status.
    pub fn entry(self) -> (&'static str, u16) {
        match self {
            Code::InvalidRequest => ("invalid_request", 400),
            Code::Unauthorized => ("unauthorized", 401),
            Code::AuthThrottled => ("auth_throttled", 429),
            Code::Overloaded => ("overloaded", 503),
            Code::HostNotAllowed => ("host_not_allowed", 403),
            Code::OriginNotAllowed => ("origin_not_allowed", 403),
            Code::PairingRequired => ("pairing_required", 403),
            Code::NotFound => ("not_found", 404),
            Code::MethodNotAllowed => ("method_not_allowed", 405),
            Code::PayloadTooLarge => ("payload_too_large", 413),
            Code::BodyTimeout => ("body_timeout", 408),
            Code::UnsupportedMediaType => ("unsupported_media_type", 415),
            Code::BrowserBridgeUnavailable => ("browser_bridge_unavailable", 503),
            Code::BrowserClientNotFound => ("browser_client_not_found", 409),
            Code::BrowserRequestConflict => ("browser_request_conflict", 409),
            Code::BrowserRequestNotFound => ("browser_request_not_found", 404),
            Code::BrowserRequestClientMismatch => ("browser_request_client_mismatch", 409),
            Code::BrowserRequestCancelled => ("browser_request_cancelled", 499),
            Code::BrowserRequestTimeout => ("browser_request_timeout", 504),
            Code::BrowserActionTimeout => ("browser_action_timeout", 504),
            Code::BrowserUpstreamError => ("browser_upstream_error", 502),
            Code::BrowserUpstreamInvalidResponse => ("browser_upstream_invalid_response", 502),
            Code::BrowserResponseTooLarge => ("browser_response_too_large", 502),
            Code::BrowserBridgeError => ("browser_bridge_error", 502),
            Code::BrowserRiskLimited => ("browser_risk_limited", 503),
            Code::SystemDraining => ("system_draining", 503),
            Code::PlatformNotSupported => ("platform_not_supported", 400),
            Code::ClaudeCredentialsUnavailable => ("claude_credentials_unavailable", 409),
            // Written with the platform's name before it, see `name_for`.
            Code::TemplateUnavailable => ("template_unavailable", 409),
            Code::CodexdNotConfigured => ("codexd_not_configured", 503),
            Code::CodexdUnavailable => ("codexd_unavailable", 503),
            Code::OutsideRoots => ("outside_roots", 403),
            Code::SandboxUnavailable => ("sandbox_unavailable", 503),
            Code::RootRefused => ("root_refused", 403),
            Code::ApprovalStale => ("approval_stale", 409),
            Code::InstructionRejected => ("instruction_rejected", 422),
            Code::StoreUnavailable => ("store_unavailable", 503),
            Code::NotReady => ("not_ready", 503),
            Code::InternalError => ("internal_error", 500),
        }
    }

    /// The code as it is written.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// The code as it is written of a request to a platform.
    pub(super) fn name_for(self, platform: &str) -> Cow<'static, str> {
        match self {
            Code::TemplateUnavailable => Cow::Owned(format!("{platform}_{}", self.name())),
            _ => Cow::Borrowed(self.name()),
        }
    }
}

/// A failure on its way to a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    code: Code,
    name: Cow<'static, str>,
    status: u16,
    message: String,
    details: Map<String, Value>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
}

impl ApiError {
    /// A failure with a sentence for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (status, message) = (code.entry().1, message.into());
        let name = Cow::Borrowed(code.name());
        ApiError(Box::new(Parts { code, name, status, message, details: Map::new(), retry_after_s: None, allow: None }))
    }

    /// A field that is missing or wrong.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message).with("field", field)
    }

    /// A resource that is not there.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message).with("resource", resource)
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.details.insert(name.to_owned(), value);
        }
        self
    }

    fn with_some(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Answers with another status than the code's own.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    /// Tells when to ask again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Names the platform in the code, where it has its place there.
    #[must_use]
    pub(super) fn about(mut self, platform: &str) -> Self {
        self.0.name = self.0.code.name_for(platform);
        self
    }

    /// Tells which methods there are.
    #[must_use]
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    /// The code as it is written.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn status_code(&self) -> u16 {
        self.0.status
    }

    pub(super) fn message(&self) -> &str {
        &self.0.message
    }

    pub(super) fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    pub(super) fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    pub(super) fn allowed_methods(&self) -> Option<&'static str> {
        self.0.allow
    }
}

impl From<BadField> for ApiError {
    fn from(fault: BadField) -> Self {
        Self::field(&fault.field, format!("Field \"{}\" {}.", fault.field, fault.reason))
    }
}

impl From<StoreError> for ApiError {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::NotFound => Self::not_found("record", "There is no such record."),
            StoreError::Panicked | StoreError::Database(_) => {
                Self::new(Code::InternalError, "The service failed unexpectedly.")
            }
            _ => Self::new(Code::StoreUnavailable, "The database cannot be read or written."),
        }
    }
}

/// The code and status of a failed request, as a buffered answer has them; a stream's last frame repeats them.
pub(super) fn of_cause(cause: &Cause) -> (Code, u16) {
    let code = match cause {
        Cause::NoClient(NoClient::NotConnected) => Code::BrowserClientNotFound,
        Cause::NoClient(NoClient::Unpaired) => Code::PairingRequired,
        Cause::NoClient(NoClient::NoneConnected) | Cause::Gone(_) => Code::BrowserBridgeUnavailable,
        // The one refusal that is the caller's to mend, by waiting.
        Cause::Refused(Refusal::CircuitOpen { .. }) => return (Code::BrowserRiskLimited, 429),
        Cause::Refused(_) => Code::BrowserRiskLimited,
        Cause::NoCredentials => Code::ClaudeCredentialsUnavailable,
        Cause::NoTemplate(_) => Code::TemplateUnavailable,
        Cause::Plan(PlanError::InvalidResponse(_)) => Code::BrowserUpstreamInvalidResponse,
        Cause::Plan(_) => Code::NotFound,
        Cause::Swept | Cause::Timeout | Cause::OpenTimeout | Cause::IdleTimeout => Code::BrowserRequestTimeout,
        Cause::Cancelled | Cause::CallerGone | Cause::Overflow => Code::BrowserRequestCancelled,
        Cause::Upstream(upstream) => {
            let status = upstream.status.filter(|status| (400..600).contains(status)).unwrap_or(502);
            return (Code::BrowserUpstreamError, status);
        }
        Cause::TooLarge { .. } => Code::BrowserResponseTooLarge,
        Cause::Garbled(_) => Code::BrowserBridgeError,
        Cause::Internal => Code::InternalError,
    };
    (code, code.entry().1)
}

/// What helps a client without a login.
const LOG_IN: &str = "Log in to the app in that Firefox; its tab is opened by POST /v1/browser/actions {\"action\":\"tab_open\",\"platform\":\"claude\"}.";
/// What helps an extension that has not learned how a prompt is sent.
const SEND_ONCE: &str =
    "Send one message by hand in the app's tab in that Firefox; the extension learns from it how that is done.";

/// What a person can do about it.
pub(super) fn suggested_action(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::NoCredentials => Some(LOG_IN),
        Cause::NoTemplate(_) => Some(SEND_ONCE),
        _ => None,
    }
}

/// A browser request that failed.
pub(super) fn of_failure(failure: &Failure, request_id: &str, platform: &str) -> ApiError {
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
        Cause::Upstream(upstream) => {
            let body = Some(&upstream.body).filter(|body| !body.is_empty());
            error = error
                .with_some("upstream_status", upstream.status)
                .with_some("upstream_error", upstream.error.as_ref())
                .with_some("upstream_body", body.map(shown));
            if let Some(wait) = upstream.retry_after_ms {
                error = error.retry_after(wait.div_ceil(1_000));
            }
        }
        Cause::NoCredentials | Cause::NoTemplate(_) => {
            error = error.with_some("suggested_action", suggested_action(&failure.cause));
        }
        Cause::Plan(plan) => error = error.with_some("resource", plan.resource()),
        Cause::Refused(refusal) => error = refused(error.with_some("client_id", failure.client_id.as_ref()), refusal),
        _ => {}
    }
    error
}

/// Which rule of the policy refused, and until when.
fn refused(error: ApiError, refusal: &Refusal) -> ApiError {
    let mut error = error
        .with("rule", refusal.rule())
        .with_some("until", refusal.until())
        .with_some("retry_after_ms", refusal.retry_after_ms());
    if let Some(wait) = refusal.retry_after_ms() {
        error = error.retry_after(wait.div_ceil(1_000));
    }
    match refusal {
        Refusal::WaiterTimeout { stage, wait_timeout_ms, .. } => {
            error.with("stage", stage).with("wait_timeout_ms", wait_timeout_ms)
        }
        Refusal::QueueFull { waiting } => error.with("waiting", waiting),
        Refusal::CircuitOpen { cause, .. } | Refusal::Backoff { cause, .. } => {
            error.with("consecutive_failures", cause.count).with_some("last_error", cause.last_error.as_ref())
        }
        Refusal::TooManyTargets { .. } => error,
    }
}

/// JSON as a value; as its text where a value cannot hold it: numbers too large, half a surrogate pair.
fn shown(body: &Raw) -> Value {
    serde_json::from_str(body.text()).unwrap_or_else(|_| Value::from(body.text()))
}

/// A request that was not taken over.
pub(super) fn of_refused(refused: Refused, request_id: &str) -> ApiError {
    let about = |code, message: &str| {
        ApiError::new(code, message).with("action", "request").with("bridge_request_id", request_id)
    };
    match refused {
        Refused::Conflict => {
            about(Code::BrowserRequestConflict, "A request of this id is already queued or in flight.")
                .with("error_code", "request_conflict")
        }
        Refused::Overloaded => {
            ApiError::new(Code::Overloaded, "As many browser requests as may be are under way.").retry_after(1)
        }
        Refused::Draining => about(Code::SystemDraining, "The system drains and takes no new browser requests."),
        Refused::Stopping => {
            about(Code::BrowserBridgeUnavailable, "The service is stopping.").with("error_code", Gone::Stopped.code())
        }
    }
}

/// A cancel that cancelled nothing.
pub(super) fn of_cancel(refused: &CancelRefused, request_id: &str, platform: &str) -> ApiError {
    let (code, error_code, message) = match refused {
        CancelRefused::NotFound => (
            Code::BrowserRequestNotFound,
            "request_not_found",
            "No request of this id is queued or in flight for this platform.",
        ),
        CancelRefused::Mismatch { .. } => {
            (Code::BrowserRequestClientMismatch, "request_client_mismatch", "Another client performs this request.")
        }
    };
    let error = ApiError::new(code, message)
        .with("action", "cancel")
        .with("error_code", error_code)
        .with("platform", platform)
        .with("bridge_request_id", request_id);
    match refused {
        CancelRefused::Mismatch { executing: Some(client) } => error.with("bridge_client_id", client),
        _ => error,
    }
}

/// An action of which nothing is known.
pub(super) fn of_action(failure: &ActionFailure, kind: ActionKind, platform: Option<&PlatformName>) -> ApiError {
    let (code, error_code) = match failure {
        ActionFailure::NoClient(NoClient::NotConnected) => (Code::BrowserClientNotFound, "client_not_found"),
        ActionFailure::NoClient(NoClient::Unpaired) => (Code::PairingRequired, "pairing_required"),
        ActionFailure::NoClient(NoClient::NoneConnected) => (Code::BrowserBridgeUnavailable, "no_active_client"),
        ActionFailure::Gone { gone, .. } => (Code::BrowserBridgeUnavailable, gone.code()),
        ActionFailure::Garbled { .. } => (Code::BrowserBridgeError, "invalid_message"),
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
        ActionFailure::Gone { asked, .. }
        | ActionFailure::Garbled { asked, .. }
        | ActionFailure::Timeout { asked, .. } => error
            .with("bridge_client_id", &asked.client_id)
            .with("bridge_connection_id", &asked.connection_id)
            .with("bridge_request_id", &asked.request_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Upstream;

    #[test]
    fn an_upstream_status_is_kept_when_it_is_an_error_and_502_otherwise() {
        for (status, shown) in [(Some(404), 404), (Some(599), 599), (Some(600), 502), (Some(200), 502), (None, 502)] {
            let cause = Cause::Upstream(Box::new(Upstream { status, ..Upstream::default() }));
            assert_eq!(of_cause(&cause), (Code::BrowserUpstreamError, shown), "{status:?}");
        }
    }

    #[test]
    fn a_cancelled_request_is_499_whoever_ended_it() {
        for cause in [Cause::Cancelled, Cause::Overflow, Cause::CallerGone] {
            assert_eq!(of_cause(&cause).1, 499, "{cause:?}");
        }
    }

    #[test]
    fn a_bad_field_is_named_in_message_and_details() {
        let error = ApiError::from(BadField::new("platform", "is required"));
        assert_eq!(error.message(), "Field \"platform\" is required.");
        assert_eq!(error.details()["field"], "platform");
    }
}
