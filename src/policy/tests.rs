//! Targets, gates and the hub together, on a paused clock.

use super::{
    settings::{Concurrency, Jitter, Policy, RateLimit, StaleLease, Waiter},
    *,
};
use crate::{
    clock::Clock,
    events::{Bus, Reader, Resume},
    ids::{ClientId, PlatformName, RequestId},
};
use actix::prelude::*;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// One slot, two may wait, nothing is paced.
fn limits() -> Policy {
    Policy {
        jitter: Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 },
        rate_limit: RateLimit { requests_per_minute_per_platform: 1_000, window_ms: 60_000 },
        waiter: Waiter { timeout_ms: 120_000, max_per_target: 2 },
        ..Policy::default()
    }
}

/// Takes verdicts for a request and hands them to the test.
struct Asker(mpsc::UnboundedSender<Verdict>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Verdict> for Asker {
    type Result = ();
    fn handle(&mut self, verdict: Verdict, _: &mut Self::Context) {
        let _ = self.0.send(verdict);
    }
}

struct Scene {
    hub: Hub,
    memory: Memory,
    clock: Clock,
    numbers: u64,
    events: Reader,
}

struct Asked {
    waiting: Waiting,
    verdicts: mpsc::UnboundedReceiver<Verdict>,
}

impl Asked {
    async fn lease(&mut self) -> Lease {
        match self.verdicts.recv().await {
            Some(Verdict::Granted(lease)) => lease,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn refusal(&mut self) -> Refusal {
        match self.verdicts.recv().await {
            Some(Verdict::Refused(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

impl Scene {
    fn new(settings: Policy) -> Self {
        let clock = Clock::starting_at(1_000_000);
        let memory = Memory::of_this_process(clock, settings.max_targets);
        Scene::remembering(settings, clock, memory)
    }

    fn remembering(settings: Policy, clock: Clock, memory: Memory) -> Self {
        let bus = Bus::new(1, 64);
        let events = bus.subscribe(Resume::Live);
        let settings = Arc::new(settings);
        let parts = Parts { settings, clock, events: bus, memory: memory.clone(), observer: Observer::default() };
        Scene { hub: Hub::new(parts), memory, clock, numbers: 0, events }
    }

    /// Another process with what this one keeps.
    async fn restarted(self, settings: Policy) -> Self {
        self.hub.keep().await;
        Scene::remembering(settings, self.clock, self.memory)
    }

    fn ask(&mut self) -> Asked {
        self.ask_of("ff")
    }

    fn ask_of(&mut self, client: &str) -> Asked {
        let (to, verdicts) = mpsc::unbounded_channel();
        self.numbers += 1;
        let request_id = RequestId::trusted(format!("r{}", self.numbers));
        let applicant = Applicant { request_id, answer_to: Asker(to).start().recipient() };
        let waiting = self.hub.acquire(&ClientId::trusted(client), &platform(), applicant).unwrap();
        Asked { waiting, verdicts }
    }

    async fn view(&self) -> TargetView {
        self.hub.targets().await.remove(0)
    }

    async fn fail(&mut self, times: u32) {
        for _ in 0..times {
            self.ask().lease().await.settle(failure());
        }
        self.view().await;
    }

    async fn explain(&self) -> (Would, Vec<Rule>) {
        let explained = self.hub.explain(&ClientId::trusted("ff"), &platform()).await;
        (explained.would, explained.reasons.into_iter().map(|reason| reason.rule).collect())
    }
}

fn platform() -> PlatformName {
    PlatformName::trusted("claude")
}

fn failure() -> Outcome {
    Outcome::Failure(Failed { error: "http_500".into(), retry_after_ms: None })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn grants_in_order_of_arrival_and_shows_what_was_waited() {
    let mut scene = Scene::new(limits());
    let (mut a, mut b, mut c) = (scene.ask(), scene.ask(), scene.ask());
    let first = a.lease().await;
    assert_eq!(first.admission().queue_delay_ms, 0);
    assert_eq!(scene.view().await.waiting, 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.settle(Outcome::Success);
    let second = b.lease().await;
    assert_eq!((second.admission().request_id.as_str(), second.admission().queue_delay_ms), ("r2", 3_000));
    second.settle(Outcome::Success);
    c.lease().await.settle(Outcome::Success);
    let view = scene.view().await;
    assert_eq!((view.in_flight, view.waiting, view.last_success_at.is_some()), (0, 0, true));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn one_more_than_may_wait_is_refused_at_once() {
    let mut scene = Scene::new(limits());
    let mut first = scene.ask();
    let _lease = first.lease().await;
    let _in_line = [scene.ask(), scene.ask()];
    let mut late = scene.ask();
    let verdict = late.verdicts.recv().await.unwrap();
    assert!(matches!(verdict, Verdict::Refused(Refusal::QueueFull { waiting: 2 })), "{verdict:?}");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn each_waiter_gives_up_after_its_own_time() {
    let mut scene = Scene::new(limits());
    let mut first = scene.ask();
    let _lease = first.lease().await;
    let started = Instant::now();
    let mut second = scene.ask();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut third = scene.ask();
    for (waiter, seconds) in [(&mut second, 120), (&mut third, 180)] {
        let verdict = waiter.verdicts.recv().await.unwrap();
        assert!(matches!(verdict, Verdict::Refused(Refusal::WaiterTimeout { wait_timeout_ms: 120_000, .. })));
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
    assert_eq!(scene.view().await.waiting, 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_leaves_the_queue_is_gone_at_once_and_gets_nothing() {
    let mut scene = Scene::new(limits());
    let (mut a, b, mut c) = (scene.ask(), scene.ask(), scene.ask());
    let first = a.lease().await;
    let Asked { waiting, verdicts: mut never } = b;
    drop(waiting);
    assert_eq!(scene.view().await.waiting, 1);
    first.settle(Outcome::Cancelled);
    assert_eq!(c.lease().await.admission().request_id.as_str(), "r3");
    assert!(never.try_recv().is_err());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_dropped_lease_frees_its_slot_and_counts_as_no_failure() {
    let mut scene = Scene::new(limits());
    let (mut a, mut b) = (scene.ask(), scene.ask());
    drop(a.lease().await);
    let second = b.lease().await;
    assert_eq!(scene.view().await.consecutive_failures, 0);
    second.settle(failure());
    let view = scene.view().await;
    assert_eq!((view.in_flight, view.consecutive_failures, view.last_error.as_deref()), (0, 1, Some("http_500")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_lease_for_an_applicant_that_died_comes_back() {
    let mut scene = Scene::new(limits());
    let (mut a, b, mut c) = (scene.ask(), scene.ask(), scene.ask());
    let first = a.lease().await;
    // The test's end of its channel is closed, so the asker drops the lease it gets.
    drop(b.verdicts);
    first.settle(Outcome::Success);
    let third = c.lease().await;
    assert_eq!(third.admission().request_id.as_str(), "r3");
    b.waiting.done();
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn signs_of_life_are_shown_with_their_reason() {
    let mut scene = Scene::new(limits());
    let lease = scene.ask().lease().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    lease.touch(Touch::StreamEvent, Instant::now());
    tokio::time::sleep(Duration::from_secs(9)).await;
    let view = scene.view().await;
    assert_eq!((view.last_activity_at, view.last_activity_reason), (Some(1_005_000), Some("stream_event")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_target_makes_room_when_all_its_requests_are_over_and_nothing_is_to_be_remembered() {
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
    first.settle(failure());
    scene.view().await;
    assert_eq!(another(&scene).err(), Some(Refusal::TooManyTargets { max: 1 }), "a failure is remembered");
    scene.ask().lease().await.settle(Outcome::Success);
    scene.view().await;
    assert!(another(&scene).is_ok());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_line_and_a_row_of_failures_are_told_and_requests_that_pass_are_not() {
    let mut scene = Scene::new(limits());
    for _ in 0..2 {
        scene.ask().lease().await.settle(Outcome::Success);
    }
    scene.view().await;
    assert!(scene.events.told().is_empty(), "nobody waited and nothing failed");
    let (mut a, mut b) = (scene.ask(), scene.ask());
    let first = a.lease().await;
    scene.view().await;
    first.settle(failure());
    b.lease().await.settle(Outcome::Success);
    let c = scene.ask();
    let Asked { waiting, .. } = c;
    drop(waiting);
    scene.view().await;
    let told = scene.events.told();
    let shown: Vec<_> = told
        .iter()
        .map(|(name, data)| {
            assert_eq!(
                (name.as_str(), &data["client_id"], &data["platform"]),
                ("policy", &"ff".into(), &"claude".into())
            );
            assert_eq!(data["circuit_state"], "closed");
            let number = |field: &str| data[field].as_u64().unwrap();
            (number("in_flight"), number("waiting"), number("consecutive_failures"), data["last_error"].as_str())
        })
        .collect();
    assert_eq!(shown, [(1, 1, 0, None), (1, 0, 1, Some("http_500")), (0, 0, 0, None)]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn delays_are_told_apart_and_add_up() {
    let paced = Policy {
        jitter: Jitter { min_ms: 300, max_ms: 300, mu_ms: 300, sigma_ms: 0 },
        rate_limit: RateLimit { requests_per_minute_per_platform: 2, window_ms: 60_000 },
        ..limits()
    };
    let mut scene = Scene::new(paced);
    let (mut a, mut b, mut c) = (scene.ask(), scene.ask(), scene.ask());
    let first = a.lease().await;
    tokio::time::sleep(seconds(2)).await;
    first.settle(failure());
    b.lease().await.settle(Outcome::Success);
    let lease = c.lease().await;
    let Admission {
        requested_at,
        admitted_at,
        queue_delay_ms,
        backoff_delay_ms,
        rate_limit_delay_ms,
        jitter_delay_ms,
        ..
    } = **lease.admission();
    // The first went at 0.3 s, failed at 2.3 s and rests until 3.3 s; the second went at 3.6 s; the first leaves at 60.3 s.
    assert_eq!((requested_at, admitted_at), (1_000_000, 1_060_600));
    assert_eq!((queue_delay_ms, backoff_delay_ms, rate_limit_delay_ms, jitter_delay_ms), (3_600, 0, 56_700, 300));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_back_off_delays_its_own_target_and_no_other() {
    let mut scene = Scene::new(limits());
    scene.fail(2).await;
    let started = Instant::now();
    let mut rests = scene.ask();
    scene.ask_of("gg").lease().await.settle(Outcome::Success);
    assert_eq!(started.elapsed(), Duration::ZERO, "another client's");
    let reason = rests.waiting.reason().await.unwrap();
    assert_eq!((reason.rule, reason.delay_ms, reason.position), (Rule::Backoff, Some(2_000), None));
    assert_eq!(scene.view().await.last_activity_reason, Some("backoff_wait"));
    let lease = rests.lease().await;
    assert_eq!((started.elapsed(), lease.admission().backoff_delay_ms), (seconds(2), 2_000));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_back_off_longer_than_a_request_may_wait_is_refused_at_once() {
    let mut scene = Scene::new(limits());
    let day = Failed { error: "http_429".into(), retry_after_ms: Some(86_400_000) };
    scene.ask().lease().await.settle(Outcome::Failure(day));
    let started = Instant::now();
    let refusal = scene.ask().refusal().await;
    assert_eq!(
        (refusal.code(), refusal.retry_after_ms(), refusal.until()),
        ("backoff", Some(86_400_000), Some(87_400_000))
    );
    assert!(refusal.to_string().contains("after 1 failure: http_429"), "{refusal}");
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(scene.explain().await, (Would::Refuse, vec![Rule::Backoff]));
    let view = scene.view().await;
    assert_eq!((view.in_flight, view.waiting, view.consecutive_failures), (0, 0, 1));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_circuit_opens_lets_one_find_out_and_closes() {
    let mut scene =
        Scene::new(Policy { concurrency: Concurrency { max_in_flight_per_client_platform: 2 }, ..limits() });
    scene.fail(5).await;
    let view = scene.view().await;
    let retry_at = view.circuit_retry_at.unwrap();
    assert_eq!((view.circuit_state, retry_at - view.last_failure_at.unwrap()), (CircuitState::Open, 60_000));
    let refusal = scene.ask().refusal().await;
    assert_eq!((refusal.code(), refusal.retry_after_ms()), ("circuit_open", Some(60_000)));
    tokio::time::sleep(seconds(60)).await;
    let (mut probe, mut other) = (scene.ask(), scene.ask());
    let lease = probe.lease().await;
    assert_eq!(lease.admission().circuit_state, CircuitState::HalfOpen);
    assert_eq!(
        other.waiting.reason().await.map(|reason| reason.rule),
        Some(Rule::CircuitProbe),
        "though a slot is free"
    );
    lease.settle(Outcome::Success);
    assert_eq!(other.lease().await.admission().circuit_state, CircuitState::Closed);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_failed_probe_opens_at_once_and_a_cancelled_one_says_nothing() {
    let mut scene = Scene::new(limits());
    scene.fail(5).await;
    tokio::time::sleep(seconds(60)).await;
    drop(scene.ask().lease().await);
    let view = scene.view().await;
    assert_eq!((view.circuit_state, view.consecutive_failures), (CircuitState::Open, 5));
    let (mut probe, mut next) = (scene.ask(), scene.ask());
    probe.lease().await.settle(failure());
    assert_eq!(next.refusal().await.code(), "circuit_open");
    assert_eq!(scene.explain().await, (Would::Refuse, vec![Rule::CircuitOpen]));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_waits_for_pacing_is_refused_in_time_and_says_where_it_waited() {
    let paced = RateLimit { requests_per_minute_per_platform: 1, window_ms: 600_000 };
    let mut scene = Scene::new(Policy { rate_limit: paced, ..limits() });
    scene.ask().lease().await.settle(Outcome::Success);
    let mut second = scene.ask();
    let reason = second.waiting.reason().await.unwrap();
    assert_eq!((reason.rule, reason.position, reason.until), (Rule::RateLimit, Some(1), Some(1_600_000)));
    let expected =
        Refusal::WaiterTimeout { stage: Stage::PlatformAdmission, rule: Rule::RateLimit, wait_timeout_ms: 120_000 };
    assert_eq!(second.refusal().await, expected);
    let platform = platform();
    let view = scene.hub.platforms(std::iter::once(&platform)).await.remove(0);
    assert_eq!((view.waiting, view.recent_dispatch_count, view.last_dispatched_at), (0, 1, Some(1_000_000)));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_leaves_the_platforms_line_lets_the_next_through() {
    let paced = RateLimit { requests_per_minute_per_platform: 1, window_ms: 60_000 };
    let mut scene = Scene::new(Policy { rate_limit: paced, ..limits() });
    scene.ask().lease().await.settle(Outcome::Success);
    let (first, mut second) = (scene.ask_of("gg"), scene.ask_of("hh"));
    assert_eq!(second.waiting.reason().await.and_then(|reason| reason.position), Some(2));
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(second.waiting.reason().await.and_then(|reason| reason.position), Some(1));
    assert_eq!(second.lease().await.admission().rate_limit_delay_ms, 60_000);
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
