//! Section `host_ops`: commands and files of this machine.

use crate::config::section::{SettingsSection, ValidationErrors, settings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The sandbox of commands and file operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SandboxLevel {
    /// No sandbox.
    Off,
    /// Landlock with a seccomp filter, and namespaces where available.
    Landlock,
    /// Namespaces made by Bubblewrap, with a seccomp filter.
    Bubblewrap,
}

/// Upper bound of `max_concurrent`: each command costs two processes and four pipes.
const CONCURRENT_MAX: u64 = 1_024;

/// Upper bound of `file_timeout_ms`: one hour.
const FILE_TIMEOUT_MS_MAX: u64 = 3_600_000;
/// Lower bound of `max_memory_bytes`: what a shell needs.
const MEMORY_BYTES_MIN: u64 = 4 << 20;
/// Upper bound of `max_memory_bytes` and `max_file_bytes`.
const BYTES_MAX: u64 = 1 << 50;
/// Upper bound of `max_processes`: the largest process id of Linux.
const PROCESSES_MAX: u64 = 1 << 22;
/// Upper bound of `max_cpu_ms`: one day on a hundred processors.
const CPU_MS_MAX: u64 = 100 * 86_400_000;

settings! {
    /// Commands and files of this machine.
    HostOpsSettings {
        /// Whether `/v1/exec` and `/v1/files` exist.
        enabled: bool = true,
        /// Folders (absolute paths) beneath which files may be read and written; empty = everywhere. Relative paths
        /// begin, and commands start, at the first one, by default in the home folder. Each is looked up once, at the
        /// start of the daemon.
        roots: Vec<PathBuf> = Vec::new(),
        /// Environment variables that commands get in addition to `PATH`, `HOME`, `LANG`, `TZ`, `TERM`, `USER` and
        /// `TMPDIR`; never one that begins with `BAA_`.
        env_allow: Vec<String> = Vec::new(),
        /// Concurrent commands; more wait.
        max_concurrent: usize = 4 => 1..=CONCURRENT_MAX,
        /// Milliseconds that a file operation waits for a slot (`busy` then), and again that it may take (`io_error`
        /// then; a write may still be carried out).
        #[advanced]
        file_timeout_ms: u64 = 30_000 => 1..=FILE_TIMEOUT_MS_MAX,
        /// Memory in bytes of a command with all processes that it starts.
        max_memory_bytes: u64 = 4 << 30 => MEMORY_BYTES_MIN..=BYTES_MAX,
        /// Concurrent processes and threads of a command.
        max_processes: u64 = 1_024 => 1..=PROCESSES_MAX,
        /// Size in bytes of each file that a command writes.
        max_file_bytes: u64 = 4 << 30 => 1..=BYTES_MAX,
        /// Processor time in milliseconds of a command with all processes that it starts.
        max_cpu_ms: u64 = 3_600_000 => 1..=CPU_MS_MAX,
        /// The sandbox of the operator's own commands and files: `"off"`, `"landlock"` or `"bubblewrap"`. One that is
        /// not available refuses them.
        sandbox: SandboxLevel = SandboxLevel::Off,
        /// Whether commands may run while the daemon runs as root.
        allow_root: bool = false,
    }
}

impl SandboxLevel {
    /// Returns the name as written in the configuration.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl HostOpsSettings {
    /// Reports every invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        for root in self.roots.iter().filter(|root| !root.is_absolute()) {
            errors.add("roots", format!("{root:?} must be an absolute path"));
        }
        for name in &self.env_allow {
            if name.is_empty() || name.contains(['=', '\0']) {
                errors.add("env_allow", format!("{name:?} is not the name of a variable"));
            } else if name.starts_with("BAA_") {
                errors.add("env_allow", format!("{name:?} may hold a secret of the daemon and is never handed on"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn host_operations_take_absolute_roots_and_none_of_our_own_variables() {
        let host: HostOpsSettings =
            toml::from_str("roots = [\"x\"]\nenv_allow = [\"BAA_SHARED_TOKEN\", \"\", \"OK\"]\nmax_concurrent = 0")
                .unwrap();
        assert_eq!(validation_errors(|errors| host.validate(errors)).len(), 4);
        let none: HostOpsSettings = toml::from_str(
            "max_memory_bytes = 0\nmax_processes = 0\nmax_file_bytes = 0\nmax_cpu_ms = 0\nfile_timeout_ms = 0",
        )
        .unwrap();
        assert_eq!(validation_errors(|errors| none.validate(errors)).len(), 5);
        assert!(validation_errors(|errors| HostOpsSettings::default().validate(errors)).is_empty());
        let many = HostOpsSettings { max_concurrent: 1_025, ..HostOpsSettings::default() };
        assert_eq!(validation_errors(|errors| many.validate(errors)).len(), 1);
    }
}
