//! The resource limits of a command, compared with its usage. Pure.

use crate::host::settings::HostOpsSettings;
use serde::{Deserialize, Serialize};

/// The resource limits of a command with all processes that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct CommandLimits {
    /// Memory in bytes, in total; the kernel also bounds each process.
    pub(super) memory_bytes: u64,
    /// Concurrent processes and threads.
    pub(super) processes: u64,
    /// Size of each file in bytes.
    pub(super) file_bytes: u64,
    /// Processor time in milliseconds, in total; the kernel also bounds each process, in whole seconds.
    pub(super) cpu_ms: u64,
}

impl CommandLimits {
    /// Returns the configured limits.
    pub(in crate::host) fn from_settings(settings: &HostOpsSettings) -> Self {
        CommandLimits {
            memory_bytes: settings.max_memory_bytes,
            processes: settings.max_processes,
            file_bytes: settings.max_file_bytes,
            cpu_ms: settings.max_cpu_ms,
        }
    }

    /// Returns the limit that the usage exceeds.
    pub(super) fn exceeded(&self, used: &ResourceUsage) -> Option<LimitKind> {
        if used.tasks > self.processes {
            Some(LimitKind::Processes)
        } else if used.memory_bytes > self.memory_bytes {
            Some(LimitKind::Memory)
        } else if used.cpu_ms > self.cpu_ms {
            Some(LimitKind::Cpu)
        } else {
            None
        }
    }
}

/// The kind of an exceeded limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
pub(in crate::host) enum LimitKind {
    /// Memory.
    #[strum(serialize = "max_memory_bytes")]
    Memory,
    /// Processes and threads.
    #[strum(serialize = "max_processes")]
    Processes,
    /// File size.
    #[strum(serialize = "max_file_bytes")]
    File,
    /// Processor time.
    #[strum(serialize = "max_cpu_ms")]
    Cpu,
}

impl LimitKind {
    /// Returns its setting in `host_ops`.
    pub(super) fn setting_name(self) -> &'static str {
        self.into()
    }
}

/// The current usage of a command with all processes that it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ResourceUsage {
    /// Processes and threads.
    pub(super) tasks: u64,
    /// Resident memory in bytes.
    pub(super) memory_bytes: u64,
    /// Processor time in milliseconds.
    pub(super) cpu_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_exceeded_above_its_value_and_not_at_it() {
        let limits = CommandLimits { memory_bytes: 100, processes: 10, file_bytes: 1, cpu_ms: 1_000 };
        let used = |tasks, memory_bytes, cpu_ms| ResourceUsage { tasks, memory_bytes, cpu_ms };
        for (used, limit) in [
            (used(10, 100, 1_000), None),
            (used(11, 100, 1_000), Some("max_processes")),
            (used(10, 101, 1_000), Some("max_memory_bytes")),
            (used(10, 100, 1_001), Some("max_cpu_ms")),
            (used(99, 999, 9_999), Some("max_processes")),
        ] {
            assert_eq!(limits.exceeded(&used).map(LimitKind::setting_name), limit, "{used:?}");
        }
    }
}
