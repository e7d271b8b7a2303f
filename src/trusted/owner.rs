//! Trusted owners of files, and private groups of a user.

use rustix::process::geteuid;
use std::{fs, sync::OnceLock};

/// Owner that the kernel reports for users without an id in this process's user namespace.
const UNMAPPED: u32 = 65_534;
/// Number of user ids of a namespace that maps all users.
const ALL_USERS: u64 = u32::MAX as u64;

/// Returns whether an owner is trusted: the user of this process, or root.
pub(super) fn is_trusted(owner: u32) -> bool {
    owner == geteuid().as_raw() || owner == 0 || (owner == UNMAPPED && !maps_all_users())
}

/// Returns whether the user namespace maps all users. If not, files of root have the unmapped owner.
fn maps_all_users() -> bool {
    static MAPS: OnceLock<bool> = OnceLock::new();
    // Without this file the system has no user namespaces.
    *MAPS.get_or_init(|| fs::read_to_string("/proc/self/uid_map").map_or(true, |map| covers_all(&map)))
}

fn covers_all(uid_map: &str) -> bool {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    uid_map.lines().filter_map(count).sum::<u64>() >= ALL_USERS
}

/// Returns whether a group is private to this user: the group of root, or the group with the user's id and no other member.
pub(super) fn is_private_group(group: u32) -> bool {
    group == 0
        || (group == geteuid().as_raw() && !has_others(&fs::read_to_string("/etc/group").unwrap_or_default(), group))
}

fn has_others(groups: &str, group: u32) -> bool {
    groups.lines().any(|line| {
        let mut fields = line.split(':');
        let (name, number, members) = (fields.next().unwrap_or_default(), fields.nth(1), fields.next());
        number.and_then(|number| number.parse().ok()) == Some(group)
            && members.unwrap_or_default().split(',').any(|member| !member.trim().is_empty() && member.trim() != name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_another_member_is_not_private() {
        let groups = "root:x:0:\nme:x:1000:\nself:x:1001:self\nteam:x:1002:me, you\nbroken\n";
        for (group, others) in [(1000, false), (1001, false), (1002, true), (1003, false)] {
            assert_eq!(has_others(groups, group), others, "{group}");
        }
    }

    #[test]
    fn only_the_initial_namespace_maps_all_users() {
        assert!(covers_all("         0          0 4294967295\n"));
        assert!(!covers_all("      1000       1000          1\n"));
        assert!(!covers_all(""));
    }
}
