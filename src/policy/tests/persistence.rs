//! What is taken back, forgotten and remembered.

use super::*;

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_target_makes_room_when_all_its_requests_are_over_and_is_remembered() {
    let one = PolicySettings { max_targets: 1, waiter: Waiter { max_per_target: 1, ..limits().waiter }, ..limits() };
    let mut fixture = Fixture::new(one);
    let another = |fixture: &Fixture| {
        let (to, _) = mpsc::unbounded_channel();
        let applicant =
            LeaseRequest { request_id: RequestId::trusted("x"), reply_to: VerdictSink(to).start().recipient() };
        fixture.hub.acquire(&ClientId::trusted("gg"), &platform(), applicant)
    };
    let (mut a, b, mut c) = (fixture.ask(), fixture.ask(), fixture.ask());
    let first = a.lease().await;
    assert!(matches!(c.refusal().await, PolicyRefusal::QueueFull { .. }));
    drop(b.waiting);
    assert!(matches!(fixture.ask().refusal().await, PolicyRefusal::WaiterTimeout { .. }));
    assert_eq!(another(&fixture).err(), Some(PolicyRefusal::TooManyTargets { max: 1 }), "one is out");
    assert_eq!(fixture.explain_of("gg").await, (PredictedOutcome::Refuse, vec![PolicyRule::TooManyTargets]));
    first.settle(failure());
    fixture.view().await;
    drop(another(&fixture).unwrap());
    let forgotten = fixture.hub.targets().await.into_iter().find(|target| target.client_id.as_str() == "ff");
    assert_eq!(forgotten.map(|target| target.consecutive_failures), Some(1), "what it learnt is remembered");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_idle_lease_is_taken_back_and_the_next_gets_its_slot() {
    let mut fixture = Fixture::new(PolicySettings {
        stale_lease: StaleLease { idle_ms: 10_000, sweep_interval_ms: 4_000 },
        ..limits()
    });
    let (mut a, mut b) = (fixture.ask(), fixture.ask());
    let lease = a.lease().await;
    tokio::time::sleep(seconds(5)).await;
    lease.touch(ActivityKind::Progress, Instant::now());
    let next = b.lease().await;
    assert!(matches!(a.verdicts.recv().await, Some(LeaseVerdict::Swept)));
    let view = fixture.view().await;
    assert_eq!(
        (view.stale_sweep_count, view.last_stale_sweep_idle_ms, view.consecutive_failures),
        (1, Some(11_000), 1)
    );
    assert_eq!(view.last_stale_sweep_request_id.as_ref().map(RequestId::as_str), Some("r1"));
    assert_eq!(view.last_stale_sweep_reason.as_deref(), Some("background_interval:lease_idle_timeout"));
    assert_eq!(view.last_error.as_deref(), Some("lease_swept"));
    lease.settle(LeaseOutcome::Success);
    assert_eq!(fixture.view().await.consecutive_failures, 1, "what it says later is ignored");
    drop(next);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_request_that_comes_takes_an_idle_lease_back_before_the_sweep_would() {
    let mut fixture = Fixture::new(PolicySettings {
        stale_lease: StaleLease { idle_ms: 10_000, sweep_interval_ms: 3_600_000 },
        ..limits()
    });
    let _idle = fixture.ask().lease().await;
    tokio::time::sleep(seconds(11)).await;
    let lease = fixture.ask().lease().await;
    assert_eq!(lease.admission().backoff_delay_ms, 1_000, "a swept lease is a failure");
    let view = fixture.view().await;
    assert_eq!(view.last_stale_sweep_reason.as_deref(), Some("request_begin:lease_idle_timeout"));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_reset_wakes_who_waited_and_says_how_it_stood() {
    let mut fixture = Fixture::new(limits());
    fixture.fail(2).await;
    let mut rests = fixture.ask();
    let started = Instant::now();
    let other = ClientId::trusted("gg");
    assert!(fixture.hub.reset(Some(&other), None).await.is_empty());
    let reset = fixture.hub.reset(None, Some(&platform())).await;
    assert_eq!(reset.iter().map(|view| view.consecutive_failures).collect::<Vec<_>>(), [2]);
    rests.lease().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(fixture.view().await.consecutive_failures, 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_open_circuit_and_a_full_window_hold_across_a_restart() {
    let paced = || PolicySettings {
        rate_limit: RateLimit { requests_per_minute_per_platform: 5, window_ms: 300_000 },
        ..limits()
    };
    let mut fixture = Fixture::new(paced());
    fixture.fail(5).await;
    let before = fixture.view().await;
    let mut fixture = fixture.restarted(paced()).await;
    assert_eq!(fixture.view().await.circuit_retry_at, before.circuit_retry_at, "shown before any request");
    assert_eq!(fixture.ask().refusal().await.code().name(), "circuit_open");
    fixture.view().await;
    let reset = fixture.hub.reset(None, None).await;
    assert_eq!(reset.len(), 1);
    let explained = fixture.hub.explain(&ClientId::trusted("ff"), &platform()).await;
    assert_eq!(
        (explained.would, explained.reasons[0].rule),
        (PredictedOutcome::Refuse, PolicyRule::RateLimit),
        "longer than a request may wait"
    );
    let left = u64::try_from(1_300_000 - fixture.clock.now_ms()).unwrap();
    assert_eq!(explained.reasons[0].delay_ms, Some(left), "the first went at 1 000 000");
    let mut waits = fixture.ask();
    assert_eq!(waits.refusal().await.rule(), PolicyRule::RateLimit);
}
