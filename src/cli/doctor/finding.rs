//! The result of one check.

use crate::cli::text;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum FindingVerdict {
    Ok,
    /// Requests may fail or behave unexpectedly, but the daemon works.
    Warning,
    /// The daemon does not work.
    Failure,
}

impl FindingVerdict {
    pub(super) fn name(self) -> &'static str {
        self.into()
    }
}

/// A checked step, its verdict and advice.
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

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn to_line(&self) -> String {
        let advice = self.advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        text::line(&format!("{}{advice}", self.message)).into_owned()
    }
}
