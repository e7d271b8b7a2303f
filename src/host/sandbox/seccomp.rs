//! The seccomp filter of both sandboxes: system calls in the tables of [`super::syscalls`] are allowed, all others refused.
//!
//! ```text
//! newer than any allowed call, or in `ABSENT` ──► ENOSYS
//! of another architecture (32 bits)           ──► the process is killed
//! allowed                                     ──► proceeds
//! everything else                             ──► EPERM
//! ```

use super::syscalls::{self, ArgumentTest, CheckedCall};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};
use std::{collections::BTreeMap, env::consts::ARCH};

/// What else confines a command, so that the filter can allow more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherConfinement {
    /// Namespaces of users, mounts, processes, System V IPC and networks.
    pub(super) namespaces: bool,
    /// Devices are mounted read-only.
    pub(super) sealed_devices: bool,
    /// Signals cannot leave the sandbox.
    pub(super) confines_signals: bool,
}

impl OtherConfinement {
    /// Namespaces, which also confine signals.
    pub(super) fn with_namespaces(sealed_devices: bool) -> Self {
        OtherConfinement { namespaces: true, sealed_devices, confines_signals: true }
    }

    /// No namespaces.
    pub(super) fn without_namespaces(confines_signals: bool) -> Self {
        OtherConfinement { namespaces: false, sealed_devices: false, confines_signals }
    }
}

/// Checks whether the filter can be built for this architecture.
pub(super) fn check() -> Result<(), String> {
    program(OtherConfinement::without_namespaces(false)).map(drop)
}

/// Applies the filter to this thread and its future descendants.
pub(super) fn apply(other: OtherConfinement) -> Result<(), String> {
    apply_filter(&program(other)?).map_err(failed)
}

/// Returns the filter in the kernel's format, for a program that applies it.
pub(super) fn bytes(other: OtherConfinement) -> Result<Vec<u8>, String> {
    let instruction = |one: sock_filter| {
        let [code, k] = [&one.code.to_ne_bytes()[..], &one.k.to_ne_bytes()];
        [code, &[one.jt, one.jf], k].concat()
    };
    Ok(program(other)?.into_iter().flat_map(instruction).collect())
}

fn program(other: OtherConfinement) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(ARCH).map_err(failed)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let signals = if other.confines_signals { syscalls::SIGNALS } else { &[] };
    let times = if other.sealed_devices { syscalls::WITH_SEALED_DEVICES } else { &[] };
    for number in [syscalls::ALLOWED, syscalls::ALLOWED_OLD, signals, times].concat() {
        rules.insert(number, Vec::new());
    }
    let more = if other.namespaces {
        [syscalls::WITH_NAMESPACES, syscalls::WITH_NAMESPACES_OLD].concat()
    } else {
        syscalls::WITHOUT_NAMESPACES.to_vec()
    };
    for (number, rows) in [syscalls::CHECKED, syscalls::CHECKED_OLD, &more].concat() {
        rules.insert(number, seccomp_rules((number, rows))?);
    }
    let newest = rules.keys().max().copied().unwrap_or_default();
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch).map_err(failed)?;
    let mut program = enosys_prelude(newest)?;
    program.extend(BpfProgram::try_from(filter).map_err(failed)?);
    Ok(program)
}

/// Converts a table entry into rules: one for each combination of allowed values.
fn seccomp_rules((_, rows): CheckedCall) -> Result<Vec<SeccompRule>, String> {
    let mut rules = Vec::new();
    for row in rows {
        let mut choices = vec![Vec::new()];
        for test in *row {
            let conditions = conditions(*test)?;
            let with = |before: &Vec<_>| {
                conditions.iter().map(|one| [&before[..], std::slice::from_ref(one)].concat()).collect()
            };
            choices = choices.iter().flat_map(|before: &Vec<SeccompCondition>| -> Vec<_> { with(before) }).collect();
        }
        for choice in choices {
            rules.push(SeccompRule::new(choice).map_err(failed)?);
        }
    }
    Ok(rules)
}

/// Converts a test into alternative conditions.
fn conditions(test: ArgumentTest) -> Result<Vec<SeccompCondition>, String> {
    let one = |place: usize, compare, value: u32| {
        let place = u8::try_from(place).map_err(failed)?;
        SeccompCondition::new(place, Dword, compare, u64::from(value)).map_err(failed)
    };
    match test {
        ArgumentTest::OneOf(place, values) => values.iter().map(|value| one(place, SeccompCmpOp::Eq, *value)).collect(),
        ArgumentTest::Bits(place, mask, bits) => Ok(vec![one(place, SeccompCmpOp::MaskedEq(u64::from(mask)), bits)?]),
        ArgumentTest::AtMost(place, value) => Ok(vec![one(place, SeccompCmpOp::Le, value)?]),
    }
}

/// Builds the beginning of the filter, which answers unknown numbers and those in `ABSENT` with ENOSYS. Calls in x86's x32
/// form have numbers beyond all others.
fn enosys_prelude(newest: i64) -> Result<BpfProgram, String> {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_GREATER: u16 = 0x25;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let number = |number: i64| u32::try_from(number).map_err(failed);
    let not_here = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let mut program = vec![sock_filter { code: LOAD_NUMBER, jt: 0, jf: 0, k: 0 }];
    let mut refuse = |code, k| {
        program.push(sock_filter { code, jt: 0, jf: 1, k });
        program.push(sock_filter { code: RETURN, jt: 0, jf: 0, k: not_here });
    };
    refuse(JUMP_IF_GREATER, number(newest)?);
    for one in syscalls::ABSENT {
        refuse(JUMP_IF_EQUAL, number(*one)?);
    }
    Ok(program)
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("seccomp: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's maximum number of instructions.
    const MOST: usize = 4_096;

    #[test]
    fn every_filter_has_the_kernels_format_and_at_most_its_maximum_length() {
        for one in [false, true] {
            for other in [OtherConfinement::with_namespaces(one), OtherConfinement::without_namespaces(one)] {
                let program = program(other).unwrap();
                assert!(program.len() <= MOST, "{} instructions", program.len());
                assert_eq!(bytes(other).unwrap().len(), program.len() * 8);
            }
        }
    }

    #[test]
    fn no_call_stands_in_two_tables() {
        let more = [syscalls::WITH_NAMESPACES, syscalls::WITH_NAMESPACES_OLD].concat();
        for more in [more, syscalls::WITHOUT_NAMESPACES.to_vec()] {
            let checked = [syscalls::CHECKED, syscalls::CHECKED_OLD, &more].concat();
            let numbers =
                checked.iter().map(|(number, _)| number).chain(syscalls::ALLOWED).chain(syscalls::ALLOWED_OLD);
            let numbers = numbers.chain(syscalls::SIGNALS).chain(syscalls::ABSENT).chain(syscalls::WITH_SEALED_DEVICES);
            let mut numbers: Vec<_> = numbers.copied().collect();
            numbers.sort_unstable();
            let before = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), before);
        }
    }

    #[test]
    fn without_namespaces_no_call_is_allowed_that_changes_a_files_mode_owner_times_or_attributes() {
        let told = [syscalls::CHECKED, syscalls::CHECKED_OLD, syscalls::WITHOUT_NAMESPACES].concat();
        let told: Vec<_> =
            told.iter().map(|(number, _)| number).chain(syscalls::ALLOWED).chain(syscalls::ALLOWED_OLD).collect();
        let files =
            syscalls::WITH_NAMESPACES.iter().take(11).chain(syscalls::WITH_NAMESPACES_OLD).map(|(number, _)| number);
        for number in files.chain(syscalls::WITH_SEALED_DEVICES) {
            assert!(!told.contains(&number), "{number}");
        }
    }
}
