//! What the sections' structs are made of: one macro, one way to say "not set", one collector of faults.
//!
//! TOML has no null, so a setting that may be absent is written as an empty text: every key then has a default that can
//! be printed, listed in the sample file and overridden.

/// Most milliseconds a duration may have: a leap year. Timers and wall times stay far from overflow.
pub(crate) const MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;
/// Most bytes a bound may have: 1 TiB.
pub(crate) const BYTES_MAX: u64 = 1 << 40;
/// Highest count.
pub(crate) const COUNT_MAX: u64 = 1_000_000_000;

/// Declares a section: each field with its documentation, its key's name and its default, in one place.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }
    };
}
pub(crate) use settings;

/// Reads and writes an `Option` whose `None` is the empty text.
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

/// A value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// Its whole key.
    pub key: String,
    /// Why it cannot be.
    pub reason: String,
    /// The whole key of the value that it clashes with, if it would be fine by itself.
    pub other: Option<String>,
}

/// Collects what is wrong with values, by key.
#[derive(Debug, Default)]
pub struct ValidationErrors {
    prefix: String,
    errors: Vec<ValidationError>,
}

impl ValidationErrors {
    /// Notes that the value of `key`, named as within the section under check, cannot be.
    pub fn add(&mut self, key: &str, reason: impl Into<String>) {
        self.errors.push(ValidationError { key: format!("{}{key}", self.prefix), reason: reason.into(), other: None });
    }

    /// Notes that the values of two keys cannot be together; either may be the wrong one.
    pub fn add_conflict(&mut self, key: &str, other: &str, reason: impl Into<String>) {
        let other = Some(format!("{}{other}", self.prefix));
        self.errors.push(ValidationError { key: format!("{}{key}", self.prefix), reason: reason.into(), other });
    }

    /// Takes over what was found by a check of its own, below `section`.
    pub(crate) fn add_nested(&mut self, section: &str, error: &ValidationError) {
        let below = |key: &str| format!("{}{section}{key}", self.prefix);
        let (key, other) = (below(&error.key), error.other.as_deref().map(below));
        self.errors.push(ValidationError { key, reason: error.reason.clone(), other });
    }

    /// Checks a section: keys that `check` names lie under it.
    pub fn in_section<R>(&mut self, section: &str, check: impl FnOnce(&mut ValidationErrors) -> R) -> R {
        let outer = self.prefix.len();
        self.prefix.push_str(section);
        self.prefix.push('.');
        let result = check(self);
        self.prefix.truncate(outer);
        result
    }

    /// A duration in milliseconds that must not be zero.
    pub fn duration(&mut self, key: &str, value: u64) {
        self.range(key, value, 1, MS_MAX);
    }

    /// A duration in milliseconds that may be zero.
    pub fn delay(&mut self, key: &str, value: u64) {
        self.range(key, value, 0, MS_MAX);
    }

    /// A bound in bytes, at least `least`.
    pub fn bytes(&mut self, key: &str, value: usize, least: u64) {
        self.range(key, value as u64, least, BYTES_MAX);
    }

    /// A bound in number that must not be zero.
    pub fn count(&mut self, key: &str, value: usize) {
        self.range(key, value as u64, 1, COUNT_MAX);
    }

    /// A number that must lie between `least` and `most`.
    pub fn range(&mut self, key: &str, value: u64, least: u64, most: u64) {
        if value < least {
            self.add(key, format!("must be at least {least}"));
        } else if value > most {
            self.add(key, format!("must be at most {most}"));
        }
    }

    /// Everything found so far.
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
    fn an_absent_value_is_the_empty_text() {
        assert_eq!(toml::to_string(&Sample::default()).unwrap(), "base_url = \"\"\n");
        assert_eq!(toml::from_str::<Sample>("base_url = \"\"").unwrap(), Sample::default());
        assert_eq!(toml::from_str::<Sample>("base_url = \"x\"").unwrap().base_url.as_deref(), Some("x"));
        assert!(toml::from_str::<Sample>("other = 1").is_err());
    }

    #[test]
    fn faults_carry_the_whole_key() {
        let found = validation_errors(|errors| {
            errors.in_section("a", |errors| errors.in_section("b", |errors| errors.duration("ms", 0)));
            errors.count("n", 0);
            errors.bytes("size", usize::MAX, 1);
            errors.delay("fine_ms", 0);
        });
        assert_eq!(
            found,
            ["a.b.ms: must be at least 1", "n: must be at least 1", "size: must be at most 1099511627776"]
        );
    }
}
