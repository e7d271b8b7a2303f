//! How a browser request ends, and what that means to its caller, to the policy and to the journal.

use crate::{
    bridge::{Gone, NoClient},
    ids::{ClientId, ConnectionId, PlatformName},
    platforms::plan::PlanError,
    policy::{LeaseFailure, LeaseOutcome, PolicyRefusal, is_failure},
    wire::RawJson,
};
use std::borrow::Cow;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There was nobody to ask.
    NoClient(NoClient),
    /// The policy said no.
    Refused(PolicyRefusal),
    /// The client has no login for the platform.
    NoCredentials,
    /// The client has not learned how a prompt is sent to this platform.
    NoTemplate(PlatformName),
    /// What the app answered to a step leads nowhere.
    Plan(PlanError),
    /// The policy took its lease back.
    Swept,
    /// The client's connection could do nothing more for it.
    Gone(Gone),
    /// It was cancelled.
    Cancelled,
    /// The caller went away, or took nothing for too long.
    CallerGone,
    /// What let the caller in holds no more: its token or its session has ended.
    Revoked,
    /// The caller read too slowly.
    Overflow,
    /// It took longer than it may.
    Timeout,
    /// Its stream was not opened in time.
    OpenTimeout,
    /// Its stream was silent for too long.
    IdleTimeout,
    /// The app answered with an error, or the extension could not reach it.
    Upstream(Box<UpstreamError>),
    /// The whole answer is larger than it may be.
    TooLarge {
        /// Most bytes; not known where the extension has a limit of its own.
        max: Option<usize>,
    },
    /// The extension's answer cannot be understood.
    Garbled(String),
    /// The daemon itself failed.
    Internal,
}

/// An error from beyond the extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// The app's HTTP status, where there was one.
    pub status: Option<u16>,
    /// The extension's own code for a broken stream, or for what never reached the app.
    pub code: Option<String>,
    /// The extension's word for it.
    pub error: Option<String>,
    /// A sentence about it.
    pub message: Option<String>,
    /// The answer's body, already cut.
    pub body: RawJson,
    /// When the app wants to be asked again, in its own words.
    pub retry_after: Option<String>,
    /// The same in milliseconds from the end of the request.
    pub retry_after_ms: Option<u64>,
}

/// A failed request: the cause, and who was to perform it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// Why.
    pub cause: RequestError,
    /// The client that was chosen.
    pub client_id: Option<ClientId>,
    /// Its connection.
    pub connection_id: Option<ConnectionId>,
}

impl RequestError {
    /// The specific error code, as `error` of a `stream_error` and `details.error_code` of an answer.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            RequestError::NoClient(NoClient::NoneConnected) => "no_active_client",
            RequestError::NoClient(NoClient::NotConnected) => "client_not_found",
            RequestError::NoClient(NoClient::Unpaired) => "pairing_required",
            RequestError::NoCredentials => "claude_credentials_unavailable",
            RequestError::NoTemplate(platform) => return Cow::Owned(format!("{platform}_template_unavailable")),
            RequestError::Plan(PlanError::InvalidResponse(_)) => "browser_upstream_invalid_response",
            RequestError::Plan(_) => "not_found",
            RequestError::Refused(refusal) => refusal.code(),
            RequestError::Swept => "lease_swept",
            RequestError::Gone(gone) => gone.code(),
            RequestError::Cancelled => "request_cancelled",
            RequestError::CallerGone => "downstream_disconnected",
            RequestError::Revoked => "unauthorized",
            RequestError::Overflow => "stream_buffer_overflow",
            RequestError::Timeout => "request_timeout",
            RequestError::OpenTimeout => "stream_open_timeout",
            RequestError::IdleTimeout => "stream_idle_timeout",
            RequestError::Upstream(upstream) => match &upstream.code {
                Some(code) => return Cow::Owned(code.clone()),
                None => "browser_upstream_error",
            },
            RequestError::TooLarge { .. } => "browser_response_too_large",
            RequestError::Garbled(_) => "browser_bridge_error",
            RequestError::Internal => "internal_error",
        })
    }

    /// A sentence for people.
    pub fn message(&self) -> String {
        match self {
            RequestError::NoClient(NoClient::NoneConnected) => "No Firefox is connected.".into(),
            RequestError::NoClient(NoClient::NotConnected) => "The named client is not connected.".into(),
            RequestError::NoClient(NoClient::Unpaired) => "The named client waits for pairing.".into(),
            RequestError::NoCredentials => "The client has no login for this platform.".into(),
            RequestError::NoTemplate(_) => "The extension has not learned yet how a prompt is sent there.".into(),
            RequestError::Plan(error) => {
                let mut sentence = format!("{error}.");
                sentence[..1].make_ascii_uppercase();
                sentence
            }
            RequestError::Refused(refusal) => format!("The request policy refused: {refusal}."),
            RequestError::Swept => "The request showed no sign of life for too long and lost its place.".into(),
            RequestError::Gone(Gone::Disconnected) => "The client's connection was lost.".into(),
            RequestError::Gone(Gone::Replaced) => "A newer connection of the same client took over.".into(),
            RequestError::Gone(Gone::SendFailed) => "The request could not be sent to the client.".into(),
            RequestError::Gone(Gone::Stopped) => "The service is stopping.".into(),
            RequestError::Cancelled => "The request was cancelled.".into(),
            RequestError::CallerGone => "The caller went away.".into(),
            RequestError::Revoked => "The token or the session of this caller has ended.".into(),
            RequestError::Overflow => "The caller read too slowly.".into(),
            RequestError::Timeout => "The browser did not answer in time.".into(),
            RequestError::OpenTimeout => "The browser did not open the stream in time.".into(),
            RequestError::IdleTimeout => "The stream was silent for too long.".into(),
            RequestError::Upstream(upstream) => upstream.message.clone().unwrap_or_else(|| upstream.sentence()),
            RequestError::TooLarge { max: Some(max) } => format!("The answer is larger than {max} bytes."),
            RequestError::TooLarge { max: None } => "The answer is larger than the extension takes.".into(),
            RequestError::Garbled(why) => format!("The extension's answer cannot be understood: {why}."),
            RequestError::Internal => "The service failed unexpectedly.".into(),
        }
    }

    /// Whether the request ended because nobody wanted its answer any more, whoever worded that.
    pub fn is_cancellation(&self) -> bool {
        matches!(
            self,
            RequestError::Cancelled
                | RequestError::CallerGone
                | RequestError::Revoked
                | RequestError::Overflow
                | RequestError::Gone(Gone::Stopped)
        )
    }

    /// What the policy makes of it.
    pub(super) fn outcome(&self) -> LeaseOutcome {
        let failed = |error, retry_after_ms| LeaseOutcome::Failure(LeaseFailure { error, retry_after_ms });
        match self {
            cause if cause.is_cancellation() => LeaseOutcome::Cancelled,
            // The platform answered, whatever that was.
            RequestError::Plan(_) | RequestError::TooLarge { .. } => LeaseOutcome::Success,
            // Our own fault says nothing about it.
            RequestError::Internal => LeaseOutcome::Cancelled,
            // Nothing went out.
            RequestError::NoCredentials | RequestError::NoTemplate(_) => LeaseOutcome::Cancelled,
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
            RequestError::Gone(Gone::Stopped),
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
            RequestError::Gone(Gone::Disconnected),
            RequestError::Gone(Gone::Replaced),
            RequestError::Gone(Gone::SendFailed),
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
