//! The system calls that a confined command may make; all others are refused. In namespaces a command can only reach itself,
//! so that more is allowed; without them, a call that could affect something outside is refused even when it would not.

mod arguments;

use arguments::{DEVICE_CONTROLS, FILE_CONTROLS, PROCESS_CONTROLS};
use libc::*;

/// A test of an argument, given by its index from 0.
#[derive(Clone, Copy, Debug)]
pub(super) enum ArgumentTest {
    /// Equal to one of these values.
    OneOf(usize, &'static [u32]),
    /// Argument, mask, bits: within the mask, exactly these bits are set.
    Bits(usize, u32, u32),
    /// At most this value, unsigned.
    AtMost(usize, u32),
}
use ArgumentTest::{AtMost, Bits, OneOf};

/// A call that is allowed when all tests of one row hold.
pub(super) type CheckedCall = (c_long, &'static [&'static [ArgumentTest]]);

/// Allowed with any arguments.
pub(super) const ALLOWED: &[c_long] = &[
    // Files, which Landlock and mounts control, and descriptors.
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_faccessat,
    FACCESSAT2,
    SYS_chdir,
    SYS_fchdir,
    SYS_getcwd,
    SYS_dup,
    SYS_dup3,
    CLOSE_RANGE,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync,
    SYS_syncfs,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_getdents64,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_linkat,
    SYS_symlinkat,
    SYS_readlinkat,
    SYS_umask,
    SYS_statfs,
    SYS_fstatfs,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_copy_file_range,
    SYS_pipe2,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_fgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_flistxattr,
    // Waiting for descriptors.
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    EPOLL_PWAIT2,
    SYS_eventfd2,
    SYS_signalfd4,
    // Connected pairs of sockets.
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    // Memory.
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_remap_file_pages,
    SYS_msync,
    SYS_mincore,
    SYS_madvise,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_mlockall,
    SYS_munlockall,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_pkey_mprotect,
    SYS_memfd_create,
    SYS_membarrier,
    SYS_mbind,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    MAP_SHADOW_STACK,
    MSEAL,
    // The process and its descendants.
    SYS_execve,
    SYS_execveat,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getpgid,
    SYS_setpgid,
    SYS_getsid,
    SYS_setsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capget,
    SYS_capset,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_futex,
    FUTEX_WAITV,
    FUTEX_WAKE,
    FUTEX_WAIT,
    FUTEX_REQUEUE,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_times,
    SYS_getcpu,
    SYS_getrandom,
    SYS_sched_yield,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    // Signals and timers.
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_getitimer,
    SYS_setitimer,
    // Further confinement.
    SYS_seccomp,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_ADD_RULE,
    LANDLOCK_RESTRICT_SELF,
];

/// Older calls of this architecture.
#[cfg(target_arch = "x86_64")]
pub(super) const ALLOWED_OLD: &[c_long] = &[
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_pipe,
    SYS_dup2,
    SYS_fork,
    SYS_vfork,
    SYS_rename,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_unlink,
    SYS_symlink,
    SYS_readlink,
    SYS_getdents,
    SYS_getpgrp,
    SYS_alarm,
    SYS_pause,
    SYS_time,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_signalfd,
    SYS_arch_prctl,
    SYS_renameat,
    SYS_sync_file_range,
    SYS_getrlimit,
    SYS_setrlimit,
];
/// Older calls of other architectures, which share their numbers.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALLOWED_OLD: &[c_long] = &[
    38,  // renameat
    84,  // sync_file_range
    163, // getrlimit
    164, // setrlimit
];

/// Allowed with certain arguments.
pub(super) const CHECKED: &[CheckedCall] = &[
    (SYS_openat, &[&[Bits(2, CREATES, 0)], &[NO_SETUID[3]]]),
    (SYS_mknodat, &[&[NO_SETUID[2]]]),
    (SYS_fcntl, &[&[OneOf(1, FILE_CONTROLS)]]),
    (SYS_ioctl, &[&[OneOf(1, DEVICE_CONTROLS)]]),
    (SYS_socketpair, &[&[OneOf(0, &[AF_UNIX.cast_unsigned()]), OneOf(1, CONNECTED)]]),
    // With an address it could reach a socket of another process.
    (SYS_sendto, &[&[OneOf(4, &[0])]]),
    (SYS_clone, &[&[Bits(0, NAMESPACES, 0)]]),
    (SYS_prctl, &[&[OneOf(0, PROCESS_CONTROLS)]]),
    // Queries the personality, or sets the default one.
    (SYS_personality, &[&[OneOf(0, &[0, u32::MAX])]]),
    (SYS_prlimit64, &[&[ITSELF]]),
    (SYS_get_robust_list, &[&[ITSELF]]),
];
#[cfg(target_arch = "x86_64")]
pub(super) const CHECKED_OLD: &[CheckedCall] = &[
    (SYS_open, &[&[Bits(1, CREATES, 0)], &[NO_SETUID[2]]]),
    (SYS_creat, &[&[NO_SETUID[1]]]),
    (SYS_mknod, &[&[NO_SETUID[1]]]),
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const CHECKED_OLD: &[CheckedCall] = &[];

/// Allowed in namespaces: writable files belong to the sandbox, and there are no other processes.
pub(super) const WITH_NAMESPACES: &[CheckedCall] = &[
    (SYS_fchmod, &[&[NO_SETUID[1]]]),
    (SYS_fchmodat, &[&[NO_SETUID[2]]]),
    (FCHMODAT2, &[&[NO_SETUID[2]]]),
    (SYS_fchown, ANY),
    (SYS_fchownat, ANY),
    (SYS_setxattr, ANY),
    (SYS_lsetxattr, ANY),
    (SYS_fsetxattr, ANY),
    (SYS_removexattr, ANY),
    (SYS_lremovexattr, ANY),
    (SYS_fremovexattr, ANY),
    (SYS_getpriority, ANY),
    (SYS_setpriority, ANY),
    (SYS_ioprio_get, ANY),
    (SYS_ioprio_set, ANY),
    (SYS_sched_getaffinity, ANY),
    (SYS_sched_setaffinity, ANY),
    (SYS_sched_getscheduler, ANY),
    (SYS_sched_setscheduler, ANY),
    (SYS_sched_getparam, ANY),
    (SYS_sched_setparam, ANY),
    (SYS_sched_getattr, ANY),
    (SYS_sched_setattr, ANY),
    (SYS_sched_rr_get_interval, ANY),
    (SYS_clock_gettime, ANY),
    (SYS_clock_getres, ANY),
    (SYS_clock_nanosleep, ANY),
    (SYS_timer_create, ANY),
];
#[cfg(target_arch = "x86_64")]
pub(super) const WITH_NAMESPACES_OLD: &[CheckedCall] =
    &[(SYS_chmod, &[&[NO_SETUID[1]]]), (SYS_chown, ANY), (SYS_lchown, ANY)];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const WITH_NAMESPACES_OLD: &[CheckedCall] = &[];

/// Allowed when devices, whose times every user with write access can change, are mounted read-only too.
#[cfg(target_arch = "x86_64")]
pub(super) const WITH_SEALED_DEVICES: &[c_long] = &[SYS_utimensat, SYS_utime, SYS_utimes, SYS_futimesat];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const WITH_SEALED_DEVICES: &[c_long] = &[SYS_utimensat];

/// Allowed without namespaces: calls that can only name the calling process. Modes, owners, times and attributes of files
/// cannot be changed, since a filter cannot see the file.
pub(super) const WITHOUT_NAMESPACES: &[CheckedCall] = &[
    (SYS_getpriority, &[&[OneOf(0, &[PRIORITY_OF_A_PROCESS]), OneOf(1, &[0])]]),
    (SYS_setpriority, &[&[OneOf(0, &[PRIORITY_OF_A_PROCESS]), OneOf(1, &[0])]]),
    (SYS_ioprio_get, &[&[OneOf(0, &[IOPRIO_WHO_PROCESS]), OneOf(1, &[0])]]),
    (SYS_ioprio_set, &[&[OneOf(0, &[IOPRIO_WHO_PROCESS]), OneOf(1, &[0])]]),
    (SYS_sched_getaffinity, &[&[ITSELF]]),
    (SYS_sched_setaffinity, &[&[ITSELF]]),
    (SYS_sched_getscheduler, &[&[ITSELF]]),
    (SYS_sched_setscheduler, &[&[ITSELF]]),
    (SYS_sched_getparam, &[&[ITSELF]]),
    (SYS_sched_setparam, &[&[ITSELF]]),
    (SYS_sched_getattr, &[&[ITSELF]]),
    (SYS_sched_setattr, &[&[ITSELF]]),
    (SYS_sched_rr_get_interval, &[&[ITSELF]]),
    // Larger numbers are clocks of other processes.
    (SYS_clock_gettime, &[&[AtMost(0, CLOCKS)]]),
    (SYS_clock_getres, &[&[AtMost(0, CLOCKS)]]),
    (SYS_clock_nanosleep, &[&[AtMost(0, CLOCKS)]]),
    (SYS_timer_create, &[&[AtMost(0, CLOCKS)]]),
];

/// Allowed when signals are confined by other means.
pub(super) const SIGNALS: &[c_long] =
    &[SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, PIDFD_SEND_SIGNAL];

/// Answered with ENOSYS: programs then do without, or use a call whose arguments a filter can see.
pub(super) const ABSENT: &[c_long] = &[CLONE3, OPENAT2, PIDFD_OPEN, IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER];

const ANY: &[&[ArgumentTest]] = &[];
/// The calling process.
const ITSELF: ArgumentTest = OneOf(0, &[0]);
/// No set-user-ID or set-group-ID bits, which would let another user run the file outside of the sandbox. By the index of
/// the mode argument.
const NO_SETUID: [ArgumentTest; 4] = [Bits(0, 0o6000, 0), Bits(1, 0o6000, 0), Bits(2, 0o6000, 0), Bits(3, 0o6000, 0)];
/// The flags with which a call that opens a file takes a mode: `O_CREAT` and `O_TMPFILE`'s own bit.
const CREATES: u32 = (O_CREAT | (O_TMPFILE & !O_DIRECTORY)).cast_unsigned();
/// Socket types that stay connected, with both allowed flags.
const CONNECTED: &[u32] = &{
    const STREAM: u32 = SOCK_STREAM.cast_unsigned();
    const PACKETS: u32 = SOCK_SEQPACKET.cast_unsigned();
    const CLOSING: u32 = SOCK_CLOEXEC.cast_unsigned();
    const WAITLESS: u32 = SOCK_NONBLOCK.cast_unsigned();
    [
        STREAM,
        STREAM | CLOSING,
        STREAM | WAITLESS,
        STREAM | CLOSING | WAITLESS,
        PACKETS,
        PACKETS | CLOSING,
        PACKETS | WAITLESS,
        PACKETS | CLOSING | WAITLESS,
    ]
};
const NAMESPACES: u32 =
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
        .cast_unsigned();
/// `PRIO_PROCESS`, whose type differs between C libraries.
const PRIORITY_OF_A_PROCESS: u32 = 0;
const IOPRIO_WHO_PROCESS: u32 = 1;
/// The largest id of a clock that does not belong to a process.
const CLOCKS: u32 = 15;

// From 424 on, numbers are the same on every architecture; not every C library has all names.
const PIDFD_SEND_SIGNAL: c_long = 424;
const IO_URING_SETUP: c_long = 425;
const IO_URING_ENTER: c_long = 426;
const IO_URING_REGISTER: c_long = 427;
const PIDFD_OPEN: c_long = 434;
const CLONE3: c_long = 435;
const CLOSE_RANGE: c_long = 436;
const OPENAT2: c_long = 437;
const FACCESSAT2: c_long = 439;
const EPOLL_PWAIT2: c_long = 441;
const LANDLOCK_CREATE_RULESET: c_long = 444;
const LANDLOCK_ADD_RULE: c_long = 445;
const LANDLOCK_RESTRICT_SELF: c_long = 446;
const FUTEX_WAITV: c_long = 449;
const FCHMODAT2: c_long = 452;
const MAP_SHADOW_STACK: c_long = 453;
const FUTEX_WAKE: c_long = 454;
const FUTEX_WAIT: c_long = 455;
const FUTEX_REQUEUE: c_long = 456;
const MSEAL: c_long = 462;
