//! Looks at what a command with all that it started uses, and binds it to its limits.
//!
//! The kernel's own bounds hold for one process each, those of processes for all of a user, and for root not at all. So
//! they are set besides, as what holds between two looks; what counts is the sum that is looked up here.

use crate::host::exec::{
    limits::{CommandLimits, LimitKind, ResourceUsage},
    process_tree::{self, ProcessInfo},
};
use rustix::process::{Pid, getpid};
use std::{collections::HashSet, fs, time::Duration};
use tokio::time::Instant;

/// From the start to the first look, and least time between two.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// Least time between two looks of which nothing suggests that the second is needed.
const SAMPLE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Where the system tells nothing.
const NEVER: Duration = Duration::from_secs(86_400);
/// The same where looking takes long.
const SAMPLE_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How many times as long as a look the pause after it lasts at least, so that looking costs little.
const PAUSE_FACTOR: u32 = 40;
/// More processes and threads on the whole machine than at the last look, which call for another one.
const TASK_GROWTH: u64 = 32;
/// Beyond `max_processes`, what the kernel lets a user start: what the user's other programs may start meanwhile, and
/// room for a look to find too many.
const SPARE_TASKS: u64 = 256;
/// Processes of a sandbox that is one itself.
const WRAPPER_PROCESSES: u64 = 2;
/// How much sooner than others a command is ended when the machine runs out of memory.
const OOM_SCORE: &str = "500";

/// See the module.
pub(super) struct ResourceMeter {
    limits: CommandLimits,
    kernel: KernelLimits,
    next_sample_at: Instant,
    pause_until: Instant,
    /// On the whole machine, at the last look.
    tasks: u64,
    /// Processes that are known to be bound.
    limited: HashSet<Pid>,
}

impl ResourceMeter {
    /// That of a command which has just been started.
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

    /// When it is to be asked again.
    pub(super) fn next_sample_at(&self) -> Instant {
        self.next_sample_at
    }

    /// Which limit is exceeded, if it is time to look.
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
            // Memory that processes share was counted once for each of them.
            *limit != LimitKind::Memory || proportional_memory_bytes(&processes) > self.limits.memory_bytes
        });
        self.tasks = tasks;
        self.pause_until = Instant::now() + (now.elapsed() * PAUSE_FACTOR).clamp(SAMPLE_PAUSE_MIN, SAMPLE_PAUSE_MAX);
        exceeded
    }

    /// Binds what was started before its parent was bound; all others have their parent's bounds.
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
        // Of those that have ended and were waited for, their parent knows; of those that were left to us, this process.
        cpu_ms: sum(|process| process.cpu_ms).saturating_add(process_tree::cpu_ms_of_ended_children()),
    }
}

/// Memory of a family, of what processes share each one's share.
fn proportional_memory_bytes(processes: &[ProcessInfo]) -> u64 {
    let share = |process: &ProcessInfo| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid.as_raw_pid())).ok();
        text.and_then(|text| process_tree::parse_kilobytes(&text, "Pss:")).unwrap_or_else(|| process.memory_bytes())
    };
    processes.iter().map(share).fold(0, u64::saturating_add)
}

/// The kernel's own bounds of a process.
#[cfg(target_os = "linux")]
struct KernelLimits {
    data_bytes: u64,
    cpu_s: u64,
    tasks: u64,
}

#[cfg(target_os = "linux")]
impl KernelLimits {
    /// `tasks`: on the whole machine now, which is at least what this user has.
    fn new(limits: &CommandLimits, tasks: u64) -> Self {
        KernelLimits {
            data_bytes: limits.memory_bytes,
            cpu_s: limits.cpu_ms.div_ceil(1_000).max(1),
            tasks: tasks.saturating_add(limits.processes).saturating_add(SPARE_TASKS),
        }
    }

    /// Binds a process, and all that it starts from here on. One that has ended, or that is another user's by now, is
    /// not bound.
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
        // SIGXCPU first, which says why; a second later SIGKILL.
        let hard = most(Resource::Cpu, self.cpu_s + 1);
        set(Resource::Cpu, hard.min(self.cpu_s), hard);
        // Where the system has no such thing, its own choice stands.
        let _ = fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_pid()), OOM_SCORE);
    }

    /// Whether a process is bound already, or cannot be looked at.
    fn is_applied(&self, pid: Pid) -> bool {
        let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_pid())) else { return true };
        let line = limits.lines().find_map(|line| line.strip_prefix("Max data size"));
        let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        hard.is_some_and(|hard| hard <= self.data_bytes)
    }
}

/// Where limits of other processes cannot be set.
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
