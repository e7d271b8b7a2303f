//! Section `log`: what is logged, how and where.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

settings! {
    /// What is logged, how and where.
    LogSettings {
        /// Which lines: a level, or `target=level` pairs with commas between.
        filter: String = "info".into(),
        /// How a line looks.
        format: LogFormat = LogFormat::Text,
        /// Whether lines also go to `logs/` in the state folder; a file a day, 7 are kept.
        file: bool = false,
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogSettings {
    /// Names every value that cannot be.
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
    fn a_bad_filter_is_a_fault() {
        for (filter, faulty) in [("info", 0), ("debug,baa_conductor=trace", 0), ("a=b=c", 1), ("baa=loud", 1)] {
            let log = LogSettings { filter: filter.into(), ..LogSettings::default() };
            assert_eq!(validation_errors(|errors| log.validate(errors)).len(), faulty, "{filter}");
        }
    }
}
