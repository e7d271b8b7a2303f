//! What is known of a command and its family while it runs, and how it ends.

use super::{Ended, Event, meter::Meter, start::Started, told_by};
use crate::host::exec::{
    KILL_AFTER, family,
    limits::{Limit, Limits},
};
use rustix::process::{Pid, Signal, WaitStatus, getpid, kill_process_group, test_kill_process_group};
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};
use tokio::time::Instant;

/// From one round of SIGKILL to the next.
const KILL_ROUND: Duration = Duration::from_millis(20);
/// How long is tried to kill what does not end.
const KILL_WITHIN: Duration = Duration::from_secs(5);
/// How long the last output is waited for once no process is left that could write any.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Why a command was ended before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    OutOfTime,
    Told,
    Exceeded(Limit),
}

/// What is known of the command and its family.
pub(super) struct Watch {
    events: Receiver<Event>,
    command: Pid,
    /// Whether the command itself gets no SIGTERM, since it passes it on as SIGKILL.
    spares_command: bool,
    pub(super) status: Option<WaitStatus>,
    none_left: bool,
    streams_open: usize,
    meter: Meter,
    /// The limit that was exceeded, also by what the command left behind.
    pub(super) exceeded: Option<Limit>,
    /// The limit that the end of another process tells of, which was left to us.
    pub(super) told: Option<Limit>,
}

impl Watch {
    pub(super) fn new(started: &Started, limits: Limits, events: Receiver<Event>) -> io::Result<Self> {
        let command = Pid::from_raw(started.child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        let spares_command = started.is_wrapped();
        let meter = Meter::new(limits, command, spares_command);
        let (status, none_left, streams_open) = (None, false, 2);
        Ok(Watch {
            events,
            command,
            spares_command,
            status,
            none_left,
            streams_open,
            meter,
            exceeded: None,
            told: None,
        })
    }

    /// Waits for the end of the command, or for a reason to end it.
    pub(super) fn command(&mut self, deadline: Instant) -> Option<Why> {
        while self.status.is_none() && !self.none_left {
            if self.exceeds() {
                return self.exceeded.map(Why::Exceeded);
            }
            match self.next(deadline.min(self.meter.next_look())) {
                Ok(true) => {}
                Ok(false) => return Some(Why::Told),
                Err(()) if Instant::now() >= deadline => return Some(Why::OutOfTime),
                Err(()) => {}
            }
        }
        None
    }

    /// Whether a limit is exceeded.
    fn exceeds(&mut self) -> bool {
        self.exceeded = self.exceeded.or_else(|| self.meter.exceeded());
        self.exceeded.is_some()
    }

    /// Ends everything that is left; answers how many could not be ended. What exceeds a limit gets no time for it.
    pub(super) fn end(&mut self) -> usize {
        if self.exceeded.is_none() {
            let spared = self.command;
            let spares = self.spares_command && self.status.is_none();
            self.signal(Signal::TERM, |pid| spares && pid == spared);
            let kill = Instant::now() + KILL_AFTER;
            while !self.is_over() && Instant::now() < kill && !self.exceeds() {
                self.until_over(kill.min(self.meter.next_look()));
            }
        }
        if self.exceeded.is_some() && cfg!(target_os = "linux") {
            family::kill_groups(getpid());
        }
        let give_up = Instant::now() + KILL_WITHIN;
        while !self.is_over() && Instant::now() < give_up {
            self.signal(Signal::KILL, |_| false);
            if cfg!(target_os = "linux") {
                family::kill(getpid(), |_| false);
            }
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
    pub(super) fn output_ends(&mut self) {
        let deadline = Instant::now() + LAST_OUTPUT;
        while self.streams_open > 0 && self.next(deadline).is_ok() {}
    }

    /// The next event; whether it lets the command go on. `Err`: none came in time.
    fn next(&mut self, deadline: Instant) -> Result<bool, ()> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(Event::Ended(pid, status)) if pid == self.command => self.status = Some(status),
            Ok(Event::Ended(_, status)) => self.told = self.told.or_else(|| told_by(Ended::from(status))),
            Ok(Event::NoneLeft) => self.none_left = true,
            Ok(Event::StreamEnded) => self.streams_open = self.streams_open.saturating_sub(1),
            Ok(Event::Stop) => return Ok(false),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(()),
        }
        Ok(true)
    }
}
