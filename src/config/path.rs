//! Keys: how one is written, and what the settings know about it.
//!
//! The *shape* is the table of defaults. Two places in it are maps whose names the user chooses, `platforms.NAME` and
//! `policy.platform.NAME`; below a name the shape goes on as it does for every other.

use crate::platforms::registry::PlatformSettings;
use std::sync::LazyLock;
use toml::{Table, Value};

/// Groups of limits that a single platform can have differently.
const PLATFORM_GROUPS: [&str; 8] =
    ["backoff", "circuit_breaker", "concurrency", "jitter", "rate_limit", "stale_lease", "stream", "waiter"];

static PLATFORM: LazyLock<Value> =
    LazyLock::new(|| Value::try_from(PlatformSettings::default()).expect("a platform's settings are a table"));

/// A key that no setting has.
#[derive(Debug, PartialEq)]
pub(crate) struct UnknownKey<'a> {
    /// The part that is not known.
    pub(crate) part: &'a str,
    /// What could stand in its place.
    pub(crate) candidates: Vec<String>,
}

/// One part of a key, quoted where TOML wants it.
pub(crate) fn quoted(part: &str) -> String {
    let bare = !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { part.to_owned() } else { Value::from(part).to_string() }
}

/// The key as it is written in a TOML file.
pub(crate) fn dotted<S: AsRef<str>>(parts: &[S]) -> String {
    parts.iter().map(|part| quoted(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// What the settings have at a key.
#[derive(Debug, PartialEq)]
pub(crate) enum KeyShape<'s> {
    /// Further keys.
    Table,
    /// A value of the type of this default.
    Leaf(&'s Value),
}

/// What `defaults` have at `key`; for a key that goes on below a leaf, that leaf.
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
    fn names_of_the_users_own_choice_have_the_shape_of_all_others() {
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
    fn the_limits_of_a_platform_are_all_groups_of_the_policy() {
        let policy = Table::try_from(crate::policy::settings::PolicyLimits::default()).unwrap();
        assert_eq!(policy.keys().collect::<Vec<_>>(), PLATFORM_GROUPS.iter().collect::<Vec<_>>());
    }

    #[test]
    fn odd_parts_are_quoted() {
        assert_eq!(dotted(&["platforms", "a.b", "title"]), "platforms.\"a.b\".title");
        assert_eq!(dotted(&["a-b", "c_1"]), "a-b.c_1");
    }
}
