//! What a failure means for whoever runs the command: who said no, and so whether to ask again.

use std::process::ExitCode;

/// Exit code of a command that Ctrl-C ended, as shells know it.
const INTERRUPTED: u8 = 130;
/// Exit code of what the daemon did not let out.
const REFUSED: u8 = 4;
/// Exit code of what the web app answered with an error.
const UPSTREAM: u8 = 5;

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The policy or another rule of the daemon's refused it.
    Refused,
    /// The web app answered with an error, or with what cannot be used.
    Upstream,
    /// It was cancelled.
    Cancelled,
    /// Something broke on the way.
    Failed,
}

impl Meaning {
    /// That of a failure with this code and status.
    pub(super) fn of(code: &str, status: u16) -> Self {
        match code {
            "browser_request_cancelled" => Meaning::Cancelled,
            "browser_upstream_error" | "browser_upstream_invalid_response" => Meaning::Upstream,
            "browser_risk_limited" | "overloaded" | "system_draining" => Meaning::Refused,
            _ if (400..500).contains(&status) => Meaning::Refused,
            _ => Meaning::Failed,
        }
    }

    pub(super) fn exit_code(self) -> ExitCode {
        match self {
            Meaning::Refused => ExitCode::from(REFUSED),
            Meaning::Upstream => ExitCode::from(UPSTREAM),
            Meaning::Cancelled => ExitCode::from(INTERRUPTED),
            Meaning::Failed => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_who_said_no_and_else_the_status() {
        for (code, status, meaning) in [
            ("browser_risk_limited", 503, Meaning::Refused),
            ("browser_risk_limited", 429, Meaning::Refused),
            ("chatgpt_template_unavailable", 409, Meaning::Refused),
            ("system_draining", 503, Meaning::Refused),
            ("invalid_request", 400, Meaning::Refused),
            ("browser_upstream_error", 404, Meaning::Upstream),
            ("browser_upstream_error", 502, Meaning::Upstream),
            ("browser_upstream_invalid_response", 502, Meaning::Upstream),
            ("browser_request_cancelled", 499, Meaning::Cancelled),
            ("browser_bridge_unavailable", 503, Meaning::Failed),
            ("browser_request_timeout", 504, Meaning::Failed),
            ("", 0, Meaning::Failed),
        ] {
            assert_eq!(Meaning::of(code, status), meaning, "{code} {status}");
        }
    }

    #[test]
    fn each_has_an_exit_code_of_its_own() {
        let codes = [Meaning::Failed, Meaning::Refused, Meaning::Upstream, Meaning::Cancelled].map(Meaning::exit_code);
        assert_eq!(codes, [1, 4, 5, 130].map(ExitCode::from));
    }
}
