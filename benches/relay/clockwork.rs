//! A periodic timer with microsecond precision; tokio's timers have a millisecond.

use std::{
    io,
    time::{Duration, Instant},
};

/// Ticks at a fixed period from its creation, without drift.
#[cfg(target_os = "linux")]
pub(crate) struct PeriodicTimer {
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    next: Instant,
    period: Duration,
}

#[cfg(target_os = "linux")]
impl PeriodicTimer {
    pub(crate) fn new(period: Duration) -> io::Result<Self> {
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        };
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let every = Timespec { tv_sec: period.as_secs() as i64, tv_nsec: i64::from(period.subsec_nanos()) };
        let next = Instant::now() + period;
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: every, it_value: every })?;
        #[expect(
            deprecated,
            reason = "an owned descriptor is what its unsafe successor asks for, and unsafe is forbidden"
        )]
        let timer = tokio::io::unix::AsyncFd::new(timer)?;
        Ok(PeriodicTimer { timer, next, period })
    }

    /// Waits for at least one tick and returns the ticks since the last call.
    pub(crate) async fn beats(&mut self) -> io::Result<Vec<Instant>> {
        let mut count = [0; 8];
        loop {
            let mut ready = self.timer.readable().await?;
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut count)?));
            if let Ok(read) = read {
                read?;
                break;
            }
        }
        let beats = (0..u64::from_ne_bytes(count)).map(|_| {
            let beat = self.next;
            self.next += self.period;
            beat
        });
        Ok(beats.collect())
    }
}

/// The same on systems without timer descriptors, with the precision of tokio's timers.
#[cfg(not(target_os = "linux"))]
pub(crate) struct PeriodicTimer {
    next: Instant,
    period: Duration,
}

#[cfg(not(target_os = "linux"))]
impl PeriodicTimer {
    pub(crate) fn new(period: Duration) -> io::Result<Self> {
        Ok(PeriodicTimer { next: Instant::now() + period, period })
    }

    /// Waits for at least one tick and returns the ticks since the last call.
    pub(crate) async fn beats(&mut self) -> io::Result<Vec<Instant>> {
        tokio::time::sleep_until(self.next.into()).await;
        let mut beats = Vec::new();
        while self.next <= Instant::now() {
            beats.push(self.next);
            self.next += self.period;
        }
        Ok(beats)
    }
}
