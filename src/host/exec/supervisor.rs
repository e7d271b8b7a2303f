//! The supervisor process of a command: starts it, counts and cuts its output, ends it with all of its descendants, and
//! reports the result.
//!
//! ```text
//! running ──┬─ ended, timed out, stop requested, daemon gone ──► SIGTERM to the rest ── 2 s ──► SIGKILL, repeatedly
//!           └─ a limit is exceeded ──────────────────────────────────────────────────────────────┘        │
//!                                                                       private folder removed ◄── over ◄──┘
//! ```
//!
//! The same program also sweeps folders of killed supervisors, in a process without a command.
//!
//! It knows no configuration and no secret, only its plan. Threads wait for processes, for the daemon and for output, and
//! send events into one queue; one loop decides.

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

/// The subcommand that runs a supervisor.
pub(super) const COMMAND: &str = "supervise-command";
/// The niceness of this process, where permitted: ahead of its command.
#[cfg(target_os = "linux")]
const SUPERVISOR_NICENESS: i32 = -20;
/// Time that removing the private folder may delay the report.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for a cancelled command.
const REMOVAL_TIMEOUT_STOPPED: Duration = Duration::from_millis(500);
/// The same when the daemon is gone and cannot do it later.
const REMOVAL_TIMEOUT_ORPHANED: Duration = Duration::from_secs(60);
/// Duration of a sweep; the next one continues.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(600);
/// The first descriptor after stdin, stdout and stderr.
const FIRST_NON_STANDARD_FD: i32 = 3;
/// Soft limit of open files of a command. The daemon's is far higher, and some programs close every possible descriptor.
const OPEN_FILES_MAX: u64 = 1_024;

/// An event from one of the waiting threads.
enum SupervisorEvent {
    /// A child has ended.
    Ended(Pid, WaitStatus),
    /// No child is left.
    NoChildren,
    /// The daemon requests a stop, or is gone.
    Stop,
    /// An output stream has ended.
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
    // Commands must not inherit descriptors that the daemon inherited, in any sandbox.
    close_fds::set_fds_cloexec_threadsafe(FIRST_NON_STANDARD_FD, &[]);
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    match plan::read_frame(&socket).ok_or(io::ErrorKind::InvalidData)? {
        SupervisorOrder::Run(plan) => supervise_command(*plan, socket),
        SupervisorOrder::Sweep { within } => {
            // The sweep ends with the daemon.
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
            let report = SupervisorReport::NotStarted(StartError::Sandbox(format!(
                "its private folder cannot be locked: {error}"
            )));
            return socket.write_all(&serde_json::to_vec(&report)?);
        }
    };
    // This limits the command; this process writes no files.
    lower_limit(Resource::Fsize, plan.limits.file_bytes)?;
    let report = run(plan, socket.try_clone()?)?;
    let stopped = matches!(&report, SupervisorReport::Ran(ran) if ran.cancelled);
    let within = if stopped { REMOVAL_TIMEOUT_STOPPED } else { REMOVAL_TIMEOUT };
    let is_left = folder.as_ref().is_some_and(|folder| folder.remove(Instant::now() + within).is_err());
    let sent = socket.write_all(&serde_json::to_vec(&report)?);
    if let Some(folder) = folder.filter(|_| is_left && sent.is_err()) {
        // The next daemon sweeps the rest.
        let _ = folder.remove(Instant::now() + REMOVAL_TIMEOUT_ORPHANED);
    }
    sent
}

/// Opens and locks the command's folder, so that no sweep removes it and no other folder can replace it.
fn lock_folder(path: &Path) -> io::Result<HeldFolder> {
    let folder = HeldFolder::open(path)?;
    let locked = folder.lock(FlockOperation::NonBlockingLockShared)? && folder.is_there();
    if locked { Ok(folder) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Makes this process a session leader and subreaper, so that no descendant outlives it, and lowers inherited limits.
fn set_up_process() -> io::Result<()> {
    // Fails harmlessly for a process that leads a session already.
    let _ = setsid();
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let files = getrlimit(Resource::Nofile);
    let current = files.maximum.map_or(OPEN_FILES_MAX, |most| most.min(OPEN_FILES_MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: files.maximum })?;
    lower_limit(Resource::Core, 0)
}

/// Lowers a limit of this process and its descendants, for good.
fn lower_limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Keeps the command from inspecting this process and from starving it.
#[cfg(target_os = "linux")]
fn protect_process() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior, setpriority_process};
    // Only root may raise its priority; only root's commands have no kernel limit of processes.
    let _ = setpriority_process(None, SUPERVISOR_NICENESS);
    // Best effort: this process holds no secret.
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
    // Not earlier: setting up a sandbox may need to write to this process's files in /proc.
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

/// Returns the limit that an exit points to: by the kernel's signal, or by a shell's exit code for a child that was ended
/// by that signal.
fn limit_from_exit(exit: CommandExit) -> Option<LimitKind> {
    let of_shell = exit.exit_code.and_then(|code| code.checked_sub(128));
    match exit.signal.or(of_shell)? {
        signal if signal == Signal::XFSZ.as_raw() => Some(LimitKind::File),
        signal if signal == Signal::XCPU.as_raw() => Some(LimitKind::Cpu),
        _ => None,
    }
}

/// Checks the processor time of an ended command: when the kernel ended a process for it, no sample may have seen it.
fn limit_from_cpu_time(limits: CommandLimits) -> Option<LimitKind> {
    (process_tree::cpu_ms_of_ended_children() > limits.cpu_ms).then_some(LimitKind::Cpu)
}

/// Sends an event when the daemon requests a stop or is gone.
fn forward_stop(socket: File, events: Sender<SupervisorEvent>) {
    thread::spawn(move || {
        wait_for_stop(socket);
        let _ = events.send(SupervisorEvent::Stop);
    });
}

/// Waits for a byte or the end of the stream.
fn wait_for_stop(mut socket: File) {
    let _ = socket.read(&mut [0]);
}

/// Reaps every child, also adopted ones.
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

/// Returns the name of a signal.
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
