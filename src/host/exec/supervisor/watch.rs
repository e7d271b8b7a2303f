//! Watches a command and its descendants while they run, and ends them.

use super::{CommandExit, SupervisorEvent, limit_from_exit, meter::ResourceMeter, start::StartedCommand};
use crate::host::exec::{
    KILL_AFTER,
    limits::{CommandLimits, LimitKind},
    process_tree,
};
use rustix::process::{Pid, Signal, WaitStatus, getpid, kill_process_group, test_kill_process_group};
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};
use tokio::time::Instant;

/// Interval of SIGKILL rounds.
const KILL_INTERVAL: Duration = Duration::from_millis(20);
/// Time after which killing is given up.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time to wait for the rest of the output after the last process has ended.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a command is ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    TimedOut,
    Requested,
    Exceeded(LimitKind),
}

/// The state of a command and its descendants.
pub(super) struct CommandWatch {
    events: Receiver<SupervisorEvent>,
    command: Pid,
    /// Whether the child gets no SIGTERM, since a sandbox turns that into SIGKILL of the command.
    spares_command: bool,
    pub(super) status: Option<WaitStatus>,
    no_children: bool,
    streams_open: usize,
    meter: ResourceMeter,
    /// The exceeded limit, also by descendants after the command's end.
    pub(super) exceeded: Option<LimitKind>,
    /// The limit that the exit of an adopted descendant points to.
    pub(super) descendant_limit: Option<LimitKind>,
}

impl CommandWatch {
    pub(super) fn new(
        started: &StartedCommand,
        limits: CommandLimits,
        events: Receiver<SupervisorEvent>,
    ) -> io::Result<Self> {
        let command = Pid::from_raw(started.child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        let spares_command = started.is_wrapped();
        let meter = ResourceMeter::new(limits, command, spares_command);
        let (status, no_children, streams_open) = (None, false, 2);
        Ok(CommandWatch {
            events,
            command,
            spares_command,
            status,
            no_children,
            streams_open,
            meter,
            exceeded: None,
            descendant_limit: None,
        })
    }

    /// Waits until the command ends, or returns the reason to end it.
    pub(super) fn wait_for_command(&mut self, deadline: Instant) -> Option<StopReason> {
        while self.status.is_none() && !self.no_children {
            if self.exceeds_limit() {
                return self.exceeded.map(StopReason::Exceeded);
            }
            match self.next_event(deadline.min(self.meter.next_sample_at())) {
                Ok(true) => {}
                Ok(false) => return Some(StopReason::Requested),
                Err(()) if Instant::now() >= deadline => return Some(StopReason::TimedOut),
                Err(()) => {}
            }
        }
        None
    }

    /// Checks the limits.
    fn exceeds_limit(&mut self) -> bool {
        self.exceeded = self.exceeded.or_else(|| self.meter.exceeded());
        self.exceeded.is_some()
    }

    /// Ends all remaining processes, and returns how many could not be ended. After an exceeded limit it kills immediately.
    pub(super) fn terminate(&mut self) -> usize {
        if self.exceeded.is_none() {
            let spared = self.command;
            let spares = self.spares_command && self.status.is_none();
            self.signal(Signal::TERM, |pid| spares && pid == spared);
            let kill = Instant::now() + KILL_AFTER;
            while !self.is_over() && Instant::now() < kill && !self.exceeds_limit() {
                self.wait_until_over(kill.min(self.meter.next_sample_at()));
            }
        }
        if self.exceeded.is_some() && cfg!(target_os = "linux") {
            process_tree::kill_descendant_groups(getpid());
        }
        let give_up = Instant::now() + KILL_TIMEOUT;
        while !self.is_over() && Instant::now() < give_up {
            self.signal(Signal::KILL, |_| false);
            if cfg!(target_os = "linux") {
                process_tree::kill_descendants(getpid(), |_| false);
            }
            self.wait_until_over(Instant::now() + KILL_INTERVAL);
        }
        if self.is_over() { 0 } else { process_tree::descendants(getpid()).len().max(1) }
    }

    fn signal(&self, signal: Signal, spared: impl Fn(Pid) -> bool) {
        if !spared(self.command) && self.status.is_none() {
            // The process id and group id stay valid until the child is reaped.
            let _ = kill_process_group(self.command, signal);
        }
        if cfg!(target_os = "linux") {
            process_tree::signal_descendants(getpid(), signal, spared);
        } else {
            let _ = kill_process_group(self.command, signal);
        }
    }

    /// Returns whether no process of the command is left.
    fn is_over(&self) -> bool {
        self.no_children && (cfg!(target_os = "linux") || test_kill_process_group(self.command).is_err())
    }

    fn wait_until_over(&mut self, deadline: Instant) {
        while !self.is_over() {
            // Without children there are no more events about the rest: poll.
            let until = if self.no_children { deadline.min(Instant::now() + KILL_INTERVAL) } else { deadline };
            if self.next_event(until).is_err() && Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Waits until both output streams have ended.
    pub(super) fn wait_for_output(&mut self) {
        let deadline = Instant::now() + OUTPUT_TIMEOUT;
        while self.streams_open > 0 && self.next_event(deadline).is_ok() {}
    }

    /// Handles the next event. Returns `false` for a requested stop, and an error when none came before `deadline`.
    fn next_event(&mut self, deadline: Instant) -> Result<bool, ()> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(SupervisorEvent::Ended(pid, status)) if pid == self.command => self.status = Some(status),
            Ok(SupervisorEvent::Ended(_, status)) => {
                self.descendant_limit = self.descendant_limit.or_else(|| limit_from_exit(CommandExit::from(status)))
            }
            Ok(SupervisorEvent::NoChildren) => self.no_children = true,
            Ok(SupervisorEvent::StreamEnded) => self.streams_open = self.streams_open.saturating_sub(1),
            Ok(SupervisorEvent::Stop) => return Ok(false),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(()),
        }
        Ok(true)
    }
}
