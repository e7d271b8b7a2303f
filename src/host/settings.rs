//! Section `host_ops`: what may be done to this machine.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What commands and files are confined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxLevel {
    /// Nothing.
    Off,
    /// The kernel's Landlock, and a filter of system calls.
    Landlock,
    /// Namespaces of their own, made by Bubblewrap.
    Bubblewrap,
}

/// Most commands at once: each costs two processes and four pipes.
const CONCURRENT_MAX: u64 = 1_024;

/// Longest that a file operation may take.
const FILE_TIMEOUT_MS_MAX: u64 = 3_600_000;
/// Least memory: a shell needs as much.
const MEMORY_BYTES_MIN: u64 = 4 << 20;
/// Most bytes of memory, or of a file.
const BYTES_MAX: u64 = 1 << 50;
/// Most processes: what Linux numbers at most.
const PROCESSES_MAX: u64 = 1 << 22;
/// Most time on processors: a day's on a hundred of them.
const CPU_MS_MAX: u64 = 100 * 86_400_000;

settings! {
    /// Commands and files of this machine.
    HostOpsSettings {
        /// Whether the routes exist.
        enabled: bool = true,
        /// Folders beneath which files may be read and written; empty = everywhere.
        roots: Vec<PathBuf> = Vec::new(),
        /// Environment variables that commands get besides the usual ones.
        env_allow: Vec<String> = Vec::new(),
        /// Commands at once; more wait.
        max_concurrent: usize = 4,
        /// Milliseconds that a file operation waits for its turn, and as many that it may take.
        file_timeout_ms: u64 = 30_000,
        /// Bytes of memory of a command with all that it starts.
        max_memory_bytes: u64 = 4 << 30,
        /// Processes and threads of a command at once.
        max_processes: u64 = 1_024,
        /// Bytes of each file that a command writes.
        max_file_bytes: u64 = 4 << 30,
        /// Milliseconds that a command with all that it starts may use of processors.
        max_cpu_ms: u64 = 3_600_000,
        /// What the operator's own commands run in.
        sandbox: SandboxLevel = SandboxLevel::Off,
        /// Whether commands may run while the daemon runs as root.
        allow_root: bool = false,
    }
}

impl SandboxLevel {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            SandboxLevel::Off => "off",
            SandboxLevel::Landlock => "landlock",
            SandboxLevel::Bubblewrap => "bubblewrap",
        }
    }
}

impl HostOpsSettings {
    /// Names every value that cannot be.
    pub fn validate(&self, errors: &mut ValidationErrors) {
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
        errors.range("max_concurrent", self.max_concurrent as u64, 1, CONCURRENT_MAX);
        errors.range("file_timeout_ms", self.file_timeout_ms, 1, FILE_TIMEOUT_MS_MAX);
        errors.range("max_memory_bytes", self.max_memory_bytes, MEMORY_BYTES_MIN, BYTES_MAX);
        errors.range("max_processes", self.max_processes, 1, PROCESSES_MAX);
        errors.range("max_file_bytes", self.max_file_bytes, 1, BYTES_MAX);
        errors.range("max_cpu_ms", self.max_cpu_ms, 1, CPU_MS_MAX);
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
