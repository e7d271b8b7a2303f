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
    family,
    limits::{Limit, Limits},
    plan::{self, Fault, Order, Plan, Ran, Report},
};
use crate::{
    clock::Clock,
    host::sandbox::{Ended, Held, sweep},
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
use streams::Streams;
use tokio::time::Instant;
use watch::{Watch, Why};

/// The subcommand that is this.
pub(super) const COMMAND: &str = "supervise-command";
/// How far this process is ahead of its command where it may be: as far as can be.
#[cfg(target_os = "linux")]
const AHEAD: i32 = -20;
/// How long the removal of a command's own folder may keep its answer waiting.
const REMOVE_WITHIN: Duration = Duration::from_secs(2);
/// The same when the answer is waited for by a daemon that stops, or by nobody.
const REMOVE_WITHIN_STOPPED: Duration = Duration::from_millis(500);
/// How long it may take when there is no daemon any more to do it later.
const REMOVE_WITHIN_ALONE: Duration = Duration::from_secs(60);
/// How long a sweep may take; what it leaves is for the next one.
const SWEEP_WITHIN: Duration = Duration::from_secs(600);
/// The first descriptor that is none of the three streams.
const FIRST_OTHER: i32 = 3;
/// Open files that a command may have unless it raises the number; the daemon's own is far higher, and some programs
/// close every one that they could have.
const OPEN_FILES: u64 = 1_024;

/// Something that one of the threads waited for.
enum Event {
    /// A process has ended.
    Ended(Pid, WaitStatus),
    /// No process is left that we could wait for.
    NoneLeft,
    /// The daemon wants the command to stop, or is gone.
    Stop,
    /// A stream of output is at its end.
    StreamEnded,
}

/// Supervises one command: reads the plan from stdin, which is a socket, and writes the report to it.
pub fn supervise() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // What whoever started the daemon left open is not for commands, whatever confines them.
    close_fds::set_fds_cloexec_threadsafe(FIRST_OTHER, &[]);
    let mut line = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    match plan::read(&line).ok_or(io::ErrorKind::InvalidData)? {
        Order::Run(plan) => command(*plan, line),
        Order::Sweep { within } => {
            // Whatever ends the daemon ends this.
            let stop = line.try_clone()?;
            thread::spawn(move || {
                wait_for_word(stop);
                std::process::exit(1);
            });
            let report = Report::Swept(sweep(&within, Instant::now() + SWEEP_WITHIN));
            line.write_all(&serde_json::to_vec(&report)?)
        }
    }
}

fn command(plan: Plan, mut line: File) -> io::Result<()> {
    settle()?;
    let folder = match plan.own_folder.as_deref().map(hold).transpose() {
        Ok(folder) => folder,
        Err(error) => {
            let report = Report::NotStarted(Fault::Sandbox(format!("its own folder cannot be held: {error}")));
            return line.write_all(&serde_json::to_vec(&report)?);
        }
    };
    // A command's write beyond it fails; this process writes no file.
    limit(Resource::Fsize, plan.limits.file_bytes)?;
    let report = run(plan, line.try_clone()?)?;
    let stopped = matches!(&report, Report::Ran(ran) if ran.cancelled);
    let within = if stopped { REMOVE_WITHIN_STOPPED } else { REMOVE_WITHIN };
    let is_left = folder.as_ref().is_some_and(|folder| folder.remove(Instant::now() + within).is_err());
    let told = line.write_all(&serde_json::to_vec(&report)?);
    if let Some(folder) = folder.filter(|_| is_left && told.is_err()) {
        // What stays now is swept by the next daemon.
        let _ = folder.remove(Instant::now() + REMOVE_WITHIN_ALONE);
    }
    told
}

/// Holds the command's own folder, so that no sweep takes it and no other one can stand for it.
fn hold(path: &Path) -> io::Result<Held> {
    let folder = Held::open(path)?;
    let locked = folder.lock(FlockOperation::NonBlockingLockShared)? && folder.is_there();
    if locked { Ok(folder) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Makes this process one that nothing outlives.
fn settle() -> io::Result<()> {
    // Where it leads a session already, it need not.
    let _ = setsid();
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let files = getrlimit(Resource::Nofile);
    let current = files.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: files.maximum })?;
    limit(Resource::Core, 0)
}

/// Lowers a limit of this process and of all that it starts, for good.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Keeps this process from being looked into by the command, and from waiting behind it.
#[cfg(target_os = "linux")]
fn close() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior, setpriority_process};
    // Only root may go before others; of all users, root's commands alone may start as many processes as they like.
    let _ = setpriority_process(None, AHEAD);
    // It holds no secret; where this cannot be had, nothing depends on it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(not(target_os = "linux"))]
fn close() {}

fn run(plan: Plan, line: File) -> io::Result<Report> {
    let (tell, events) = mpsc::channel();
    let clock = Clock::System;
    let (began, started_at) = (Instant::now(), clock.now_ms());
    let mut started = match start::start(&plan) {
        Ok(started) => started,
        Err(fault) => return Ok(Report::NotStarted(fault)),
    };
    // Not before: a sandbox may have to write about this process to its own files in /proc.
    close();
    let mut watch = Watch::new(&started, plan.limits, events)?;
    let streams = Streams::take(&mut started.child, plan.max_output_bytes, plan.stdin, &tell)?;
    listen(line, tell.clone());
    reap(tell);
    let stopped = watch.command(began + Duration::from_millis(plan.timeout_ms));
    let left = watch.end();
    let took = began.elapsed();
    watch.output_ends();
    if let Some(fault) = started.fault(watch.status, &streams.head()) {
        return Ok(Report::NotStarted(fault));
    }
    let ended = started.ended(watch.status);
    Ok(Report::Ran(Ran {
        exit_code: ended.exit_code,
        signal: ended.signal,
        timed_out: stopped == Some(Why::OutOfTime),
        cancelled: stopped == Some(Why::Told),
        exceeded: watch.exceeded.or_else(|| told_by(ended)).or(watch.told).or_else(|| of_ended(plan.limits)),
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
fn told_by(ended: Ended) -> Option<Limit> {
    let of_shell = ended.exit_code.and_then(|code| code.checked_sub(128));
    match ended.signal.or(of_shell)? {
        signal if signal == Signal::XFSZ.as_raw() => Some(Limit::File),
        signal if signal == Signal::XCPU.as_raw() => Some(Limit::Cpu),
        _ => None,
    }
}

/// Whether a command that is over had more time on processors than it might: where the kernel ended the process that
/// took it, no look may have come before.
fn of_ended(limits: Limits) -> Option<Limit> {
    (family::cpu_ms_of_ended() > limits.cpu_ms).then_some(Limit::Cpu)
}

/// Waits for the word to stop, or for the end of the line.
fn listen(line: File, tell: Sender<Event>) {
    thread::spawn(move || {
        wait_for_word(line);
        let _ = tell.send(Event::Stop);
    });
}

/// Waits for anything to come, or for the end of the line.
fn wait_for_word(mut line: File) {
    let _ = line.read(&mut [0]);
}

/// Waits for every process that ends, also those that were left to us.
fn reap(tell: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => Event::Ended(pid, status),
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => Event::NoneLeft,
            };
            let last = matches!(event, Event::NoneLeft);
            if tell.send(event).is_err() || last {
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
