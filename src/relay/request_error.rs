//! Errors of browser requests and their meaning for the caller, the policy and the journal.

use crate::{
    api::request_error_code::RequestErrorCode,
    bridge::{DisconnectReason, NoClient},
    ids::{ClientId, ConnectionId, PlatformName},
    platforms::{plan::PlanError, request_path::PathError},
    policy::{LeaseFailure, LeaseOutcome, PolicyRefusal, is_failure},
    wire::RawJson,
};
use std::borrow::Cow;

/// Reason why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// No client could be selected.
    NoClient(NoClient),
    /// The policy refused the request.
    Refused(PolicyRefusal),
    /// The client has no login for the platform.
    NoCredentials,
    /// The client has not learned how a prompt is sent to this platform.
    NoTemplate(PlatformName),
    /// The address of a step is one of the platform's `credential_paths`.
    CredentialPath,
    /// The answer to a step of the plan cannot be used.
    Plan(PlanError),
    /// The policy revoked the lease.
    Swept,
    /// The client's connection ended or failed.
    Gone(DisconnectReason),
    /// The request was cancelled.
    Cancelled,
    /// The caller disconnected or stalled.
    CallerGone,
    /// The token or session that authorized the caller is no longer valid.
    Revoked,
    /// The caller read too slowly.
    Overflow,
    /// The time limit of the request was exceeded.
    Timeout,
    /// The stream was not opened in time.
    OpenTimeout,
    /// The stream was idle for too long.
    IdleTimeout,
    /// The app returned an error, or the extension could not reach it.
    Upstream(Box<UpstreamError>),
    /// The answer exceeds the size limit.
    TooLarge {
        /// The limit in bytes; unknown if it is the extension's own.
        max: Option<usize>,
    },
    /// The extension's report is invalid.
    Garbled(String),
    /// An internal error of the daemon.
    Internal,
}

/// An error reported by the extension or the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// HTTP status of the app, if there was a response.
    pub status: Option<u16>,
    /// Error code of the extension for a broken stream or an unreachable app.
    pub code: Option<String>,
    /// Error text of the extension.
    pub error: Option<String>,
    /// Message for people.
    pub message: Option<String>,
    /// Body of the response, cut to the shown length.
    pub body: RawJson,
    /// Value of `retry-after` as received.
    pub retry_after: Option<String>,
    /// The same in milliseconds from the end of the request.
    pub retry_after_ms: Option<u64>,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// Reason of the failure.
    pub cause: RequestError,
    /// Client that was selected.
    pub client_id: Option<ClientId>,
    /// Connection of that client.
    pub connection_id: Option<ConnectionId>,
}

impl RequestError {
    /// Returns the specific error code, used as `error` of a `stream_error` and as `details.error_code`.
    pub fn code(&self) -> Cow<'static, str> {
        let own = match self {
            RequestError::NoTemplate(platform) => Some(format!("{platform}_{}", self.table_code().name())),
            RequestError::Upstream(upstream) => upstream.code.clone(),
            _ => None,
        };
        own.map_or(Cow::Borrowed(self.table_code().name()), Cow::Owned)
    }

    fn table_code(&self) -> RequestErrorCode {
        match self {
            RequestError::NoClient(NoClient::NoneConnected) => RequestErrorCode::NoActiveClient,
            RequestError::NoClient(NoClient::NotConnected) => RequestErrorCode::ClientNotFound,
            RequestError::NoClient(NoClient::Unpaired) => RequestErrorCode::PairingRequired,
            RequestError::NoCredentials => RequestErrorCode::CredentialsUnavailable,
            RequestError::CredentialPath => RequestErrorCode::InvalidRequest,
            RequestError::NoTemplate(_) => RequestErrorCode::TemplateUnavailable,
            RequestError::Plan(PlanError::InvalidResponse(_)) => RequestErrorCode::InvalidResponse,
            RequestError::Plan(_) => RequestErrorCode::NotFound,
            RequestError::Refused(refusal) => refusal.code(),
            RequestError::Swept => RequestErrorCode::LeaseSwept,
            RequestError::Gone(gone) => gone.code(),
            RequestError::Cancelled => RequestErrorCode::RequestCancelled,
            RequestError::CallerGone => RequestErrorCode::DownstreamDisconnected,
            RequestError::Revoked => RequestErrorCode::Unauthorized,
            RequestError::Overflow => RequestErrorCode::StreamBufferOverflow,
            RequestError::Timeout => RequestErrorCode::RequestTimeout,
            RequestError::OpenTimeout => RequestErrorCode::StreamOpenTimeout,
            RequestError::IdleTimeout => RequestErrorCode::StreamIdleTimeout,
            RequestError::Upstream(_) => RequestErrorCode::UpstreamError,
            RequestError::TooLarge { .. } => RequestErrorCode::ResponseTooLarge,
            RequestError::Garbled(_) => RequestErrorCode::BridgeError,
            RequestError::Internal => RequestErrorCode::InternalError,
        }
    }

    /// Returns a message for people.
    pub fn message(&self) -> String {
        match self {
            RequestError::CredentialPath => format!("Field \"path\" {}.", PathError::Credentials),
            RequestError::Plan(error) => {
                let mut sentence = format!("{error}.");
                sentence[..1].make_ascii_uppercase();
                sentence
            }
            RequestError::Refused(refusal) => format!("The request policy refused: {refusal}."),
            RequestError::Upstream(upstream) => upstream.message.clone().unwrap_or_else(|| upstream.sentence()),
            RequestError::TooLarge { max: Some(max) } => format!("The answer is larger than {max} bytes."),
            RequestError::TooLarge { max: None } => "The answer is larger than the extension takes.".into(),
            RequestError::Garbled(why) => format!("The extension's answer cannot be understood: {why}."),
            _ => self.table_code().meaning().into(),
        }
    }

    /// Returns whether the request ended because its answer was no longer wanted.
    pub fn is_cancellation(&self) -> bool {
        matches!(
            self,
            RequestError::Cancelled
                | RequestError::CallerGone
                | RequestError::Revoked
                | RequestError::Overflow
                | RequestError::Gone(DisconnectReason::Stopped)
        )
    }

    /// Returns the outcome for the policy.
    pub(super) fn outcome(&self) -> LeaseOutcome {
        let failed = |error, retry_after_ms| LeaseOutcome::Failure(LeaseFailure { error, retry_after_ms });
        match self {
            cause if cause.is_cancellation() => LeaseOutcome::Cancelled,
            // The platform did answer.
            RequestError::Plan(_) | RequestError::TooLarge { .. } => LeaseOutcome::Success,
            // An internal error says nothing about the platform.
            RequestError::Internal => LeaseOutcome::Cancelled,
            // Nothing was dispatched.
            RequestError::NoCredentials | RequestError::NoTemplate(_) | RequestError::CredentialPath => {
                LeaseOutcome::Cancelled
            }
            RequestError::Upstream(upstream) => match upstream.status.filter(|status| *status >= 400) {
                Some(status) if !is_failure(status) => LeaseOutcome::Success,
                Some(status) => failed(format!("http_{status}"), upstream.retry_after_ms),
                None => failed(self.code().into_owned(), upstream.retry_after_ms),
            },
            _ => failed(self.code().into_owned(), None),
        }
    }
}

impl UpstreamError {
    fn sentence(&self) -> String {
        match (self.status, &self.error) {
            (Some(status), _) => format!("The web app answered with status {status}."),
            (None, Some(error)) => format!("The browser could not perform the request: {error}."),
            (None, None) => "The browser could not perform the request.".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(status: Option<u16>, error: Option<&str>) -> RequestError {
        RequestError::Upstream(Box::new(UpstreamError {
            status,
            error: error.map(str::to_owned),
            ..UpstreamError::default()
        }))
    }

    #[test]
    fn cancellations_are_never_failures_and_a_callers_own_errors_are_successes() {
        for cause in [
            RequestError::Cancelled,
            RequestError::CallerGone,
            RequestError::Revoked,
            RequestError::Overflow,
            RequestError::Gone(DisconnectReason::Stopped),
        ] {
            assert_eq!(cause.outcome(), LeaseOutcome::Cancelled, "{cause:?}");
        }
        for status in [400, 404, 422] {
            assert_eq!(upstream(Some(status), None).outcome(), LeaseOutcome::Success, "{status}");
        }
        let failures = [
            RequestError::Timeout,
            RequestError::OpenTimeout,
            RequestError::IdleTimeout,
            RequestError::Swept,
            RequestError::Gone(DisconnectReason::SocketClosed),
            RequestError::Gone(DisconnectReason::Replaced),
            RequestError::Gone(DisconnectReason::SendFailed),
            upstream(Some(429), None),
            upstream(Some(503), None),
            upstream(None, Some("fetch_failed")),
        ];
        for cause in failures {
            assert!(matches!(cause.outcome(), LeaseOutcome::Failure(_)), "{cause:?}");
        }
    }

    #[test]
    fn the_policy_is_told_the_apps_status_or_else_the_code() {
        let coded = |status| UpstreamError { status, code: Some("upstream_reset".into()), ..UpstreamError::default() };
        for (cause, told) in [
            (upstream(Some(429), Some("rate_limited")), "http_429"),
            (RequestError::Upstream(Box::new(coded(Some(502)))), "http_502"),
            (RequestError::Upstream(Box::new(coded(Some(200)))), "upstream_reset"),
            (upstream(None, None), "browser_upstream_error"),
            (RequestError::Swept, "lease_swept"),
            (RequestError::Timeout, "request_timeout"),
        ] {
            let error = if let LeaseOutcome::Failure(failed) = cause.outcome() { failed.error } else { String::new() };
            assert_eq!(error, told, "{cause:?}");
        }
    }

    #[test]
    fn the_extensions_own_code_is_kept() {
        let coded =
            UpstreamError { status: Some(502), code: Some("upstream_reset".into()), ..UpstreamError::default() };
        assert_eq!(RequestError::Upstream(Box::new(coded)).code(), "upstream_reset");
        assert_eq!(upstream(Some(500), Some("http_500")).code(), "browser_upstream_error");
    }
}
