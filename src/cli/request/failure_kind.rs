//! The kinds of failed requests and their exit codes.

use std::process::ExitCode;

/// Exit code after Ctrl-C, as in shells.
const EXIT_INTERRUPTED: u8 = 130;
/// Exit code of a request that the daemon refused.
const EXIT_REFUSED: u8 = 4;
/// Exit code when the web app responded with an error.
const EXIT_UPSTREAM: u8 = 5;

/// The kind of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Refused by the daemon or its policy.
    Refused,
    /// The web app responded with an error or with unusable data.
    Upstream,
    Cancelled,
    Failed,
}

impl FailureKind {
    /// Returns the kind for an error code and an HTTP status.
    pub(super) fn of(code: &str, status: u16) -> Self {
        match code {
            "browser_request_cancelled" => FailureKind::Cancelled,
            "browser_upstream_error" | "browser_upstream_invalid_response" => FailureKind::Upstream,
            "browser_risk_limited" | "overloaded" | "system_draining" => FailureKind::Refused,
            _ if (400..500).contains(&status) => FailureKind::Refused,
            _ => FailureKind::Failed,
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            FailureKind::Refused => ExitCode::from(EXIT_REFUSED),
            FailureKind::Upstream => ExitCode::from(EXIT_UPSTREAM),
            FailureKind::Cancelled => ExitCode::from(EXIT_INTERRUPTED),
            FailureKind::Failed => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_follows_from_the_code_or_else_the_status() {
        for (code, status, kind) in [
            ("browser_risk_limited", 503, FailureKind::Refused),
            ("browser_risk_limited", 429, FailureKind::Refused),
            ("chatgpt_template_unavailable", 409, FailureKind::Refused),
            ("system_draining", 503, FailureKind::Refused),
            ("invalid_request", 400, FailureKind::Refused),
            ("browser_upstream_error", 404, FailureKind::Upstream),
            ("browser_upstream_error", 502, FailureKind::Upstream),
            ("browser_upstream_invalid_response", 502, FailureKind::Upstream),
            ("browser_request_cancelled", 499, FailureKind::Cancelled),
            ("browser_bridge_unavailable", 503, FailureKind::Failed),
            ("browser_request_timeout", 504, FailureKind::Failed),
            ("", 0, FailureKind::Failed),
        ] {
            assert_eq!(FailureKind::of(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn each_kind_has_its_own_exit_code() {
        let codes = [FailureKind::Failed, FailureKind::Refused, FailureKind::Upstream, FailureKind::Cancelled]
            .map(FailureKind::exit_code);
        assert_eq!(codes, [1, 4, 5, 130].map(ExitCode::from));
    }
}
