//! What a failure means for whoever runs the command: who said no, and so whether to ask again.

use std::process::ExitCode;

/// Exit code of a command that Ctrl-C ended, as shells know it.
const EXIT_INTERRUPTED: u8 = 130;
/// Exit code of what the daemon did not let out.
const EXIT_REFUSED: u8 = 4;
/// Exit code of what the web app answered with an error.
const EXIT_UPSTREAM: u8 = 5;

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The policy or another rule of the daemon's refused it.
    Refused,
    /// The web app answered with an error, or with what cannot be used.
    Upstream,
    /// It was cancelled.
    Cancelled,
    /// Something broke on the way.
    Failed,
}

impl FailureKind {
    /// That of a failure with this code and status.
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
    fn the_code_says_who_said_no_and_else_the_status() {
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
    fn each_has_an_exit_code_of_its_own() {
        let codes = [FailureKind::Failed, FailureKind::Refused, FailureKind::Upstream, FailureKind::Cancelled]
            .map(FailureKind::exit_code);
        assert_eq!(codes, [1, 4, 5, 130].map(ExitCode::from));
    }
}
