//! The process beside each command: starts it, counts and cuts its output, ends it with everything that it started, and
//! says what became of it.
//!
//! ```text
//! running ── ended, out of time, told to stop, daemon gone ──► SIGTERM to all that is left ── 2 s ──► SIGKILL, again and again
//! ```
//!
//! It is single-minded on purpose: it knows no configuration and no secret, and what it was not told in its plan it cannot
//! do. Threads wait (for processes, for the daemon, for output) and say so in one queue; one loop decides.

mod start;
mod streams;

use super::{
    KILL_AFTER, family,
    plan::{self, Plan, Ran, Report},
};
use crate::clock::Clock;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getrlimit, kill_process_group, setrlimit, setsid,
    test_kill_process_group, wait,
};
use start::Started;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    process::ExitCode,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};
use streams::Streams;
use tokio::time::Instant;

/// The subcommand that is this.
pub(super) const COMMAND: &str = "supervise-command";
/// From one round of SIGKILL to the next.
const KILL_ROUND: Duration = Duration::from_millis(20);
/// How long is tried to kill what does not end.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// How long the last output is waited for once no process is left that could write any.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
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
    #[cfg(target_os = "linux")]
    super::inherited::close();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let mut line = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let plan: Plan = plan::read(&line).ok_or(io::ErrorKind::InvalidData)?;
    settle()?;
    let report = run(plan, line.try_clone()?)?;
    line.write_all(&serde_json::to_vec(&report)?)
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
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

fn run(plan: Plan, line: File) -> io::Result<Report> {
    let (tell, events) = mpsc::channel();
    let clock = Clock::System;
    let (began, started_at) = (Instant::now(), clock.now_ms());
    let mut started = match start::start(&plan) {
        Ok(started) => started,
        Err(fault) => return Ok(Report::NotStarted(fault)),
    };
    let streams = Streams::take(&mut started.child, plan.max_output_bytes, plan.stdin, &tell)?;
    listen(line, tell.clone());
    reap(tell);
    let mut watch = Watch::new(&started, events)?;
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
        stdout_bytes: streams.stdout_bytes(),
        stderr_bytes: streams.stderr_bytes(),
        started_at,
        finished_at: clock.now_ms(),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        left,
        without_namespaces: started.without_namespaces(),
    }))
}

/// Waits for the word to stop, or for the end of the line.
fn listen(mut line: File, tell: Sender<Event>) {
    thread::spawn(move || {
        let _ = line.read(&mut [0]);
        let _ = tell.send(Event::Stop);
    });
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

/// Why a command was ended before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    OutOfTime,
    Told,
}

/// What is known of the command and its family.
struct Watch {
    events: Receiver<Event>,
    command: Pid,
    /// Whether the command itself gets no SIGTERM, since it passes it on as SIGKILL.
    spares_command: bool,
    status: Option<WaitStatus>,
    none_left: bool,
    streams_open: usize,
}

impl Watch {
    fn new(started: &Started, events: Receiver<Event>) -> io::Result<Self> {
        let command = Pid::from_raw(started.child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        let spares_command = started.is_wrapped();
        Ok(Watch { events, command, spares_command, status: None, none_left: false, streams_open: 2 })
    }

    /// Waits for the end of the command, or for a reason to end it.
    fn command(&mut self, deadline: Instant) -> Option<Why> {
        while self.status.is_none() && !self.none_left {
            match self.next(deadline) {
                Ok(true) => {}
                Ok(false) => return Some(Why::Told),
                Err(()) => return Some(Why::OutOfTime),
            }
        }
        None
    }

    /// Ends everything that is left; answers how many could not be ended.
    fn end(&mut self) -> usize {
        let spared = self.command;
        let spares = self.spares_command && self.status.is_none();
        self.signal(Signal::TERM, |pid| spares && pid == spared);
        self.until_over(Instant::now() + KILL_AFTER);
        let give_up = Instant::now() + KILL_WITHIN;
        while !self.is_over() && Instant::now() < give_up {
            self.signal(Signal::KILL, |_| false);
            self.until_over(Instant::now() + KILL_ROUND);
        }
        if self.is_over() { 0 } else { family::descendants(getpid()).len().max(1) }
    }

    fn signal(&self, signal: Signal, spared: impl Fn(Pid) -> bool) {
        if !spared(self.command) && self.status.is_none() {
            // Its id is its own, and its group's, until it was waited for.
            let _ = kill_process_group(self.command, signal);
        }
        if cfg!(target_os = "linux") {
            family::signal(getpid(), signal, spared);
        } else {
            let _ = kill_process_group(self.command, signal);
        }
    }

    /// Whether nothing is left of the command.
    fn is_over(&self) -> bool {
        self.none_left && (cfg!(target_os = "linux") || test_kill_process_group(self.command).is_err())
    }

    fn until_over(&mut self, deadline: Instant) {
        while !self.is_over() {
            // Where nobody tells of the last one's end, it is looked for.
            let look = if self.none_left { deadline.min(Instant::now() + KILL_ROUND) } else { deadline };
            if self.next(look).is_err() && Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Waits until all output has come.
    fn output_ends(&mut self) {
        let deadline = Instant::now() + LAST_OUTPUT;
        while self.streams_open > 0 && self.next(deadline).is_ok() {}
    }

    /// The next event; whether it lets the command go on. `Err`: none came in time.
    fn next(&mut self, deadline: Instant) -> Result<bool, ()> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(Event::Ended(pid, status)) if pid == self.command => self.status = Some(status),
            Ok(Event::Ended(..)) => {}
            Ok(Event::NoneLeft) => self.none_left = true,
            Ok(Event::StreamEnded) => self.streams_open = self.streams_open.saturating_sub(1),
            Ok(Event::Stop) => return Ok(false),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(()),
        }
        Ok(true)
    }
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
