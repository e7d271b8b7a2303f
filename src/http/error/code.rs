//! The one table of error codes: name, status and meaning.

use std::borrow::Cow;

macro_rules! codes {
    ($($code:ident $name:literal $status:literal $meaning:literal;)*) => {
        /// A stable error code of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code as it is written, and its status.
            pub fn entry(self) -> (&'static str, u16) {
                match self { $(Code::$code => ($name, $status),)* }
            }

            /// What the code means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$code => $meaning,)* }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" 400 "A field is missing or wrong; details.field names it.";
    Unauthorized "unauthorized" 401 "The token is missing or wrong where one is required.";
    AuthThrottled "auth_throttled" 429 "Too many wrong tokens or codes were shown; retry-after tells when to come back.";
    Overloaded "overloaded" 503 "Too many requests are in progress; retry-after tells when to come back.";
    HostNotAllowed "host_not_allowed" 403 "The Host header does not name this daemon.";
    OriginNotAllowed "origin_not_allowed" 403 "The calling web page is not allowed.";
    PairingRequired "pairing_required" 403 "The Firefox is connected but not paired.";
    NotFound "not_found" 404 "The path or the record does not exist; details.resource names the kind of record.";
    MethodNotAllowed "method_not_allowed" 405 "The path does not have this method; allow lists those it has.";
    PayloadTooLarge "payload_too_large" 413 "The body is larger than runtime.limits.max_body_bytes.";
    BodyTimeout "body_timeout" 408 "The body was not complete in time.";
    UnsupportedMediaType "unsupported_media_type" 415 "The body is not application/json.";
    BrowserBridgeUnavailable "browser_bridge_unavailable" 503
        "No Firefox is connected, or the one that performed it went away; details.error_code tells which.";
    BrowserClientNotFound "browser_client_not_found" 409 "The named client is not connected.";
    BrowserRequestConflict "browser_request_conflict" 409 "A live request already has this id.";
    BrowserRequestNotFound "browser_request_not_found" 404
        "No request of this id waits or is in progress for this platform; one that has ended cannot be cancelled.";
    BrowserRequestClientMismatch "browser_request_client_mismatch" 409 "Another client than the named one performs it.";
    BrowserRequestCancelled "browser_request_cancelled" 499 "The request was cancelled.";
    BrowserRequestTimeout "browser_request_timeout" 504
        "The browser did not answer in time; the request may have had effects.";
    BrowserActionTimeout "browser_action_timeout" 504
        "The extension did not answer, or the client did not come back, in time.";
    BrowserUpstreamError "browser_upstream_error" 502
        "The app answered with an error: the status is the app's own 4xx or 5xx, else this one; details.upstream_body shows what it said.";
    BrowserUpstreamInvalidResponse "browser_upstream_invalid_response" 502
        "The app's answer to a step of a prompt cannot be used.";
    BrowserResponseTooLarge "browser_response_too_large" 502
        "The app's answer is larger than runtime.limits.max_response_bytes, or than the extension takes.";
    BrowserBridgeError "browser_bridge_error" 502 "The extension's answer cannot be used.";
    BrowserRiskLimited "browser_risk_limited" 503
        "The policy refused it, or its turn did not come in time; details.error_code tells which, details.rule for which rule, retry-after when to come back where that is known. GET /v1/browser/policy/explain says the same without a request.";
    SystemDraining "system_draining" 503 "The system takes no new browser requests until it is resumed.";
    PlatformNotSupported "platform_not_supported" 400
        "The platform is unknown (details.supported_platforms lists those there are), or lacks the mode that was asked for.";
    ClaudeCredentialsUnavailable "claude_credentials_unavailable" 409
        "The client has reported no login to Claude; nothing was sent.";
    // Written with the platform's name before it, see `name_for`.
    TemplateUnavailable "template_unavailable" 409
        "The extension has not learned how a prompt is sent to the platform; nothing was sent. The code begins with the platform's name.";
    CodexdNotConfigured "codexd_not_configured" 503 "No codexd is configured.";
    CodexdUnavailable "codexd_unavailable" 503 "codexd does not answer.";
    OutsideRoots "outside_roots" 403 "The path lies outside the allowed roots, or belongs to the daemon.";
    SandboxUnavailable "sandbox_unavailable" 503 "The sandbox cannot be set up, so nothing was done.";
    RootRefused "root_refused" 403 "The daemon runs as root and may not run commands as root.";
    ApprovalStale "approval_stale" 409 "The batch does not wait for approval, or is not what was shown.";
    InstructionRejected "instruction_rejected" 422 "The message has no instructions that may run; details say why.";
    StoreUnavailable "store_unavailable" 503 "The database cannot be read or written.";
    NotReady "not_ready" 503 "The service is not ready; details.reasons say why.";
    InternalError "internal_error" 500 "The daemon failed unexpectedly.";
}

impl Code {
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
