//! What is taken back, forgotten and remembered.

use super::*;

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_target_makes_room_when_all_its_requests_are_over_and_is_remembered() {
    let one = Policy { max_targets: 1, waiter: Waiter { max_per_target: 1, ..limits().waiter }, ..limits() };
    let mut scene = Scene::new(one);
    let another = |scene: &Scene| {
        let (to, _) = mpsc::unbounded_channel();
        let applicant = Applicant { request_id: RequestId::trusted("x"), answer_to: Asker(to).start().recipient() };
        scene.hub.acquire(&ClientId::trusted("gg"), &platform(), applicant)
    };
    let (mut a, b, mut c) = (scene.ask(), scene.ask(), scene.ask());
    let first = a.lease().await;
    assert!(matches!(c.refusal().await, Refusal::QueueFull { .. }));
    drop(b.waiting);
    assert!(matches!(scene.ask().refusal().await, Refusal::WaiterTimeout { .. }));
    assert_eq!(another(&scene).err(), Some(Refusal::TooManyTargets { max: 1 }), "one is out");
    assert_eq!(scene.explain_of("gg").await, (Would::Refuse, vec![Rule::TooManyTargets]));
    first.settle(failure());
    scene.view().await;
    drop(another(&scene).unwrap());
    let forgotten = scene.hub.targets().await.into_iter().find(|target| target.client_id.as_str() == "ff");
    assert_eq!(forgotten.map(|target| target.consecutive_failures), Some(1), "what it learnt is remembered");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_idle_lease_is_taken_back_and_the_next_gets_its_slot() {
    let mut scene =
        Scene::new(Policy { stale_lease: StaleLease { idle_ms: 10_000, sweep_interval_ms: 4_000 }, ..limits() });
    let (mut a, mut b) = (scene.ask(), scene.ask());
    let lease = a.lease().await;
    tokio::time::sleep(seconds(5)).await;
    lease.touch(Touch::Progress, Instant::now());
    let next = b.lease().await;
    assert!(matches!(a.verdicts.recv().await, Some(Verdict::Swept)));
    let view = scene.view().await;
    assert_eq!(
        (view.stale_sweep_count, view.last_stale_sweep_idle_ms, view.consecutive_failures),
        (1, Some(11_000), 1)
    );
    assert_eq!(view.last_stale_sweep_request_id.as_ref().map(RequestId::as_str), Some("r1"));
    assert_eq!(view.last_stale_sweep_reason.as_deref(), Some("background_interval:lease_idle_timeout"));
    assert_eq!(view.last_error.as_deref(), Some("lease_swept"));
    lease.settle(Outcome::Success);
    assert_eq!(scene.view().await.consecutive_failures, 1, "what it says later is ignored");
    drop(next);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_request_that_comes_takes_an_idle_lease_back_before_the_sweep_would() {
    let mut scene =
        Scene::new(Policy { stale_lease: StaleLease { idle_ms: 10_000, sweep_interval_ms: 3_600_000 }, ..limits() });
    let _idle = scene.ask().lease().await;
    tokio::time::sleep(seconds(11)).await;
    let lease = scene.ask().lease().await;
    assert_eq!(lease.admission().backoff_delay_ms, 1_000, "a swept lease is a failure");
    let view = scene.view().await;
    assert_eq!(view.last_stale_sweep_reason.as_deref(), Some("request_begin:lease_idle_timeout"));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_reset_wakes_who_waited_and_says_how_it_stood() {
    let mut scene = Scene::new(limits());
    scene.fail(2).await;
    let mut rests = scene.ask();
    let started = Instant::now();
    let other = ClientId::trusted("gg");
    assert!(scene.hub.reset(Some(&other), None).await.is_empty());
    let reset = scene.hub.reset(None, Some(&platform())).await;
    assert_eq!(reset.iter().map(|view| view.consecutive_failures).collect::<Vec<_>>(), [2]);
    rests.lease().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(scene.view().await.consecutive_failures, 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_open_circuit_and_a_full_window_hold_across_a_restart() {
    let paced =
        || Policy { rate_limit: RateLimit { requests_per_minute_per_platform: 5, window_ms: 300_000 }, ..limits() };
    let mut scene = Scene::new(paced());
    scene.fail(5).await;
    let before = scene.view().await;
    let mut scene = scene.restarted(paced()).await;
    assert_eq!(scene.view().await.circuit_retry_at, before.circuit_retry_at, "shown before any request");
    assert_eq!(scene.ask().refusal().await.code(), "circuit_open");
    scene.view().await;
    let reset = scene.hub.reset(None, None).await;
    assert_eq!(reset.len(), 1);
    let explained = scene.hub.explain(&ClientId::trusted("ff"), &platform()).await;
    assert_eq!((explained.would, explained.reasons[0].rule), (Would::Refuse, Rule::RateLimit), "nobody waits so long");
    let left = u64::try_from(1_300_000 - scene.clock.now_ms()).unwrap();
    assert_eq!(explained.reasons[0].delay_ms, Some(left), "the first went at 1 000 000");
    let mut waits = scene.ask();
    assert_eq!(waits.refusal().await.rule(), Rule::RateLimit);
}
