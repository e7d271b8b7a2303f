//! Whose a file may be: this user's or root's, and whose groups are a user's alone.

use rustix::process::geteuid;
use std::{fs, sync::OnceLock};

/// The owner that the kernel names for users without a number in this process's user namespace.
const UNMAPPED: u32 = 65_534;
/// How many users there are where all have a number.
const ALL_USERS: u64 = u32::MAX as u64;

/// Whether an owner may decide what this process does: its own user, or root.
pub(super) fn is_trusted(owner: u32) -> bool {
    owner == geteuid().as_raw() || owner == 0 || (owner == UNMAPPED && !maps_all_users())
}

/// Whether every user has a number here. Elsewhere root's files look like nobody's.
fn maps_all_users() -> bool {
    static MAPS: OnceLock<bool> = OnceLock::new();
    // Without such a file there are no user namespaces.
    *MAPS.get_or_init(|| fs::read_to_string("/proc/self/uid_map").map_or(true, |map| covers_all(&map)))
}

fn covers_all(uid_map: &str) -> bool {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    uid_map.lines().filter_map(count).sum::<u64>() >= ALL_USERS
}

/// Whether a group is this user's alone: root's, or the one that has the user's own number and no other member.
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
    fn only_the_first_namespace_has_every_user() {
        assert!(covers_all("         0          0 4294967295\n"));
        assert!(!covers_all("      1000       1000          1\n"));
        assert!(!covers_all(""));
    }
}
