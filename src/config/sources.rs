//! Reads what a configuration is made of: files, the environment, the options. The only part that touches the system.

use super::layers::{Fault, Origin};
use crate::telemetry::settings::Format;
use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--log`.
    pub log: Option<String>,
    /// `--log-format`.
    pub log_format: Option<Format>,
}

/// Everything a configuration is made of, later ones winning: files, environment, options.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Each file's path and text.
    pub files: Vec<(PathBuf, String)>,
    /// The process's environment.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub options: Options,
    /// What the system calls this machine.
    pub host_name: String,
}

impl Sources {
    /// Reads the user's file if there is one, the file of `--config`, and the environment of this process.
    pub fn read(options: Options) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut files = Vec::new();
        let usual = usual_file(|name| env::var_os(name)).map(|path| (path, false));
        for (path, wanted) in usual.into_iter().chain(options.config.clone().map(|path| (path, true))) {
            match fs::read_to_string(&path) {
                Ok(text) => files.push((path, text)),
                Err(error) if !wanted && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => faults.push(unreadable(&path, &error)),
            }
        }
        // A name that is no text cannot be one of ours; a value that is none is found wrong where it is checked.
        let text = |(name, value): (OsString, OsString)| {
            name.into_string().ok().map(|name| (name, value.to_string_lossy().into_owned()))
        };
        let environment = env::vars_os().filter_map(text).collect();
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if faults.is_empty() { Ok(Sources { files, environment, options, host_name }) } else { Err(faults) }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault { origin: Origin::File(Arc::from(path)), key: None, reason: format!("cannot be read: {error}") }
}

/// `$XDG_CONFIG_HOME/baa-conductor/conductor.toml`, or that below `~/.config`.
fn usual_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("baa-conductor/conductor.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_file_follows_xdg_and_never_the_working_directory() {
        let file = |xdg: Option<&str>, home: Option<&str>| {
            usual_file(|name| if name == "HOME" { home } else { xdg }.map(OsString::from))
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(file(Some("/c"), Some("/h")), at("/c/baa-conductor/conductor.toml"));
        assert_eq!(file(None, Some("/h")), at("/h/.config/baa-conductor/conductor.toml"));
        assert_eq!(file(Some("relative"), Some("/h")), at("/h/.config/baa-conductor/conductor.toml"));
        assert_eq!(file(Some(""), None), None);
    }

    #[test]
    fn a_missing_file_that_was_asked_for_is_a_fault_that_names_it() {
        let options = Options { config: Some("/nowhere/conductor.toml".into()), ..Options::default() };
        let faults = Sources::read(options).unwrap_err();
        assert!(faults[0].to_string().starts_with("/nowhere/conductor.toml: cannot be read"), "{}", faults[0]);
    }
}
