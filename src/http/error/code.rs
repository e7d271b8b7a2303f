//! The one table from error code to status.

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
    pub(in crate::http) fn name_for(self, platform: &str) -> Cow<'static, str> {
        match self {
            Code::TemplateUnavailable => Cow::Owned(format!("{platform}_{}", self.name())),
            _ => Cow::Borrowed(self.name()),
        }
    }
}
