//! What was found at one hop.

use crate::cli::text;
use serde::Serialize;

/// Whether a hop holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FindingVerdict {
    /// It does.
    Ok,
    /// Requests may not come through, or not as somebody expects; the daemon works.
    Warning,
    /// The daemon does not work.
    Failure,
}

impl FindingVerdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            FindingVerdict::Ok => "ok",
            FindingVerdict::Warning => "warning",
            FindingVerdict::Failure => "failure",
        }
    }
}

/// One hop, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) verdict: FindingVerdict,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(name: impl Into<String>, message: impl Into<String>) -> Self {
        Finding::new(FindingVerdict::Ok, name.into(), message.into())
    }

    pub(super) fn warning(name: impl Into<String>, message: impl Into<String>) -> Self {
        Finding::new(FindingVerdict::Warning, name.into(), message.into())
    }

    pub(super) fn failure(name: impl Into<String>, message: impl Into<String>) -> Self {
        Finding::new(FindingVerdict::Failure, name.into(), message.into())
    }

    fn new(verdict: FindingVerdict, name: String, message: String) -> Self {
        Finding { name, verdict, message, advice: None }
    }

    /// Says what to do.
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Message and advice in one line.
    pub(super) fn to_line(&self) -> String {
        let advice = self.advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        text::line(&format!("{}{advice}", self.message)).into_owned()
    }
}
