//! The environment variables of commands: few, so that they contain no secret of the daemon or of its environment.

use std::{collections::BTreeMap, env, path::PathBuf};

/// Variables that every command inherits.
const DEFAULT_VARIABLES: [&str; 7] = ["PATH", "HOME", "LANG", "TZ", "TERM", "USER", "TMPDIR"];
/// The prefix of the daemon's own variables, which are never inherited.
const OWN_PREFIX: &str = "BAA_";
/// The `PATH` when the daemon has none.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The variables that commands inherit from the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host) struct CommandEnvironment(BTreeMap<String, String>);

impl CommandEnvironment {
    /// Selects from the variables of this process. `allowed` names more than the default ones.
    pub(in crate::host) fn from_process(allowed: &[String]) -> Self {
        Self::from_variables(
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
            allowed,
        )
    }

    fn from_variables(variables: impl Iterator<Item = (String, String)>, allowed: &[String]) -> Self {
        let is_passed = |name: &str| {
            !name.starts_with(OWN_PREFIX)
                && (DEFAULT_VARIABLES.contains(&name) || allowed.iter().any(|allowed| allowed == name))
        };
        let mut passed: BTreeMap<_, _> = variables.filter(|(name, _)| is_passed(name)).collect();
        passed.entry("PATH".to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
        CommandEnvironment(passed)
    }

    /// Returns all variables, with `more` in precedence.
    pub(in crate::host) fn with(&self, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = self.0.clone();
        all.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }

    /// Returns the home folder.
    pub(in crate::host) fn home(&self) -> PathBuf {
        self.0.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute()).unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Returns the `PATH`.
    pub(in crate::host) fn path(&self) -> &str {
        self.0.get("PATH").map_or(DEFAULT_PATH, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_and_allowed_variables_are_inherited() {
        let given =
            [("PATH", "/p"), ("HOME", "/h"), ("SECRET", "s"), ("OK", "1"), ("BAA_SHARED_TOKEN", "t"), ("baa", "x")];
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let allowed = ["OK", "BAA_SHARED_TOKEN"].map(str::to_owned);
        let environment = CommandEnvironment::from_variables(given, &allowed);
        let more = BTreeMap::from([("HOME".to_owned(), "/other".to_owned()), ("NEW".to_owned(), "n".to_owned())]);
        let all = environment.with(&more);
        let shown: Vec<_> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["HOME=/other", "NEW=n", "OK=1", "PATH=/p"]);
        assert_eq!(environment.home(), PathBuf::from("/h"));
    }

    #[test]
    fn there_is_always_a_path_and_a_home() {
        let none = CommandEnvironment::from_variables(std::iter::empty(), &[]);
        assert_eq!((none.path(), none.home()), (DEFAULT_PATH, PathBuf::from("/")));
    }
}
