//! Measures what a command with its descendants uses, and applies kernel limits to them.
//!
//! Kernel limits hold per process, the limit of processes per user and not for root. They bound what happens between two
//! samples; the sum over all processes that is sampled here decides.

use crate::host::exec::{
    limits::{CommandLimits, LimitKind, ResourceUsage},
    process_tree::{self, ProcessInfo},
};
use rustix::process::{Pid, getpid};
use std::{collections::HashSet, fs, time::Duration};
use tokio::time::Instant;

/// Time to the first sample, and minimum time between checks.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// Minimum pause after a sample, unless the number of tasks grows.
const SAMPLE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The interval where the system reports nothing.
const NEVER: Duration = Duration::from_secs(86_400);
/// Maximum pause after a slow sample.
const SAMPLE_PAUSE_MAX: Duration = Duration::from_millis(500);
/// The pause after a sample in multiples of its duration, which bounds the cost of sampling.
const PAUSE_FACTOR: u32 = 40;
/// Growth of the machine's processes and threads that triggers a sample within the pause.
const TASK_GROWTH: u64 = 32;
/// Added to the kernel's limit of processes: for other programs of the user, and so that a sample can find too many.
const SPARE_TASKS: u64 = 256;
/// Processes of a sandbox around the command.
const WRAPPER_PROCESSES: u64 = 2;
/// `oom_score_adj` of commands, so that they are killed first when the machine runs out of memory.
const OOM_SCORE: &str = "500";

/// Samples the usage of a command.
pub(super) struct ResourceMeter {
    limits: CommandLimits,
    kernel: KernelLimits,
    next_sample_at: Instant,
    pause_until: Instant,
    /// Processes and threads of the machine at the last sample.
    tasks: u64,
    /// Processes that have kernel limits.
    limited: HashSet<Pid>,
}

impl ResourceMeter {
    /// Creates the meter of a command that was just started, and applies kernel limits to it.
    pub(super) fn new(mut limits: CommandLimits, command: Pid, wrapped: bool) -> Self {
        let now = Instant::now();
        let tasks = process_tree::tasks_of_machine();
        let kernel = KernelLimits::new(&limits, tasks);
        kernel.apply(command);
        if wrapped {
            limits.processes = limits.processes.saturating_add(WRAPPER_PROCESSES);
        }
        let next_sample_at = now + SAMPLE_INTERVAL;
        ResourceMeter {
            limits,
            kernel,
            next_sample_at,
            pause_until: next_sample_at,
            tasks,
            limited: HashSet::from([command]),
        }
    }

    /// Returns when to check again.
    pub(super) fn next_sample_at(&self) -> Instant {
        self.next_sample_at
    }

    /// Takes a sample if it is due, and returns an exceeded limit.
    pub(super) fn exceeded(&mut self) -> Option<LimitKind> {
        let now = Instant::now();
        if now < self.next_sample_at {
            return None;
        }
        self.next_sample_at = now + if cfg!(target_os = "linux") { SAMPLE_INTERVAL } else { NEVER };
        let tasks = process_tree::tasks_of_machine();
        if now < self.pause_until && tasks < self.tasks.saturating_add(TASK_GROWTH) {
            return None;
        }
        let processes = process_tree::living_descendants(getpid());
        self.apply_limits(&processes);
        let exceeded = self.limits.exceeded(&usage_of(&processes)).filter(|limit| {
            // Shared memory was counted once per process.
            *limit != LimitKind::Memory || proportional_memory_bytes(&processes) > self.limits.memory_bytes
        });
        self.tasks = tasks;
        self.pause_until = Instant::now() + (now.elapsed() * PAUSE_FACTOR).clamp(SAMPLE_PAUSE_MIN, SAMPLE_PAUSE_MAX);
        exceeded
    }

    /// Applies kernel limits to processes that were started before their parent had them; others inherited them.
    fn apply_limits(&mut self, processes: &[ProcessInfo]) {
        for process in processes {
            if !self.limited.contains(&process.pid) && !self.kernel.is_applied(process.pid) {
                self.kernel.apply(process.pid);
            }
        }
        self.limited = processes.iter().map(|process| process.pid).collect();
    }
}

fn usage_of(processes: &[ProcessInfo]) -> ResourceUsage {
    let sum = |of: fn(&ProcessInfo) -> u64| processes.iter().map(of).fold(0, u64::saturating_add);
    ResourceUsage {
        tasks: sum(|process| process.tasks),
        memory_bytes: sum(ProcessInfo::memory_bytes),
        // Reaped processes count at their parent; adopted and reaped ones count at this process.
        cpu_ms: sum(|process| process.cpu_ms).saturating_add(process_tree::cpu_ms_of_ended_children()),
    }
}

/// Returns the memory of processes, with shared memory divided among its users.
fn proportional_memory_bytes(processes: &[ProcessInfo]) -> u64 {
    let share = |process: &ProcessInfo| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid.as_raw_pid())).ok();
        text.and_then(|text| process_tree::parse_kilobytes(&text, "Pss:")).unwrap_or_else(|| process.memory_bytes())
    };
    processes.iter().map(share).fold(0, u64::saturating_add)
}

/// Kernel limits of a process.
#[cfg(target_os = "linux")]
struct KernelLimits {
    data_bytes: u64,
    cpu_s: u64,
    tasks: u64,
}

#[cfg(target_os = "linux")]
impl KernelLimits {
    /// `tasks` is the current number on the whole machine, an upper bound of those of this user.
    fn new(limits: &CommandLimits, tasks: u64) -> Self {
        KernelLimits {
            data_bytes: limits.memory_bytes,
            cpu_s: limits.cpu_ms.div_ceil(1_000).max(1),
            tasks: tasks.saturating_add(limits.processes).saturating_add(SPARE_TASKS),
        }
    }

    /// Applies the limits to a process and its future descendants. Does nothing for one that has ended or that belongs to
    /// another user.
    fn apply(&self, pid: Pid) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        let most = |resource, value: u64| getrlimit(resource).maximum.map_or(value, |most| most.min(value));
        let set = |resource, soft: u64, hard: u64| {
            let _ = prlimit(Some(pid), resource, Rlimit { current: Some(soft), maximum: Some(hard) });
        };
        let data = most(Resource::Data, self.data_bytes);
        set(Resource::Data, data, data);
        let tasks = most(Resource::Nproc, self.tasks);
        set(Resource::Nproc, tasks, tasks);
        // SIGXCPU first, which shows the reason; one second later SIGKILL.
        let hard = most(Resource::Cpu, self.cpu_s + 1);
        set(Resource::Cpu, hard.min(self.cpu_s), hard);
        // Best effort.
        let _ = fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_pid()), OOM_SCORE);
    }

    /// Returns whether a process has the limits already, or cannot be inspected.
    fn is_applied(&self, pid: Pid) -> bool {
        let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_pid())) else { return true };
        let line = limits.lines().find_map(|line| line.strip_prefix("Max data size"));
        let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        hard.is_some_and(|hard| hard <= self.data_bytes)
    }
}

/// Kernel limits of other processes are not supported here.
#[cfg(not(target_os = "linux"))]
struct KernelLimits;

#[cfg(not(target_os = "linux"))]
impl KernelLimits {
    fn new(_: &CommandLimits, _: u64) -> Self {
        KernelLimits
    }

    fn apply(&self, _: Pid) {}

    fn is_applied(&self, _: Pid) -> bool {
        true
    }
}
