//! What the structs of the sections share: the macro that declares them, optional values, and the collector of validation
//! errors.
//!
//! TOML has no null, so an optional setting is written as an empty text: every key has a default that can be printed, listed
//! in the sample file and overridden.

use std::ops::RangeInclusive;

/// Maximum of a duration in milliseconds: a leap year, so that timers and wall times cannot overflow.
pub(crate) const MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;
/// Maximum of a bound in bytes: 1 TiB.
pub(crate) const BYTES_MAX: u64 = 1 << 40;
/// Maximum of a count.
pub(crate) const COUNT_MAX: u64 = 1_000_000_000;
/// Bounds of a duration in milliseconds that must not be zero.
pub(crate) const DURATION: RangeInclusive<u64> = 1..=MS_MAX;
/// Bounds of a duration in milliseconds that may be zero.
pub(crate) const DELAY: RangeInclusive<u64> = 0..=MS_MAX;
/// Bounds of a count that must not be zero.
pub(crate) const COUNT: RangeInclusive<u64> = 1..=COUNT_MAX;

/// Declares a section: each field with its description, its default and, for numbers, its bounds. The name of a field is
/// its key; `#[advanced]` marks a setting that hardly anyone needs to change. `docs/configuration.md` and
/// `config/conductor.toml` are generated from this.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+ $(#[derive($($derived:tt)*)])?
        $name:ident {
            $(
                $(#[doc = $doc:literal])+ $(#[serde($($serde:tt)*)])? $(#[advanced $(($advanced:tt))?])?
                $field:ident: $type:ty = $default:expr $(=> $bounds:expr)?,
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[derive($($derived)*)])?
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde($($serde)*)])? pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $crate::config::section::SettingsSection for $name {
            fn check_bounds(&self, errors: &mut $crate::config::section::ValidationErrors) {
                errors.ranges([$($((stringify!($field), self.$field as u64, $bounds),)?)*]);
            }

            #[cfg(test)]
            fn description() -> $crate::config::section::SectionDescription {
                let settings = vec![$($crate::config::section::SettingDescription {
                    name: stringify!($field),
                    text: &[$($doc),+],
                    bounds: [$($bounds)?].into_iter().next(),
                    is_advanced: false $(|| stringify!($($advanced)?).is_empty())?,
                },)*];
                $crate::config::section::SectionDescription { text: &[$($about),+], settings }
            }
        }
    };
}
pub(crate) use settings;

/// Returns one part of a key, quoted if TOML requires it.
pub(crate) fn quoted(part: &str) -> String {
    let bare = !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { part.to_owned() } else { toml::Value::from(part).to_string() }
}

/// What [`settings!`] implements for a section.
pub(crate) trait SettingsSection {
    /// Adds an error for each value that is out of its bounds.
    fn check_bounds(&self, errors: &mut ValidationErrors);

    /// Returns the documentation of the section.
    #[cfg(test)]
    fn description() -> SectionDescription;
}

/// The documentation of a section.
#[cfg(test)]
pub(crate) struct SectionDescription {
    /// Lines of the doc comment.
    pub(crate) text: &'static [&'static str],
    pub(crate) settings: Vec<SettingDescription>,
}

/// The documentation of a setting.
#[cfg(test)]
pub(crate) struct SettingDescription {
    pub(crate) name: &'static str,
    /// Lines of the doc comment.
    pub(crate) text: &'static [&'static str],
    pub(crate) bounds: Option<RangeInclusive<u64>>,
    pub(crate) is_advanced: bool,
}

/// Serializes an `Option`; `None` is the empty text.
pub(crate) mod blank {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IntoDeserializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { T::deserialize(text.into_deserializer()).map(Some) }
    }
}

/// An invalid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// Full key.
    pub key: String,
    /// Why the value is invalid.
    pub reason: String,
    /// Full key of the value that it conflicts with, if it would be valid by itself.
    pub other: Option<String>,
}

/// Collects the errors of invalid values, by key.
#[derive(Debug, Default)]
pub struct ValidationErrors {
    prefix: String,
    errors: Vec<ValidationError>,
}

impl ValidationErrors {
    /// Adds an error for the value of `key`, which is relative to the section under check.
    pub fn add(&mut self, key: &str, reason: impl Into<String>) {
        self.errors.push(ValidationError { key: format!("{}{key}", self.prefix), reason: reason.into(), other: None });
    }

    /// Adds an error for two values that conflict.
    pub fn add_conflict(&mut self, key: &str, other: &str, reason: impl Into<String>) {
        let other = Some(format!("{}{other}", self.prefix));
        self.errors.push(ValidationError { key: format!("{}{key}", self.prefix), reason: reason.into(), other });
    }

    /// Adds an error of a separate check, with `section` before its keys.
    pub(crate) fn add_nested(&mut self, section: &str, error: &ValidationError) {
        let below = |key: &str| format!("{}{section}{key}", self.prefix);
        let (key, other) = (below(&error.key), error.other.as_deref().map(below));
        self.errors.push(ValidationError { key, reason: error.reason.clone(), other });
    }

    /// Runs `check` with `section` as the prefix of its keys.
    pub fn in_section<R>(&mut self, section: &str, check: impl FnOnce(&mut ValidationErrors) -> R) -> R {
        let outer = self.prefix.len();
        self.prefix.push_str(section);
        self.prefix.push('.');
        let result = check(self);
        self.prefix.truncate(outer);
        result
    }

    /// Checks that each number, with its key, is within its bounds.
    pub fn ranges<const N: usize>(&mut self, values: [(&str, u64, RangeInclusive<u64>); N]) {
        for (key, value, bounds) in values {
            if value < *bounds.start() {
                self.add(key, format!("must be at least {}", bounds.start()));
            } else if value > *bounds.end() {
                self.add(key, format!("must be at most {}", bounds.end()));
            }
        }
    }

    /// Returns the errors so far.
    pub fn errors(&self) -> &[ValidationError] {
        &self.errors
    }
}

#[cfg(test)]
pub(crate) fn validation_errors(check: impl FnOnce(&mut ValidationErrors)) -> Vec<String> {
    let mut errors = ValidationErrors::default();
    check(&mut errors);
    errors.errors.into_iter().map(|error| format!("{}: {}", error.key, error.reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        #[serde(with = "blank")]
        base_url: Option<String>,
    }

    #[test]
    fn an_absent_value_is_an_empty_text() {
        assert_eq!(toml::to_string(&Sample::default()).unwrap(), "base_url = \"\"\n");
        assert_eq!(toml::from_str::<Sample>("base_url = \"\"").unwrap(), Sample::default());
        assert_eq!(toml::from_str::<Sample>("base_url = \"x\"").unwrap().base_url.as_deref(), Some("x"));
        assert!(toml::from_str::<Sample>("other = 1").is_err());
    }

    #[test]
    fn errors_have_the_full_key() {
        let found = validation_errors(|errors| {
            errors.in_section("a", |errors| errors.in_section("b", |errors| errors.ranges([("ms", 0, DURATION)])));
            errors.ranges([("n", 0, COUNT), ("size", u64::MAX, 1..=BYTES_MAX), ("fine_ms", 0, DELAY)]);
        });
        assert_eq!(
            found,
            ["a.b.ms: must be at least 1", "n: must be at least 1", "size: must be at most 1099511627776"]
        );
    }
}
