//! Looks at what a command with all that it started uses, and binds it to its limits.
//!
//! The kernel's own bounds hold for one process each, those of processes for all of a user, and for root not at all. So
//! they are set besides, as what holds between two looks; what counts is the sum that is looked up here.

use crate::host::exec::{
    family::{self, Process},
    limits::{Limit, Limits, Used},
};
use rustix::process::{Pid, getpid};
use std::{collections::HashSet, fs, time::Duration};
use tokio::time::Instant;

/// From the start to the first look, and least time between two.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Least time between two looks of which nothing suggests that the second is needed.
const QUIET: Duration = Duration::from_millis(100);
/// Where the system tells nothing.
const NEVER: Duration = Duration::from_secs(86_400);
/// The same where looking takes long.
const QUIET_MAX: Duration = Duration::from_millis(500);
/// How many times as long as a look the pause after it lasts at least, so that looking costs little.
const PAUSE_FACTOR: u32 = 40;
/// More processes and threads on the whole machine than at the last look, which call for another one.
const MORE_TASKS: u64 = 32;
/// Beyond `max_processes`, what the kernel lets a user start: what the user's other programs may start meanwhile, and
/// room for a look to find too many.
const SPARE_TASKS: u64 = 256;
/// Processes of a sandbox that is one itself.
const OF_WRAPPER: u64 = 2;
/// How much sooner than others a command is ended when the machine runs out of memory.
const OOM_SCORE: &str = "500";

/// See the module.
pub(super) struct Meter {
    limits: Limits,
    kernel: Kernel,
    next_look: Instant,
    quiet_until: Instant,
    /// On the whole machine, at the last look.
    tasks: u64,
    /// Processes that are known to be bound.
    bound: HashSet<Pid>,
}

impl Meter {
    /// That of a command which has just been started.
    pub(super) fn new(mut limits: Limits, command: Pid, wrapped: bool) -> Self {
        let now = Instant::now();
        let tasks = family::tasks_of_machine();
        let kernel = Kernel::new(&limits, tasks);
        kernel.bind(command);
        if wrapped {
            limits.processes = limits.processes.saturating_add(OF_WRAPPER);
        }
        let next_look = now + LOOK_EVERY;
        Meter { limits, kernel, next_look, quiet_until: next_look, tasks, bound: HashSet::from([command]) }
    }

    /// When it is to be asked again.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Which limit is exceeded, if it is time to look.
    pub(super) fn exceeded(&mut self) -> Option<Limit> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + if cfg!(target_os = "linux") { LOOK_EVERY } else { NEVER };
        let tasks = family::tasks_of_machine();
        if now < self.quiet_until && tasks < self.tasks.saturating_add(MORE_TASKS) {
            return None;
        }
        let family = family::processes(getpid());
        self.bind(&family);
        let exceeded = self.limits.exceeded(&used(&family)).filter(|limit| {
            // Memory that processes share was counted once for each of them.
            *limit != Limit::Memory || shares_of_memory(&family) > self.limits.memory_bytes
        });
        self.tasks = tasks;
        self.quiet_until = Instant::now() + (now.elapsed() * PAUSE_FACTOR).clamp(QUIET, QUIET_MAX);
        exceeded
    }

    /// Binds what was started before its parent was bound; all others have their parent's bounds.
    fn bind(&mut self, family: &[Process]) {
        for process in family {
            if !self.bound.contains(&process.pid) && !self.kernel.binds(process.pid) {
                self.kernel.bind(process.pid);
            }
        }
        self.bound = family.iter().map(|process| process.pid).collect();
    }
}

fn used(family: &[Process]) -> Used {
    let sum = |of: fn(&Process) -> u64| family.iter().map(of).fold(0, u64::saturating_add);
    Used {
        tasks: sum(|process| process.tasks),
        memory_bytes: sum(Process::memory_bytes),
        // Of those that have ended and were waited for, their parent knows; of those that were left to us, this process.
        cpu_ms: sum(|process| process.cpu_ms).saturating_add(family::cpu_ms_of_ended()),
    }
}

/// Memory of a family, of what processes share each one's share.
fn shares_of_memory(family: &[Process]) -> u64 {
    let share = |process: &Process| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid.as_raw_pid())).ok();
        text.and_then(|text| family::kilobytes(&text, "Pss:")).unwrap_or_else(|| process.memory_bytes())
    };
    family.iter().map(share).fold(0, u64::saturating_add)
}

/// The kernel's own bounds of a process.
#[cfg(target_os = "linux")]
struct Kernel {
    data_bytes: u64,
    cpu_s: u64,
    tasks: u64,
}

#[cfg(target_os = "linux")]
impl Kernel {
    /// `tasks`: on the whole machine now, which is at least what this user has.
    fn new(limits: &Limits, tasks: u64) -> Self {
        Kernel {
            data_bytes: limits.memory_bytes,
            cpu_s: limits.cpu_ms.div_ceil(1_000).max(1),
            tasks: tasks.saturating_add(limits.processes).saturating_add(SPARE_TASKS),
        }
    }

    /// Binds a process, and all that it starts from here on. One that has ended, or that is another user's by now, is
    /// not bound.
    fn bind(&self, pid: Pid) {
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
    fn binds(&self, pid: Pid) -> bool {
        let Ok(limits) = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_pid())) else { return true };
        let line = limits.lines().find_map(|line| line.strip_prefix("Max data size"));
        let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        hard.is_some_and(|hard| hard <= self.data_bytes)
    }
}

/// Where limits of other processes cannot be set.
#[cfg(not(target_os = "linux"))]
struct Kernel;

#[cfg(not(target_os = "linux"))]
impl Kernel {
    fn new(_: &Limits, _: u64) -> Self {
        Kernel
    }

    fn bind(&self, _: Pid) {}

    fn binds(&self, _: Pid) -> bool {
        true
    }
}
