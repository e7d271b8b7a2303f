//! A filter of system calls beside Landlock, which knows neither UDP nor (before its ninth version) sockets with a path:
//! no socket can be made at all, but pairs of them can. Neither can what undoes a sandbox or administers the machine.

use super::landlock::Signals;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use std::{collections::BTreeMap, env::consts::ARCH};

/// Ways to a network, or to other programs; around the filter; out of the sandbox; into the system.
const DENIED: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_quotactl,
    libc::SYS_acct,
];
/// Ways to signal a process, where Landlock does not keep signals inside.
const SIGNALS: &[i64] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
];
/// The bit that marks the same calls in x86's x32 form.
const X32: i64 = 0x4000_0000;

/// Whether the filter can be made for this machine.
pub(super) fn check() -> Result<(), String> {
    filter(Signals::Free).map(drop)
}

/// Filters the calls of this thread, and of everything that it starts from here on.
pub(super) fn apply(signals: Signals) -> Result<(), String> {
    apply_filter(&filter(signals)?).map_err(|error| format!("seccomp: {error}"))
}

fn filter(signals: Signals) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(ARCH).map_err(|error| format!("seccomp: {error}"))?;
    let more = if signals == Signals::Free { SIGNALS } else { &[] };
    let both = |number: i64| [Some(number), (ARCH == "x86_64").then_some(number | X32)];
    let numbers = DENIED.iter().chain(more).flat_map(|number| both(*number)).flatten();
    let rules: BTreeMap<_, _> = numbers.map(|number| (number, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch);
    filter.and_then(BpfProgram::try_from).map_err(|error| format!("seccomp: {error}"))
}
