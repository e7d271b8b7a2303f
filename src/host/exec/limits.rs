//! What a command may use of the machine, and what it was found to use. Pure.

use crate::host::settings::HostOpsSettings;
use serde::{Deserialize, Serialize};

/// The bounds of a command with all that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct CommandLimits {
    /// Bytes of memory, together; and of each process by the kernel.
    pub(super) memory_bytes: u64,
    /// Processes and threads at once.
    pub(super) processes: u64,
    /// Bytes of each file.
    pub(super) file_bytes: u64,
    /// Milliseconds on processors, together; and of each process by the kernel, in whole seconds.
    pub(super) cpu_ms: u64,
}

impl CommandLimits {
    /// Those that are configured.
    pub(in crate::host) fn from_settings(settings: &HostOpsSettings) -> Self {
        CommandLimits {
            memory_bytes: settings.max_memory_bytes,
            processes: settings.max_processes,
            file_bytes: settings.max_file_bytes,
            cpu_ms: settings.max_cpu_ms,
        }
    }

    /// Which of them is exceeded by what is used.
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

/// A bound that a command has run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) enum LimitKind {
    /// Of its memory.
    Memory,
    /// Of its processes.
    Processes,
    /// Of a file.
    File,
    /// Of its time on processors.
    Cpu,
}

impl LimitKind {
    /// Its setting in `host_ops`.
    pub(super) fn setting_name(self) -> &'static str {
        match self {
            LimitKind::Memory => "max_memory_bytes",
            LimitKind::Processes => "max_processes",
            LimitKind::File => "max_file_bytes",
            LimitKind::Cpu => "max_cpu_ms",
        }
    }
}

/// What a command with all that it started uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ResourceUsage {
    /// Processes and threads.
    pub(super) tasks: u64,
    /// Bytes that are in memory.
    pub(super) memory_bytes: u64,
    /// Milliseconds on processors so far.
    pub(super) cpu_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_its_bound_is_named_and_what_is_at_it_is_not() {
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
