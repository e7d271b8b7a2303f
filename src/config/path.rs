//! Keys of the configuration: their notation and their shape.
//!
//! The *shape* is the table of defaults. It has two maps with names of the user's choice, `platforms.NAME` and
//! `policy.platform.NAME`; the shape below each name is the same.

use super::section::quoted;
use crate::platforms::registry::PlatformSettings;
use std::sync::LazyLock;
use toml::{Table, Value};

/// Groups of limits that can be overridden for one platform.
const PLATFORM_GROUPS: [&str; 8] =
    ["backoff", "circuit_breaker", "concurrency", "jitter", "rate_limit", "stale_lease", "stream", "waiter"];

static PLATFORM: LazyLock<Value> =
    LazyLock::new(|| Value::try_from(PlatformSettings::default()).expect("a platform's settings are a table"));

/// An unknown key.
#[derive(Debug, PartialEq)]
pub(crate) struct UnknownKey<'a> {
    /// The unknown part.
    pub(crate) part: &'a str,
    /// The known names at its place.
    pub(crate) candidates: Vec<String>,
}

/// Returns the key in TOML notation.
pub(crate) fn dotted<S: AsRef<str>>(parts: &[S]) -> String {
    parts.iter().map(|part| quoted(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// What the settings have at a key.
#[derive(Debug, PartialEq)]
pub(crate) enum KeyShape<'s> {
    /// A table with further keys.
    Table,
    /// A value with this default.
    Leaf(&'s Value),
}

/// Returns the shape of `key` in `defaults`; for a key below a leaf, that leaf.
pub(crate) fn shape<'s, 'k>(defaults: &'s Table, key: &'k [String]) -> Result<KeyShape<'s>, UnknownKey<'k>> {
    let parts: Vec<&'k str> = key.iter().map(String::as_str).collect();
    let section = |name: &str| defaults.get(name).and_then(Value::as_table).expect("a section is a table");
    let (mut table, rest, only) = match parts.as_slice() {
        ["platforms", _, rest @ ..] => (PLATFORM.as_table().expect("made from a struct"), rest, None),
        ["policy", "platform", _, rest @ ..] => (section("policy"), rest, Some(PLATFORM_GROUPS)),
        all => (defaults, all, None),
    };
    let mut only = only.as_ref().map(|names| names.as_slice());
    for part in rest {
        let allowed = |name: &str| only.is_none_or(|names| names.contains(&name));
        match table.get(*part).filter(|_| allowed(part)) {
            None => {
                let candidates = table.keys().filter(|name| allowed(name)).cloned().collect();
                return Err(UnknownKey { part, candidates });
            }
            Some(Value::Table(inner)) => table = inner,
            Some(leaf) => return Ok(KeyShape::Leaf(leaf)),
        }
        only = None;
    }
    Ok(KeyShape::Table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn at(key: &str) -> Result<String, String> {
        let defaults = Table::try_from(Config::default()).unwrap();
        let key: Vec<String> = key.split('/').map(Into::into).collect();
        match shape(&defaults, &key) {
            Ok(KeyShape::Leaf(leaf)) => Ok(leaf.type_str().to_owned()),
            Ok(KeyShape::Table) => Ok("table".to_owned()),
            Err(unknown) => Err(unknown.part.to_owned()),
        }
    }

    #[test]
    fn names_of_the_users_choice_have_the_same_shape() {
        for (key, expected) in [
            ("server/listen", Ok("string")),
            ("server/listen/x", Ok("string")),
            ("server", Ok("table")),
            ("policy/jitter/min_ms", Ok("integer")),
            ("policy/platform", Ok("table")),
            ("policy/platform/x", Ok("table")),
            ("policy/platform/x/jitter/min_ms", Ok("integer")),
            ("policy/platform/x/seed", Err("seed")),
            ("policy/platform/x/platform/y", Err("platform")),
            ("platforms/x", Ok("table")),
            ("platforms/x/hosts", Ok("array")),
            ("platforms/x/nope", Err("nope")),
            ("instructions/allow", Ok("array")),
            ("nope/listen", Err("nope")),
        ] {
            assert_eq!(at(key), expected.map(Into::into).map_err(Into::into), "{key}");
        }
    }

    #[test]
    fn all_groups_of_the_policy_can_be_overridden_for_a_platform() {
        let policy = Table::try_from(crate::policy::settings::PolicyLimits::default()).unwrap();
        assert_eq!(policy.keys().collect::<Vec<_>>(), PLATFORM_GROUPS.iter().collect::<Vec<_>>());
    }

    #[test]
    fn parts_with_special_characters_are_quoted() {
        assert_eq!(dotted(&["platforms", "a.b", "title"]), "platforms.\"a.b\".title");
        assert_eq!(dotted(&["a-b", "c_1"]), "a-b.c_1");
    }
}
