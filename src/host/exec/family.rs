//! A process and everything that it started: who that is, and how all of it is signalled.

use rustix::process::{Pid, Signal, kill_process};
use std::{collections::HashMap, fs};

/// Sends a signal to every descendant of `ancestor`, but not to `spared` ones; answers how many there are. What is started
/// while this looks may be missed: look again until nobody is left.
pub(super) fn signal(ancestor: Pid, signal: Signal, spared: impl Fn(Pid) -> bool) -> usize {
    let all = descendants(ancestor);
    let meant: Vec<_> = all.into_iter().filter(|pid| !spared(*pid)).collect();
    for pid in &meant {
        // One that has just ended, or that belongs to somebody else, is not there for us.
        let _ = kill_process(*pid, signal);
    }
    meant.len()
}

/// Every living descendant, parents before their children.
pub(super) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = living_child_of(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    found.remove(0);
    found
}

/// The parent in a line of `/proc/<pid>/stat`; nothing for a process that has ended. The name before it may hold anything.
fn living_child_of(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok().and_then(Pid::from_raw)?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_a_parent() {
        let parent = |stat| living_child_of(stat).map(|pid| pid.as_raw_pid());
        assert_eq!(parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) S 99 (b) R 7 12"), Some(7));
        assert_eq!(parent("12 (sh) Z 7 12"), None);
        assert_eq!(parent("12 (sh) S 0 0"), None);
        assert_eq!(parent(""), None);
    }
}
