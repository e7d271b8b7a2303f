//! What each end of a request changes, and what is kept of it.

use super::*;
use crate::{clock::Clock, host::uptime::Uptime};
use std::time::Duration;

const BACKOFF: Backoff = Backoff { base_ms: 1_000, max_ms: 60_000 };
const BREAKER: CircuitBreaker = CircuitBreaker { failure_threshold: 2, open_ms: 30_000 };

fn failed(retry_after_ms: Option<u64>) -> Outcome {
    Outcome::Failure(Failed { error: "http_429".into(), retry_after_ms })
}

struct Scene {
    health: Health,
    start: Moment,
}

impl Scene {
    fn new() -> Self {
        Scene { health: Health::new(BACKOFF, BREAKER), start: Clock::starting_at(1_000_000).moment() }
    }

    fn at(&self, ms: u64) -> Moment {
        Moment { instant: self.start.instant + Duration::from_millis(ms), wall: self.start.wall + ms as i64 }
    }

    fn ended(&mut self, outcome: Outcome, ms: u64) -> Change {
        let now = self.at(ms);
        self.health.ended(1, outcome, now);
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
    let mut scene = Scene::new();
    assert_eq!(scene.ended(Outcome::Success, 0), Change::Minor, "nothing that decides");
    assert_eq!(scene.ended(failed(None), 0), Change::Major);
    assert_eq!(scene.shown(0), (1, Some(1_000), CircuitState::Closed));
    assert_eq!(scene.shown(1_000), (1, None, CircuitState::Closed));
    assert_eq!(scene.ended(failed(None), 5_000), Change::Major);
    assert_eq!(scene.shown(5_000), (2, Some(2_000), CircuitState::Open));
    assert_eq!((scene.ended(Outcome::Cancelled, 5_000), scene.shown(5_000).0), (Change::Nothing, 2));
    assert_eq!(scene.health.last_error.as_deref(), Some("http_429"));
    assert_eq!(scene.ended(Outcome::Success, 6_000), Change::Major);
    assert_eq!(scene.shown(6_000), (0, None, CircuitState::Closed));
    assert_eq!(scene.health.last_error.as_deref(), None);
    assert_eq!((scene.health.last_failure_at, scene.health.last_success_at), (Some(1_005_000), Some(1_006_000)));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_the_platform_asked_for_is_not_shortened_by_the_next_failure() {
    let mut scene = Scene::new();
    scene.ended(failed(Some(45_000)), 0);
    scene.ended(failed(None), 5_000);
    assert_eq!(scene.shown(5_000).1, Some(40_000));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_is_kept_comes_back() {
    let mut scene = Scene::new();
    scene.ended(Outcome::Success, 0);
    scene.ended(failed(Some(40_000)), 0);
    let now = scene.at(1_000);
    scene.health.swept(9, RequestId::trusted("r9"), 300_000, SweepReason::Interval, now);
    let uptime = |ms| Some(Uptime { boot_id: "boot".into(), ms });
    let (client, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    let row = scene.health.row(&client, &platform, &Bearings { now, uptime: uptime(70_000) });
    let after = Bearings { now: scene.at(11_000), uptime: uptime(80_000) };
    let restored = Health::restored((BACKOFF, BREAKER), row.clone(), &after);
    scene.health = restored.clone();
    assert_eq!(scene.shown(11_000), (2, Some(29_000), CircuitState::Open));
    let now = after.now;
    assert_eq!(restored.retry_at().map(|until| until.wall(now)), Some(1_031_000));
    assert_eq!(restored.last_sweep.as_ref().map(|sweep| sweep.request_id.as_str()), Some("r9"));
    assert_eq!(restored.row(&client, &platform, &after).last_sweep, row.last_sweep);
    assert_eq!((restored.sweep_count, restored.last_error.as_deref()), (1, Some("lease_swept")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_probe_that_did_not_outlive_the_process_leaves_the_circuit_due() {
    let mut scene = Scene::new();
    scene.ended(failed(None), 0);
    scene.ended(failed(None), 0);
    scene.health.probes(7);
    let bearings = Bearings { now: scene.at(31_000), uptime: None };
    let (client, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    let row = scene.health.row(&client, &platform, &bearings);
    let restored = Health::restored((BACKOFF, BREAKER), row, &bearings);
    assert_eq!(restored.circuit_state(), CircuitState::Open);
    assert_eq!(restored.rule(8, bearings.now), Ruling::Probe);
}
