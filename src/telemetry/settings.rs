//! Section `log`: level, format and destination of log lines.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

settings! {
    /// Level, format and destination of log lines.
    LogSettings {
        /// Filter: a level, or a comma-separated list of `target=level`.
        filter: String = "info".into(),
        /// Format of a line: `"text"` or `"json"`.
        format: LogFormat = LogFormat::Text,
        /// Whether lines are also written to `logs/` in the state folder, one file per day; 7 files are kept.
        file: bool = false,
    }
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogSettings {
    /// Adds an error for each invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        if let Err(error) = EnvFilter::builder().parse(&self.filter) {
            errors.add("filter", format!("{:?} is not a filter: {error}", self.filter));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn an_invalid_filter_is_an_error() {
        for (filter, faulty) in [("info", 0), ("debug,baa_conductor=trace", 0), ("a=b=c", 1), ("baa=loud", 1)] {
            let log = LogSettings { filter: filter.into(), ..LogSettings::default() };
            assert_eq!(validation_errors(|errors| log.validate(errors)).len(), faulty, "{filter}");
        }
    }
}
