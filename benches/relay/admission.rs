//! The policy alone: the library's hub, targets and pacers, driven on this thread.
//!
//! It runs in a separate process (`--policy`), since memory freed by earlier cases would distort its own.

mod driver;

use crate::measure::{Latencies, Memory};
use actix::System;
use anyhow::{Context, ensure};
use driver::{AdmissionRequest, PolicyDriver};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Number of idle targets.
const FREE_TARGETS: usize = 8;
/// Slots of each target, more than are ever used.
const FREE_SLOTS: usize = 4_096;
/// Requests in progress, or requested at once.
const UNDER_WAY: usize = 64;
/// Number of targets with many waiting requests.
const BUSY_TARGETS: usize = 100;

/// The parameters of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionPlan {
    /// Number of timed admissions.
    pub(crate) admissions: usize,
    /// Waiting requests per busy target.
    pub(crate) waiters: usize,
}

impl AdmissionPlan {
    /// Converts the plan to command-line arguments.
    pub(crate) fn arguments(self) -> [String; 3] {
        ["--policy".to_owned(), self.admissions.to_string(), self.waiters.to_string()]
    }

    fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let numbers = arguments.skip(1).map(|argument| argument.parse()).collect::<Result<Vec<_>, _>>()?;
        let [admissions, waiters] = numbers[..] else { anyhow::bail!("--policy takes two numbers") };
        Ok(AdmissionPlan { admissions, waiters })
    }
}

/// Median and tail, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LatencySpread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl LatencySpread {
    fn of(mut latencies: Latencies) -> Self {
        LatencySpread { p50: latencies.percentile_ms(50.0) * 1e3, p99: latencies.percentile_ms(99.0) * 1e3 }
    }
}

/// The results, printed as one line of JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct AdmissionFigures {
    /// Time from request to verdict without other requests.
    pub(crate) alone: LatencySpread,
    /// The same while other requests hold leases of the targets.
    pub(crate) beside: LatencySpread,
    /// The same for requests made at once, each measured from its own request.
    pub(crate) at_once: LatencySpread,
    /// The total time of such a round per request, in microseconds.
    pub(crate) at_once_each_us: f64,
    /// Memory of all waiting requests and their targets in bytes.
    pub(crate) waiters_bytes: f64,
    /// Time from the first settled lease to the last admission, in milliseconds.
    pub(crate) released_ms: f64,
}

/// Runs the plan in this process and prints the figures.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let plan = AdmissionPlan::parse(arguments)?;
    let figures = System::new().block_on(async {
        // First, on fresh memory.
        let (waiters_bytes, released) = many_wait(plan.waiters).await.context("many waiters")?;
        let mut free = PolicyDriver::new(FREE_TARGETS, FREE_SLOTS, 0);
        one_by_one(&mut free, plan.admissions / 10, 0).await.context("warm-up")?;
        let alone = one_by_one(&mut free, plan.admissions, 0).await.context("one at a time")?;
        let beside = one_by_one(&mut free, plan.admissions, UNDER_WAY).await.context("beside others")?;
        let (at_once, each) = at_once(&mut free, plan.admissions.div_ceil(UNDER_WAY)).await.context("at once")?;
        anyhow::Ok(AdmissionFigures {
            alone: LatencySpread::of(alone),
            beside: LatencySpread::of(beside),
            at_once: LatencySpread::of(at_once),
            at_once_each_us: each.as_secs_f64() * 1e6,
            waiters_bytes,
            released_ms: released.as_secs_f64() * 1e3,
        })
    })?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Measures admissions to idle targets one after the other, while `held` others hold leases.
async fn one_by_one(driver: &mut PolicyDriver, count: usize, held: usize) -> anyhow::Result<Latencies> {
    let (mut latencies, mut leases) = (Latencies::default(), VecDeque::with_capacity(held + 1));
    for place in 0..held + count {
        let request = AdmissionRequest { target: place % FREE_TARGETS, place };
        let pending = driver.ask(request)?;
        let admitted = driver.admitted().await?;
        ensure!(admitted.request == request, "requested {request:?}, admitted {:?}", admitted.request);
        pending.waiting.done();
        leases.push_back(admitted.lease);
        if place < held {
            continue;
        }
        latencies.push(admitted.at - pending.at);
        driver::settle(leases.pop_front().context("a lease was lost")?);
        // Processed after the settled lease, so that the next request does not wait for it.
        driver.expect(held, 0).await?;
    }
    leases.into_iter().for_each(driver::settle);
    driver.expect(0, 0).await?;
    Ok(latencies)
}

/// Measures rounds of requests made at once: the latency of each, and the median over the rounds of the time per
/// request.
async fn at_once(driver: &mut PolicyDriver, rounds: usize) -> anyhow::Result<(Latencies, Duration)> {
    let (mut latencies, mut shares) = (Latencies::default(), Latencies::default());
    for _ in 0..rounds {
        let mut waiting = Vec::with_capacity(UNDER_WAY);
        for place in 0..UNDER_WAY {
            waiting.push(Some(driver.ask(AdmissionRequest { target: place % FREE_TARGETS, place })?));
        }
        let first = waiting[0].as_ref().map(|pending| pending.at).context("no request was made")?;
        let (mut leases, mut last) = (Vec::with_capacity(UNDER_WAY), first);
        while leases.len() < UNDER_WAY {
            let admitted = driver.admitted().await?;
            let pending = waiting.get_mut(admitted.request.place).and_then(Option::take).context("admitted twice")?;
            pending.waiting.done();
            latencies.push(admitted.at - pending.at);
            last = last.max(admitted.at);
            leases.push(admitted.lease);
        }
        shares.push((last - first) / UNDER_WAY as u32);
        leases.into_iter().for_each(driver::settle);
        driver.expect(0, 0).await?;
    }
    Ok((latencies, Duration::from_secs_f64(shares.percentile_ms(50.0) / 1e3)))
}

/// Lets many requests wait for targets with one slot, then settles one lease after the other and checks that each target
/// admits its requests in order. Returns the memory of the waiting requests and the time until the last admission.
async fn many_wait(waiters: usize) -> anyhow::Result<(f64, Duration)> {
    let resident = || Memory::of(std::process::id()).resident;
    let mut driver = PolicyDriver::new(BUSY_TARGETS, 1, waiters);
    let before = resident();
    let mut leases = VecDeque::with_capacity(BUSY_TARGETS);
    for target in 0..BUSY_TARGETS {
        let asked = driver.ask(AdmissionRequest { target, place: 0 })?;
        leases.push_back(driver.admitted().await?);
        asked.waiting.done();
    }
    let mut waiting: Vec<_> = (0..BUSY_TARGETS).map(|_| VecDeque::with_capacity(waiters)).collect();
    for place in 1..=waiters {
        for (target, line) in waiting.iter_mut().enumerate() {
            line.push_back(driver.ask(AdmissionRequest { target, place })?.waiting);
            // As in the daemon, the requests arrive one after the other.
            tokio::task::yield_now().await;
        }
    }
    driver.expect(BUSY_TARGETS, BUSY_TARGETS * waiters).await?;
    let bytes = resident() - before;
    let start = Instant::now();
    for _ in 0..BUSY_TARGETS * waiters {
        let settled = leases.pop_front().context("a slot was lost")?;
        let AdmissionRequest { target, place } = settled.request;
        driver::settle(settled.lease);
        let next = driver.admitted().await?;
        let expected = AdmissionRequest { target, place: place + 1 };
        ensure!(next.request == expected, "expected {expected:?} next, admitted {:?}", next.request);
        waiting[target].pop_front().context("admitted twice")?.done();
        leases.push_back(next);
    }
    let released = start.elapsed();
    ensure!(waiting.iter().all(VecDeque::is_empty), "some still wait");
    leases.into_iter().for_each(|last| driver::settle(last.lease));
    driver.expect(0, 0).await?;
    Ok((bytes, released))
}
