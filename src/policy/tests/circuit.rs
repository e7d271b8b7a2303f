//! Back-off and circuit.

use super::*;

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_back_off_delays_its_own_target_and_no_other() {
    let mut fixture = Fixture::new(limits());
    fixture.fail(2).await;
    let started = Instant::now();
    let mut rests = fixture.ask();
    fixture.ask_of("gg").lease().await.settle(LeaseOutcome::Success);
    assert_eq!(started.elapsed(), Duration::ZERO, "another client's");
    let reason = rests.waiting.reason().await.unwrap();
    assert_eq!((reason.rule, reason.delay_ms, reason.position), (PolicyRule::Backoff, Some(2_000), None));
    assert_eq!(fixture.view().await.last_activity_reason.as_deref(), Some("backoff_wait"));
    let lease = rests.lease().await;
    assert_eq!((started.elapsed(), lease.admission().backoff_delay_ms), (seconds(2), 2_000));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_back_off_longer_than_a_request_may_wait_is_refused_at_once() {
    let mut fixture = Fixture::new(limits());
    let day = LeaseFailure { error: "http_429".into(), retry_after_ms: Some(86_400_000) };
    fixture.ask().lease().await.settle(LeaseOutcome::Failure(day));
    let started = Instant::now();
    let refusal = fixture.ask().refusal().await;
    assert_eq!(
        (refusal.code().name(), refusal.retry_after_ms(), refusal.until()),
        ("backoff", Some(86_400_000), Some(87_400_000))
    );
    assert!(refusal.to_string().contains("after 1 failure: http_429"), "{refusal}");
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(fixture.explain().await, (PredictedOutcome::Refuse, vec![PolicyRule::Backoff]));
    let view = fixture.view().await;
    assert_eq!((view.in_flight, view.waiting, view.consecutive_failures), (0, 0, 1));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_circuit_opens_lets_one_find_out_and_closes() {
    let mut fixture =
        Fixture::new(PolicySettings { concurrency: Concurrency { max_in_flight_per_client_platform: 2 }, ..limits() });
    fixture.fail(5).await;
    let view = fixture.view().await;
    let retry_at = view.circuit_retry_at.unwrap();
    assert_eq!((view.circuit_state, retry_at - view.last_failure_at.unwrap()), (CircuitState::Open, 60_000));
    let refusal = fixture.ask().refusal().await;
    assert_eq!((refusal.code().name(), refusal.retry_after_ms()), ("circuit_open", Some(60_000)));
    tokio::time::sleep(seconds(60)).await;
    let (mut probe, mut other) = (fixture.ask(), fixture.ask());
    let lease = probe.lease().await;
    assert_eq!(lease.admission().circuit_state, CircuitState::HalfOpen);
    assert_eq!(
        other.waiting.reason().await.map(|reason| reason.rule),
        Some(PolicyRule::CircuitProbe),
        "though a slot is free"
    );
    lease.settle(LeaseOutcome::Success);
    assert_eq!(other.lease().await.admission().circuit_state, CircuitState::Closed);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_failed_probe_opens_at_once_and_a_cancelled_one_says_nothing() {
    let mut fixture = Fixture::new(limits());
    fixture.fail(5).await;
    tokio::time::sleep(seconds(60)).await;
    drop(fixture.ask().lease().await);
    let view = fixture.view().await;
    assert_eq!((view.circuit_state, view.consecutive_failures), (CircuitState::Open, 5));
    let (mut probe, mut next) = (fixture.ask(), fixture.ask());
    probe.lease().await.settle(failure());
    assert_eq!(next.refusal().await.code().name(), "circuit_open");
    assert_eq!(fixture.explain().await, (PredictedOutcome::Refuse, vec![PolicyRule::CircuitOpen]));
}
