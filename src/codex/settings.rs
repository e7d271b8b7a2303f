//! Section `codex`: the address of codexd and the bounds of calls.

use crate::config::section::{BYTES_MAX, DURATION, SettingsSection, ValidationErrors, blank, settings};
use url::Url;

settings! {
    /// The codexd behind `/v1/codex`.
    CodexSettings {
        /// Address of the codexd behind `/v1/codex`, such as `"http://127.0.0.1:4319"`; empty = none.
        #[serde(with = "blank")]
        base_url: Option<String> = None,
        /// Milliseconds within which a call must complete.
        timeout_ms: u64 = 30_000 => DURATION,
        /// Bytes of a response.
        #[advanced]
        max_response_bytes: usize = 16 << 20 => 1..=BYTES_MAX,
        /// Concurrent calls; more are refused.
        #[advanced]
        max_calls: usize = 64 => 1..=65_536,
    }
}

impl CodexSettings {
    /// Reports every invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        let Some(text) = &self.base_url else { return };
        match Url::parse(text) {
            // The text is not repeated, since it may contain a password.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                errors.add("base_url", "must not hold a user or password");
            }
            Ok(url) if url.scheme() == "http" && url.has_host() && url.query().or(url.fragment()).is_none() => {}
            _ => errors.add("base_url", "must be an http:// address, such as http://127.0.0.1:4319"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn codex_is_an_http_address() {
        for (text, faulty) in [
            ("http://127.0.0.1:4319", 0),
            ("http://127.0.0.1:4319/base/", 0),
            ("https://x", 1),
            ("127.0.0.1:4319", 1),
            ("http://u:p@x", 1),
            ("http://x/?q", 1),
        ] {
            let codex = CodexSettings { base_url: Some(text.into()), ..CodexSettings::default() };
            let found = validation_errors(|errors| codex.validate(errors));
            assert!(found.len() == faulty && !found.iter().any(|fault| fault.contains("u:p")), "{text}: {found:?}");
        }
    }

    #[test]
    fn zeros_and_absurd_values_are_faults() {
        let none = CodexSettings { timeout_ms: 0, max_response_bytes: 0, max_calls: 0, ..CodexSettings::default() };
        let far = CodexSettings { timeout_ms: u64::MAX, max_calls: usize::MAX, ..CodexSettings::default() };
        assert_eq!(validation_errors(|errors| none.validate(errors)).len(), 3);
        assert_eq!(validation_errors(|errors| far.validate(errors)).len(), 2);
        assert_eq!(validation_errors(|errors| CodexSettings::default().validate(errors)), [""; 0]);
    }
}
