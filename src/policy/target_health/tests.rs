//! What each end of a request changes, and what is kept of it.

use super::*;
use crate::{clock::Clock, clock::uptime::Uptime};
use std::time::Duration;

const BACKOFF: Backoff = Backoff { base_ms: 1_000, max_ms: 60_000 };
const BREAKER: CircuitBreaker = CircuitBreaker { failure_threshold: 2, open_ms: 30_000 };

fn failed(retry_after_ms: Option<u64>) -> LeaseOutcome {
    LeaseOutcome::Failure(LeaseFailure { error: "http_429".into(), retry_after_ms })
}

struct Fixture {
    health: TargetHealth,
    start: Moment,
}

impl Fixture {
    fn new() -> Self {
        Fixture { health: TargetHealth::new(BACKOFF, BREAKER), start: Clock::starting_at(1_000_000).moment() }
    }

    fn at(&self, ms: u64) -> Moment {
        Moment { instant: self.start.instant + Duration::from_millis(ms), wall: self.start.wall + ms as i64 }
    }

    fn ended(&mut self, outcome: LeaseOutcome, ms: u64) -> HealthChange {
        let now = self.at(ms);
        self.health.record_end(1, outcome, now);
        self.health.take_change()
    }

    /// Failures, the rest that is left, the circuit.
    fn shown(&self, ms: u64) -> (u32, Option<u64>, CircuitState) {
        let now = self.at(ms).instant;
        (self.health.failures, self.health.backoff(now).map(|until| until.left_ms(now)), self.health.circuit_state())
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn failures_grow_the_rest_and_open_the_circuit_and_a_success_clears_all() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.ended(LeaseOutcome::Success, 0), HealthChange::Minor, "nothing that decides");
    assert_eq!(fixture.ended(failed(None), 0), HealthChange::Major);
    assert_eq!(fixture.shown(0), (1, Some(1_000), CircuitState::Closed));
    assert_eq!(fixture.shown(1_000), (1, None, CircuitState::Closed));
    assert_eq!(fixture.ended(failed(None), 5_000), HealthChange::Major);
    assert_eq!(fixture.shown(5_000), (2, Some(2_000), CircuitState::Open));
    assert_eq!((fixture.ended(LeaseOutcome::Cancelled, 5_000), fixture.shown(5_000).0), (HealthChange::Nothing, 2));
    assert_eq!(fixture.health.last_error.as_deref(), Some("http_429"));
    assert_eq!(fixture.ended(LeaseOutcome::Success, 6_000), HealthChange::Major);
    assert_eq!(fixture.shown(6_000), (0, None, CircuitState::Closed));
    assert_eq!(fixture.health.last_error.as_deref(), None);
    assert_eq!((fixture.health.last_failure_at, fixture.health.last_success_at), (Some(1_005_000), Some(1_006_000)));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_the_platform_asked_for_is_not_shortened_by_the_next_failure() {
    let mut fixture = Fixture::new();
    fixture.ended(failed(Some(45_000)), 0);
    fixture.ended(failed(None), 5_000);
    assert_eq!(fixture.shown(5_000).1, Some(40_000));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_is_kept_comes_back() {
    let mut fixture = Fixture::new();
    fixture.ended(LeaseOutcome::Success, 0);
    fixture.ended(failed(Some(40_000)), 0);
    let now = fixture.at(1_000);
    fixture.health.record_sweep(9, RequestId::trusted("r9"), 300_000, SweepReason::Interval, now);
    let uptime = |ms| Some(Uptime { boot_id: "boot".into(), ms });
    let (client, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    let row = fixture.health.row(&client, &platform, &ClockReadings { now, uptime: uptime(70_000) });
    let after = ClockReadings { now: fixture.at(11_000), uptime: uptime(80_000) };
    let restored = TargetHealth::restored((BACKOFF, BREAKER), row.clone(), &after);
    fixture.health = restored.clone();
    assert_eq!(fixture.shown(11_000), (2, Some(29_000), CircuitState::Open));
    let now = after.now;
    assert_eq!(restored.retry_at().map(|until| until.wall(now)), Some(1_031_000));
    assert_eq!(restored.last_sweep.as_ref().map(|sweep| &*sweep.request_id), Some("r9"));
    assert_eq!(restored.row(&client, &platform, &after).last_sweep, row.last_sweep);
    assert_eq!((restored.sweep_count, restored.last_error.as_deref()), (1, Some("lease_swept")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_probe_that_did_not_outlive_the_process_leaves_the_circuit_due() {
    let mut fixture = Fixture::new();
    fixture.ended(failed(None), 0);
    fixture.ended(failed(None), 0);
    fixture.health.start_probe(7);
    let readings = ClockReadings { now: fixture.at(31_000), uptime: None };
    let (client, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    let row = fixture.health.row(&client, &platform, &readings);
    let restored = TargetHealth::restored((BACKOFF, BREAKER), row, &readings);
    assert_eq!(restored.circuit_state(), CircuitState::Open);
    assert_eq!(restored.decide(8, readings.now), CircuitDecision::Probe);
}
