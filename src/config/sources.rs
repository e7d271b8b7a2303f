//! Reads the sources of a configuration: files, environment, options. The only part that accesses the system.

use super::layers::{ConfigError, ValueOrigin};
use crate::{
    telemetry::settings::LogFormat,
    trusted::{FileSecrecy, TrustError, TrustedFile},
};
use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Configuration options of the command line.
#[derive(Clone, Debug, Default)]
pub struct ConfigOptions {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--log`.
    pub log: Option<String>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

/// The sources of a configuration, in ascending precedence: files, environment, options.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// Path and text of each file.
    pub files: Vec<(PathBuf, String)>,
    /// Environment of the process.
    pub environment: Vec<(String, String)>,
    /// Options of the command line.
    pub options: ConfigOptions,
    /// Host name of this machine.
    pub host_name: String,
    /// Warnings about files that were read.
    pub warnings: Vec<ConfigError>,
}

impl ConfigSources {
    /// Reads the user's file if it exists, the file of `--config`, and the environment of the process.
    pub fn read(options: ConfigOptions) -> Result<Self, Vec<ConfigError>> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let mut files = Vec::new();
        let default = default_file(|name| env::var_os(name)).map(|path| (path, false));
        for (path, is_required) in default.into_iter().chain(options.config.clone().map(|path| (path, true))) {
            match read(&path) {
                Ok((text, warning)) => {
                    warnings.extend(warning);
                    files.push((path, text));
                }
                Err(TrustError::Io(error)) if !is_required && error.kind() == io::ErrorKind::NotFound => {}
                Err(TrustError::Io(error)) => errors.push(unreadable(&path, &error)),
                Err(trust_error) => errors.push(untrusted(&path, &trust_error)),
            }
        }
        // A variable name that is not UTF-8 is none of ours; an invalid value is reported by its check.
        let text = |(name, value): (OsString, OsString)| {
            name.into_string().ok().map(|name| (name, value.to_string_lossy().into_owned()))
        };
        let environment = env::vars_os().filter_map(text).collect();
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let sources = ConfigSources { files, environment, options, host_name, warnings };
        if errors.is_empty() { Ok(sources) } else { Err(errors) }
    }
}

/// Reads a file that no other user can have written. Returns a warning if it contains a token that other users could read.
fn read(path: &Path) -> Result<(String, Option<ConfigError>), TrustError> {
    let mut file = TrustedFile::open(path)?;
    let text = file.read()?;
    if !holds_token(&text) {
        return Ok((text, None));
    }
    match file.secrecy() {
        FileSecrecy::Private => Ok((text, None)),
        FileSecrecy::Hidden(trust_error) => Ok((text, Some(exposed_token(path, &trust_error)))),
        FileSecrecy::Open(trust_error) => Err(trust_error),
    }
}

/// Returns whether the text sets a token; false if it is not TOML.
fn holds_token(text: &str) -> bool {
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let token = table.get("auth").and_then(|auth| auth.get("token"));
    token.is_some_and(|token| token.as_str() != Some(""))
}

fn exposed_token(path: &Path, trust_error: &TrustError) -> ConfigError {
    let reason = format!("is in a file that is not private: {trust_error}; or move the token to auth.token_file");
    ConfigError { origin: ValueOrigin::File(Arc::from(path)), key: Some("auth.token".to_owned()), reason }
}

fn untrusted(path: &Path, trust_error: &TrustError) -> ConfigError {
    if matches!(trust_error, TrustError::Readable { .. }) {
        return exposed_token(path, trust_error);
    }
    ConfigError {
        origin: ValueOrigin::File(Arc::from(path)),
        key: None,
        reason: format!("is not trusted: {trust_error}"),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError { origin: ValueOrigin::File(Arc::from(path)), key: None, reason: format!("cannot be read: {error}") }
}

/// Returns the path of `$XDG_CONFIG_HOME/baa-conductor/conductor.toml`, by default below `~/.config`.
fn default_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("baa-conductor/conductor.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_follows_xdg_and_never_the_working_directory() {
        let file = |xdg: Option<&str>, home: Option<&str>| {
            default_file(|name| if name == "HOME" { home } else { xdg }.map(OsString::from))
        };
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(file(Some("/c"), Some("/h")), at("/c/baa-conductor/conductor.toml"));
        assert_eq!(file(None, Some("/h")), at("/h/.config/baa-conductor/conductor.toml"));
        assert_eq!(file(Some("relative"), Some("/h")), at("/h/.config/baa-conductor/conductor.toml"));
        assert_eq!(file(Some(""), None), None);
    }

    #[test]
    fn a_missing_file_of_the_config_option_is_an_error_with_its_path() {
        let options = ConfigOptions { config: Some("/nowhere/conductor.toml".into()), ..ConfigOptions::default() };
        let errors = ConfigSources::read(options).unwrap_err();
        assert!(errors[0].to_string().starts_with("/nowhere/conductor.toml: cannot be read"), "{}", errors[0]);
    }
}
