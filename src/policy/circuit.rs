//! The circuit of one target, as a value: no clock, no actor, no I/O.
//!
//! ```text
//! Closed ──threshold of failures in a row──► Open ──due──► HalfOpen ──success──► Closed
//!    ▲                                        ▲                │
//!    │                                        └── failure ─────┤
//!    └── any success                          └── cancelled: due at once
//! ```
//!
//! While the circuit is half open one request, the probe, is running and no other is admitted.

use super::{admission::CircuitState, deadline::Deadline, settings::CircuitBreaker};
use crate::clock::Moment;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Circuit {
    /// Requests pass.
    #[default]
    Closed,
    /// Requests are refused until the deadline.
    Open(Deadline),
    /// A probe is running.
    HalfOpen { probe: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CircuitDecision {
    Pass,
    /// The request passes as the probe.
    Probe,
    /// Another request is the probe; its end has to be awaited.
    Wait,
    Refuse(Deadline),
}

/// The end of a request, as far as it concerns the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CircuitEvent {
    Succeeded,
    /// The platform failed; `failures` counts the consecutive ones.
    Failed {
        failures: u32,
    },
    /// The request was cancelled, which says nothing about the platform.
    Cancelled,
}

impl Circuit {
    /// Decides about the request with this number.
    pub(super) fn decide(&self, number: u64, now: Moment) -> CircuitDecision {
        match self {
            Circuit::Closed => CircuitDecision::Pass,
            Circuit::HalfOpen { probe } if *probe == number => CircuitDecision::Pass,
            Circuit::HalfOpen { .. } => CircuitDecision::Wait,
            Circuit::Open(until) if until.is_over(now.instant) => CircuitDecision::Probe,
            Circuit::Open(until) => CircuitDecision::Refuse(*until),
        }
    }

    /// Returns the circuit after the end of a request.
    pub(super) fn after(self, ended: CircuitEvent, number: u64, limits: &CircuitBreaker, now: Moment) -> Self {
        match (self, ended) {
            (_, CircuitEvent::Succeeded) => Circuit::Closed,
            // A cancelled probe found nothing out, so the next request becomes the probe.
            (Circuit::HalfOpen { probe }, CircuitEvent::Cancelled) if probe == number => {
                Circuit::Open(Deadline::after(0, now))
            }
            (unchanged, CircuitEvent::Cancelled) => unchanged,
            (Circuit::HalfOpen { .. }, CircuitEvent::Failed { .. }) => {
                Circuit::Open(Deadline::after(limits.open_ms, now))
            }
            (_, CircuitEvent::Failed { failures }) if failures >= limits.failure_threshold => {
                Circuit::Open(Deadline::after(limits.open_ms, now))
            }
            (unchanged, CircuitEvent::Failed { .. }) => unchanged,
        }
    }

    /// Returns the time from which a probe may pass, while the circuit is open.
    pub(super) fn retry_at(&self) -> Option<&Deadline> {
        if let Circuit::Open(until) = self { Some(until) } else { None }
    }

    pub(super) fn state(&self) -> CircuitState {
        match self {
            Circuit::Closed => CircuitState::Closed,
            Circuit::Open(_) => CircuitState::Open,
            Circuit::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::time::Duration;

    const LIMITS: CircuitBreaker = CircuitBreaker { failure_threshold: 3, open_ms: 60_000 };

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn every_edge() {
        let now = Clock::starting_at(1_000_000).moment();
        let old = Circuit::Open(Deadline::after(5_000, now));
        let open = Circuit::Open(Deadline::after(60_000, now));
        let due = Circuit::Open(Deadline::after(0, now));
        let half = Circuit::HalfOpen { probe: 7 };
        let badly = |failures| CircuitEvent::Failed { failures };
        for (from, ended, number, to) in [
            (Circuit::Closed, CircuitEvent::Succeeded, 1, Circuit::Closed),
            (Circuit::Closed, CircuitEvent::Cancelled, 1, Circuit::Closed),
            (Circuit::Closed, badly(2), 1, Circuit::Closed),
            (Circuit::Closed, badly(3), 1, open),
            (Circuit::Closed, badly(4), 1, open),
            // Late failures of requests that were dispatched before the circuit opened.
            (old, CircuitEvent::Succeeded, 1, Circuit::Closed),
            (old, CircuitEvent::Cancelled, 1, old),
            (old, badly(4), 1, open),
            // The threshold was raised in the meantime.
            (old, badly(2), 1, old),
            (half, CircuitEvent::Succeeded, 7, Circuit::Closed),
            (half, CircuitEvent::Succeeded, 1, Circuit::Closed),
            (half, badly(1), 7, open),
            (half, badly(1), 1, open),
            (half, CircuitEvent::Cancelled, 7, due),
            (half, CircuitEvent::Cancelled, 1, half),
        ] {
            assert_eq!(from.after(ended, number, &LIMITS, now), to, "{from:?} --{number} {ended:?}-->");
        }
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn every_ruling() {
        let now = Clock::starting_at(1_000_000).moment();
        let until = Deadline::after(60_000, now);
        let at = |ms| {
            let wall = now.wall + i64::try_from(ms).unwrap();
            Moment { instant: now.instant + Duration::from_millis(ms), wall }
        };
        for (circuit, number, ms, ruling) in [
            (Circuit::Closed, 1, 0, CircuitDecision::Pass),
            (Circuit::Open(until), 1, 0, CircuitDecision::Refuse(until)),
            (Circuit::Open(until), 1, 59_999, CircuitDecision::Refuse(until)),
            (Circuit::Open(until), 1, 60_000, CircuitDecision::Probe),
            (Circuit::HalfOpen { probe: 7 }, 7, 0, CircuitDecision::Pass),
            (Circuit::HalfOpen { probe: 7 }, 8, 0, CircuitDecision::Wait),
        ] {
            assert_eq!(circuit.decide(number, at(ms)), ruling, "{circuit:?} {number} after {ms} ms");
        }
    }
}
