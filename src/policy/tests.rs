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

mod circuit;
mod lasting;
mod pacing;

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
        self.explain_of("ff").await
    }

    async fn explain_of(&self, client: &str) -> (Would, Vec<Rule>) {
        let explained = self.hub.explain(&ClientId::trusted(client), &platform()).await;
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
