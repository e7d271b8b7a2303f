//! Targets, gates and the hub together, on a paused clock.

use super::{
    settings::{Concurrency, Jitter, PolicySettings, RateLimit, StaleLease, Waiter},
    *,
};
use crate::{
    clock::Clock,
    events::{EventBus, EventReader, ResumePoint},
    ids::{ClientId, PlatformName, RequestId},
};
use actix::prelude::*;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

mod circuit;
mod pacing;
mod persistence;
mod simulation;

/// One slot, two may wait, nothing is paced.
fn limits() -> PolicySettings {
    PolicySettings {
        jitter: Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 },
        rate_limit: RateLimit { requests_per_minute_per_platform: 1_000, window_ms: 60_000 },
        waiter: Waiter { timeout_ms: 120_000, max_per_target: 2 },
        ..PolicySettings::default()
    }
}

/// Takes verdicts for a request and hands them to the test.
struct VerdictSink(mpsc::UnboundedSender<LeaseVerdict>);

impl Actor for VerdictSink {
    type Context = Context<Self>;
}

impl Handler<LeaseVerdict> for VerdictSink {
    type Result = ();
    fn handle(&mut self, verdict: LeaseVerdict, _: &mut Self::Context) {
        let _ = self.0.send(verdict);
    }
}

struct Fixture {
    hub: PolicyHub,
    memory: PolicyMemory,
    clock: Clock,
    numbers: u64,
    events: EventReader,
}

struct PendingRequest {
    waiting: PendingLease,
    verdicts: mpsc::UnboundedReceiver<LeaseVerdict>,
}

impl PendingRequest {
    async fn lease(&mut self) -> Lease {
        match self.verdicts.recv().await {
            Some(LeaseVerdict::Granted(lease)) => lease,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn refusal(&mut self) -> PolicyRefusal {
        match self.verdicts.recv().await {
            Some(LeaseVerdict::Refused(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

impl Fixture {
    fn new(settings: PolicySettings) -> Self {
        let clock = Clock::starting_at(1_000_000);
        let memory = PolicyMemory::of_this_process(clock, settings.max_targets);
        Fixture::remembering(settings, clock, memory)
    }

    fn remembering(settings: PolicySettings, clock: Clock, memory: PolicyMemory) -> Self {
        let bus = EventBus::new(1, 64);
        let events = bus.subscribe(ResumePoint::Live);
        let settings = Arc::new(settings);
        let parts =
            PolicyParts { settings, clock, events: bus, memory: memory.clone(), observer: PolicyObserver::default() };
        Fixture { hub: PolicyHub::new(parts), memory, clock, numbers: 0, events }
    }

    /// Another process with what this one keeps.
    async fn restarted(self, settings: PolicySettings) -> Self {
        self.hub.persist().await;
        Fixture::remembering(settings, self.clock, self.memory)
    }

    fn ask(&mut self) -> PendingRequest {
        self.ask_of("ff")
    }

    fn ask_of(&mut self, client: &str) -> PendingRequest {
        let (to, verdicts) = mpsc::unbounded_channel();
        self.numbers += 1;
        let request_id = RequestId::trusted(format!("r{}", self.numbers));
        let applicant = LeaseRequest { request_id, reply_to: VerdictSink(to).start().recipient() };
        let waiting = self.hub.acquire(&ClientId::trusted(client), &platform(), applicant).unwrap();
        PendingRequest { waiting, verdicts }
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

    async fn explain(&self) -> (PredictedOutcome, Vec<PolicyRule>) {
        self.explain_of("ff").await
    }

    async fn explain_of(&self, client: &str) -> (PredictedOutcome, Vec<PolicyRule>) {
        let explained = self.hub.explain(&ClientId::trusted(client), &platform()).await;
        (explained.would, explained.reasons.into_iter().map(|reason| reason.rule).collect())
    }
}

fn platform() -> PlatformName {
    PlatformName::trusted("claude")
}

fn failure() -> LeaseOutcome {
    LeaseOutcome::Failure(LeaseFailure { error: "http_500".into(), retry_after_ms: None })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn grants_in_order_of_arrival_and_shows_what_was_waited() {
    let mut fixture = Fixture::new(limits());
    let (mut a, mut b, mut c) = (fixture.ask(), fixture.ask(), fixture.ask());
    let first = a.lease().await;
    assert_eq!(first.admission().queue_delay_ms, 0);
    assert_eq!(fixture.view().await.waiting, 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.settle(LeaseOutcome::Success);
    let second = b.lease().await;
    assert_eq!((second.admission().request_id.as_str(), second.admission().queue_delay_ms), ("r2", 3_000));
    second.settle(LeaseOutcome::Success);
    c.lease().await.settle(LeaseOutcome::Success);
    let view = fixture.view().await;
    assert_eq!((view.in_flight, view.waiting, view.last_success_at.is_some()), (0, 0, true));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn one_more_than_may_wait_is_refused_at_once() {
    let mut fixture = Fixture::new(limits());
    let mut first = fixture.ask();
    let _lease = first.lease().await;
    let _in_line = [fixture.ask(), fixture.ask()];
    let mut late = fixture.ask();
    let verdict = late.verdicts.recv().await.unwrap();
    assert!(matches!(verdict, LeaseVerdict::Refused(PolicyRefusal::QueueFull { waiting: 2 })), "{verdict:?}");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn each_waiter_gives_up_after_its_own_time() {
    let mut fixture = Fixture::new(limits());
    let mut first = fixture.ask();
    let _lease = first.lease().await;
    let started = Instant::now();
    let mut second = fixture.ask();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut third = fixture.ask();
    for (waiter, seconds) in [(&mut second, 120), (&mut third, 180)] {
        let verdict = waiter.verdicts.recv().await.unwrap();
        assert!(matches!(
            verdict,
            LeaseVerdict::Refused(PolicyRefusal::WaiterTimeout { wait_timeout_ms: 120_000, .. })
        ));
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
    assert_eq!(fixture.view().await.waiting, 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_leaves_the_queue_is_gone_at_once_and_gets_nothing() {
    let mut fixture = Fixture::new(limits());
    let (mut a, b, mut c) = (fixture.ask(), fixture.ask(), fixture.ask());
    let first = a.lease().await;
    let PendingRequest { waiting, verdicts: mut never } = b;
    drop(waiting);
    assert_eq!(fixture.view().await.waiting, 1);
    first.settle(LeaseOutcome::Cancelled);
    assert_eq!(c.lease().await.admission().request_id.as_str(), "r3");
    assert!(never.try_recv().is_err());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_dropped_lease_frees_its_slot_and_counts_as_no_failure() {
    let mut fixture = Fixture::new(limits());
    let (mut a, mut b) = (fixture.ask(), fixture.ask());
    drop(a.lease().await);
    let second = b.lease().await;
    assert_eq!(fixture.view().await.consecutive_failures, 0);
    second.settle(failure());
    let view = fixture.view().await;
    assert_eq!((view.in_flight, view.consecutive_failures, view.last_error.as_deref()), (0, 1, Some("http_500")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_lease_for_an_applicant_that_died_comes_back() {
    let mut fixture = Fixture::new(limits());
    let (mut a, b, mut c) = (fixture.ask(), fixture.ask(), fixture.ask());
    let first = a.lease().await;
    // The test's end of its channel is closed, so the asker drops the lease it gets.
    drop(b.verdicts);
    first.settle(LeaseOutcome::Success);
    let third = c.lease().await;
    assert_eq!(third.admission().request_id.as_str(), "r3");
    b.waiting.done();
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn signs_of_life_are_shown_with_their_reason() {
    let mut fixture = Fixture::new(limits());
    let lease = fixture.ask().lease().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    lease.touch(ActivityKind::StreamEvent, Instant::now());
    tokio::time::sleep(Duration::from_secs(9)).await;
    let view = fixture.view().await;
    assert_eq!((view.last_activity_at, view.last_activity_reason.as_deref()), (Some(1_005_000), Some("stream_event")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_line_and_a_row_of_failures_are_told_and_requests_that_pass_are_not() {
    let mut fixture = Fixture::new(limits());
    for _ in 0..2 {
        fixture.ask().lease().await.settle(LeaseOutcome::Success);
    }
    fixture.view().await;
    assert!(fixture.events.told().is_empty(), "no request waited or failed");
    let (mut a, mut b) = (fixture.ask(), fixture.ask());
    let first = a.lease().await;
    fixture.view().await;
    first.settle(failure());
    b.lease().await.settle(LeaseOutcome::Success);
    let c = fixture.ask();
    let PendingRequest { waiting, .. } = c;
    drop(waiting);
    fixture.view().await;
    let told = fixture.events.told();
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
