//! The process beside each command: starts it, counts and cuts its output, ends it with everything that it started, and
//! says what became of it.
//!
//! ```text
//! running ──┬─ ended, out of time, told to stop, daemon gone ──► SIGTERM to all that is left ── 2 s ──► SIGKILL, again and again
//!           └─ a limit is exceeded ──────────────────────────────────────────────────────────────────────┘        │
//!                                                                           its own folder is removed ◄── over ◄──┘
//! ```
//!
//! It also sweeps what earlier ones left behind when they were killed, in a process without a command.
//!
//! It is single-minded on purpose: it knows no configuration and no secret, and what it was not told in its plan it cannot
//! do. Threads wait (for processes, for the daemon, for output) and say so in one queue; one loop decides.

mod meter;
mod start;
mod streams;
mod watch;

use super::{
    limits::{CommandLimits, LimitKind},
    plan::{self, CommandPlan, CommandReport, StartError, SupervisorOrder, SupervisorReport},
    process_tree,
};
use crate::{
    clock::Clock,
    host::sandbox::{CommandExit, HeldFolder, sweep},
};
use rustix::{
    fs::FlockOperation,
    process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getrlimit, setrlimit, setsid, wait},
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};
use streams::OutputStreams;
use tokio::time::Instant;
use watch::{CommandWatch, StopReason};

/// The subcommand that is this.
pub(super) const COMMAND: &str = "supervise-command";
/// How far this process is ahead of its command where it may be: as far as can be.
#[cfg(target_os = "linux")]
const SUPERVISOR_NICENESS: i32 = -20;
/// How long the removal of a command's own folder may keep its answer waiting.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(2);
/// The same when the answer is waited for by a daemon that stops, or by nobody.
const REMOVAL_TIMEOUT_STOPPED: Duration = Duration::from_millis(500);
/// How long it may take when there is no daemon any more to do it later.
const REMOVAL_TIMEOUT_ORPHANED: Duration = Duration::from_secs(60);
/// How long a sweep may take; what it leaves is for the next one.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(600);
/// The first descriptor that is none of the three streams.
const FIRST_NON_STANDARD_FD: i32 = 3;
/// Open files that a command may have unless it raises the number; the daemon's own is far higher, and some programs
/// close every one that they could have.
const OPEN_FILES_MAX: u64 = 1_024;

/// Something that one of the threads waited for.
enum SupervisorEvent {
    /// A process has ended.
    Ended(Pid, WaitStatus),
    /// No process is left that we could wait for.
    NoChildren,
    /// The daemon wants the command to stop, or is gone.
    Stop,
    /// A stream of output is at its end.
    StreamEnded,
}

/// Supervises one command: reads the plan from stdin, which is a socket, and writes the report to it.
pub fn supervise() -> ExitCode {
    match execute_order() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn execute_order() -> io::Result<()> {
    // What whoever started the daemon left open is not for commands, whatever confines them.
    close_fds::set_fds_cloexec_threadsafe(FIRST_NON_STANDARD_FD, &[]);
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    match plan::read_frame(&socket).ok_or(io::ErrorKind::InvalidData)? {
        SupervisorOrder::Run(plan) => supervise_command(*plan, socket),
        SupervisorOrder::Sweep { within } => {
            // Whatever ends the daemon ends this.
            let stop = socket.try_clone()?;
            thread::spawn(move || {
                wait_for_stop(stop);
                std::process::exit(1);
            });
            let report = SupervisorReport::Swept(sweep(&within, Instant::now() + SWEEP_TIMEOUT));
            socket.write_all(&serde_json::to_vec(&report)?)
        }
    }
}

fn supervise_command(plan: CommandPlan, mut socket: File) -> io::Result<()> {
    set_up_process()?;
    let folder = match plan.command_folder.as_deref().map(lock_folder).transpose() {
        Ok(folder) => folder,
        Err(error) => {
            let report =
                SupervisorReport::NotStarted(StartError::Sandbox(format!("its own folder cannot be held: {error}")));
            return socket.write_all(&serde_json::to_vec(&report)?);
        }
    };
    // A command's write beyond it fails; this process writes no file.
    lower_limit(Resource::Fsize, plan.limits.file_bytes)?;
    let report = run(plan, socket.try_clone()?)?;
    let stopped = matches!(&report, SupervisorReport::Ran(ran) if ran.cancelled);
    let within = if stopped { REMOVAL_TIMEOUT_STOPPED } else { REMOVAL_TIMEOUT };
    let is_left = folder.as_ref().is_some_and(|folder| folder.remove(Instant::now() + within).is_err());
    let sent = socket.write_all(&serde_json::to_vec(&report)?);
    if let Some(folder) = folder.filter(|_| is_left && sent.is_err()) {
        // What stays now is swept by the next daemon.
        let _ = folder.remove(Instant::now() + REMOVAL_TIMEOUT_ORPHANED);
    }
    sent
}

/// Holds the command's own folder, so that no sweep takes it and no other one can stand for it.
fn lock_folder(path: &Path) -> io::Result<HeldFolder> {
    let folder = HeldFolder::open(path)?;
    let locked = folder.lock(FlockOperation::NonBlockingLockShared)? && folder.is_there();
    if locked { Ok(folder) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Makes this process one that nothing outlives.
fn set_up_process() -> io::Result<()> {
    // Where it leads a session already, it need not.
    let _ = setsid();
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let files = getrlimit(Resource::Nofile);
    let current = files.maximum.map_or(OPEN_FILES_MAX, |most| most.min(OPEN_FILES_MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: files.maximum })?;
    lower_limit(Resource::Core, 0)
}

/// Lowers a limit of this process and of all that it starts, for good.
fn lower_limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Keeps this process from being looked into by the command, and from waiting behind it.
#[cfg(target_os = "linux")]
fn protect_process() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior, setpriority_process};
    // Only root may go before others; of all users, root's commands alone may start as many processes as they like.
    let _ = setpriority_process(None, SUPERVISOR_NICENESS);
    // It holds no secret; where this cannot be had, nothing depends on it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(not(target_os = "linux"))]
fn protect_process() {}

fn run(plan: CommandPlan, socket: File) -> io::Result<SupervisorReport> {
    let (sender, receiver) = mpsc::channel();
    let clock = Clock::System;
    let (began, started_at) = (Instant::now(), clock.now_ms());
    let mut started = match start::start(&plan) {
        Ok(started) => started,
        Err(error) => return Ok(SupervisorReport::NotStarted(error)),
    };
    // Not before: a sandbox may have to write about this process to its own files in /proc.
    protect_process();
    let mut watch = CommandWatch::new(&started, plan.limits, receiver)?;
    let streams = OutputStreams::forward(&mut started.child, plan.max_output_bytes, plan.stdin, &sender)?;
    forward_stop(socket, sender.clone());
    reap(sender);
    let stopped = watch.wait_for_command(began + Duration::from_millis(plan.timeout_ms));
    let left = watch.terminate();
    let took = began.elapsed();
    watch.wait_for_output();
    if let Some(error) = started.start_error(watch.status, &streams.stderr_head()) {
        return Ok(SupervisorReport::NotStarted(error));
    }
    let exit = started.exit(watch.status);
    Ok(SupervisorReport::Ran(CommandReport {
        exit_code: exit.exit_code,
        signal: exit.signal,
        timed_out: stopped == Some(StopReason::TimedOut),
        cancelled: stopped == Some(StopReason::Requested),
        exceeded: watch
            .exceeded
            .or_else(|| limit_from_exit(exit))
            .or(watch.descendant_limit)
            .or_else(|| limit_from_cpu_time(plan.limits)),
        stdout_bytes: streams.stdout_bytes(),
        stderr_bytes: streams.stderr_bytes(),
        started_at,
        finished_at: clock.now_ms(),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        left,
        without_namespaces: started.without_namespaces(),
    }))
}

/// The limit that a command's end tells of: by the kernel's signal, or by a shell that says which one ended its child.
fn limit_from_exit(exit: CommandExit) -> Option<LimitKind> {
    let of_shell = exit.exit_code.and_then(|code| code.checked_sub(128));
    match exit.signal.or(of_shell)? {
        signal if signal == Signal::XFSZ.as_raw() => Some(LimitKind::File),
        signal if signal == Signal::XCPU.as_raw() => Some(LimitKind::Cpu),
        _ => None,
    }
}

/// Whether a command that is over had more time on processors than it might: where the kernel ended the process that
/// took it, no look may have come before.
fn limit_from_cpu_time(limits: CommandLimits) -> Option<LimitKind> {
    (process_tree::cpu_ms_of_ended_children() > limits.cpu_ms).then_some(LimitKind::Cpu)
}

/// Waits for the word to stop, or for the end of the line.
fn forward_stop(socket: File, events: Sender<SupervisorEvent>) {
    thread::spawn(move || {
        wait_for_stop(socket);
        let _ = events.send(SupervisorEvent::Stop);
    });
}

/// Waits for anything to come, or for the end of the line.
fn wait_for_stop(mut socket: File) {
    let _ = socket.read(&mut [0]);
}

/// Waits for every process that ends, also those that were left to us.
fn reap(events: Sender<SupervisorEvent>) {
    thread::spawn(move || {
        loop {
            let event = match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => SupervisorEvent::Ended(pid, status),
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => SupervisorEvent::NoChildren,
            };
            let last = matches!(event, SupervisorEvent::NoChildren);
            if events.send(event).is_err() || last {
                return;
            }
        }
    });
}

/// A signal as it is written.
pub(super) fn signal_name(number: i32) -> String {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::SYS, "SIGSYS"),
    ];
    let known = names.iter().find(|(signal, _)| signal.as_raw() == number);
    known.map_or_else(|| format!("SIG{number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        assert_eq!([15, 9, 64].map(signal_name), ["SIGTERM", "SIGKILL", "SIG64"]);
    }
}
