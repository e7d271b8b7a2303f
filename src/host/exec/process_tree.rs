//! The descendants of a process: finds them, measures what they use, and signals them.

use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use std::{
    collections::{HashMap, HashSet},
    fs,
};

/// `USER_HZ`: 100 on every supported system.
const TICKS_PER_SECOND: u64 = 100;
/// Rounds of [`kill_descendants`] until no new descendant is found.
const KILL_ROUNDS_MAX: usize = 10_000;

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessInfo {
    pub(super) pid: Pid,
    /// The process group, unless it is in another pid namespace.
    pub(super) group: Option<Pid>,
    /// The number of threads, at least one.
    pub(super) tasks: u64,
    /// Processor time in milliseconds, with that of reaped children.
    pub(super) cpu_ms: u64,
}

impl ProcessInfo {
    /// Returns the resident memory in bytes, with shared memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_pid())).unwrap_or_default();
        parse_kilobytes(&status, "VmRSS:").unwrap_or(0)
    }
}

/// Sends a signal to every descendant of `ancestor` except `spared` ones, and returns how many there are. Processes that
/// start meanwhile may be missed: repeat until none is left.
pub(super) fn signal_descendants(ancestor: Pid, signal: Signal, spared: impl Fn(Pid) -> bool) -> usize {
    let all = descendants(ancestor);
    let targets: Vec<_> = all.into_iter().filter(|pid| !spared(*pid)).collect();
    for pid in &targets {
        // The process may have ended, or belong to another user.
        let _ = kill_process(*pid, signal);
    }
    targets.len()
}

/// Kills every descendant of `ancestor` except `spared` ones, until no new one is found.
///
/// Catches up with processes that keep forking: the lists of children take time in proportion to the descendants, not to
/// all processes of the machine, so that each round leaves fewer that can fork. Signal whole process groups first
/// ([`kill_descendant_groups`]): that is atomic with regard to forks.
pub(super) fn kill_descendants(ancestor: Pid, spared: impl Fn(Pid) -> bool) {
    let mut killed = HashSet::new();
    for _ in 0..KILL_ROUNDS_MAX {
        let targets = descendants_by_lists(ancestor).unwrap_or_else(|| descendants(ancestor)).into_iter();
        let fresh: Vec<_> = targets.filter(|pid| !spared(*pid) && killed.insert(*pid)).collect();
        if fresh.is_empty() {
            return;
        }
        for pid in fresh {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Kills every process group of a descendant, except that of this process.
pub(super) fn kill_descendant_groups(ancestor: Pid) {
    let own = getpgrp();
    let groups: HashSet<_> = living_descendants(ancestor).into_iter().filter_map(|process| process.group).collect();
    for group in groups.into_iter().filter(|group| *group != own) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Returns the children of a process, also zombies where the kernel lists them.
pub(super) fn children_of(parent: Pid) -> Vec<Pid> {
    child_lists(parent).unwrap_or_else(|| children_by_scan(parent))
}

fn children_by_scan(parent: Pid) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let is_child = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
        stat_fields(&stat).get(1).and_then(|field| field.parse().ok()) == Some(parent.as_raw_pid())
    };
    pids.filter(is_child).collect()
}

/// Returns the descendants by the kernel's lists of children; `None` where the kernel has none. A descendant may be
/// missing while others end.
fn descendants_by_lists(ancestor: Pid) -> Option<Vec<Pid>> {
    let mut found = child_lists(ancestor)?;
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(child_lists(pid).unwrap_or_default());
        next += 1;
    }
    Some(found)
}

fn child_lists(parent: Pid) -> Option<Vec<Pid>> {
    let mut found = None;
    for task in fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid())).ok()?.flatten() {
        if let Ok(list) = fs::read_to_string(task.path().join("children")) {
            let pids = list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
            found.get_or_insert_with(Vec::new).extend(pids);
        }
    }
    found
}

/// Returns the ids of all living descendants, parents first.
pub(super) fn descendants(ancestor: Pid) -> Vec<Pid> {
    living_descendants(ancestor).into_iter().map(|process| process.pid).collect()
}

/// Returns all living descendants, parents first.
pub(super) fn living_descendants(ancestor: Pid) -> Vec<ProcessInfo> {
    let mut children: HashMap<Pid, Vec<ProcessInfo>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, process)) = parse_living(pid, &stat) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        found.extend(children.remove(&process.pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// Returns the processor time of reaped children of this process, with their descendants', in milliseconds.
pub(super) fn cpu_ms_of_ended_children() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat_fields(&stat);
    ticks_ms(&fields, 13) + ticks_ms(&fields, 14)
}

/// Returns the number of processes and threads of all users; 0 where unknown.
pub(super) fn tasks_of_machine() -> u64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all = load.split_whitespace().nth(3).and_then(|tasks| tasks.split_once('/')?.1.parse().ok());
    all.unwrap_or(0)
}

/// Parses a line such as `VmRSS:   12 kB` into bytes.
pub(super) fn parse_kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Parses `/proc/<pid>/stat` into the parent and the process; `None` for a process that has ended.
fn parse_living(pid: Pid, stat: &str) -> Option<(Pid, ProcessInfo)> {
    let fields = stat_fields(stat);
    let parent = fields.get(1)?.parse().ok().and_then(Pid::from_raw)?;
    let group = fields.get(2)?.parse().ok().and_then(Pid::from_raw);
    let is_over = matches!(*fields.first()?, "Z" | "X");
    let tasks = fields.get(17).and_then(|tasks| tasks.parse().ok()).unwrap_or(1);
    let cpu_ms = (11..=14).map(|field| ticks_ms(&fields, field)).sum();
    (!is_over).then_some((parent, ProcessInfo { pid, group, tasks, cpu_ms }))
}

/// Returns the fields from the state on. The name before them may contain anything.
fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default()
}

fn ticks_ms(fields: &[&str], field: usize) -> u64 {
    let ticks = fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    ticks.saturating_mul(1_000 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpid;

    #[test]
    fn a_name_cannot_pass_for_a_parent() {
        let parent = |stat| parse_living(getpid(), stat).map(|(parent, _)| parent.as_raw_pid());
        assert_eq!(parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) S 99 (b) R 7 12"), Some(7));
        assert_eq!(parent("12 (sh) Z 7 12"), None);
        assert_eq!(parent("12 (sh) S 0 0"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn threads_and_time_are_read_from_a_stat_line() {
        let line = "12 (sh) S 7 12 12 0 -1 4194304 100 0 0 0 5 6 70 80 20 0 3 0 123 1000 200 0";
        let (_, process) = parse_living(getpid(), line).unwrap();
        assert_eq!((process.tasks, process.cpu_ms, process.group), (3, 1_610, Pid::from_raw(12)));
    }

    #[test]
    fn bytes_are_read_in_their_unit() {
        assert_eq!(parse_kilobytes("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12 << 10));
        assert_eq!(parse_kilobytes("VmRSS: x", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_found_by_either_way_and_killed() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert!(descendants(getpid()).contains(&pid));
        if let Some(found) = descendants_by_lists(getpid()) {
            assert!(found.contains(&pid));
        }
        assert!(children_of(getpid()).contains(&pid) && children_by_scan(getpid()).contains(&pid));
        kill_descendants(getpid(), |other| other != pid);
        assert!(!child.wait().unwrap().success());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_has_tasks_and_this_process_memory() {
        assert!(tasks_of_machine() > 0);
        let own = ProcessInfo { pid: getpid(), group: None, tasks: 1, cpu_ms: 0 };
        assert!(own.memory_bytes() > 1 << 20);
    }
}
