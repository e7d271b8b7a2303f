//! The policy alone: the library's own hub, targets and gates, asked and settled on this thread.
//!
//! It runs in a process of its own (`--policy`): what earlier cases have freed would else hide what it takes.

mod desk;

use crate::measure::{Latencies, Memory};
use actix::System;
use anyhow::{Context, ensure};
use desk::{Desk, Request};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Targets that are free.
const FREE_TARGETS: usize = 8;
/// Slots of each: more than are ever taken.
const FREE_SLOTS: usize = 4_096;
/// Requests under way, or asked for at once.
const UNDER_WAY: usize = 64;
/// Targets for which many wait.
const BUSY_TARGETS: usize = 100;

/// What is asked of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Admissions that are timed, one by one.
    pub(crate) admissions: usize,
    /// Requests that wait for each busy target.
    pub(crate) waiters: usize,
}

impl Plan {
    /// The plan as arguments of the command line, and back.
    pub(crate) fn arguments(self) -> [String; 3] {
        ["--policy".to_owned(), self.admissions.to_string(), self.waiters.to_string()]
    }

    fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let numbers = arguments.skip(1).map(|argument| argument.parse()).collect::<Result<Vec<_>, _>>()?;
        let [admissions, waiters] = numbers[..] else { anyhow::bail!("--policy takes two numbers") };
        Ok(Plan { admissions, waiters })
    }
}

/// The middle and the tail, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Spread {
    fn of(mut latencies: Latencies) -> Self {
        Spread { p50: latencies.percentile_ms(50.0) * 1e3, p99: latencies.percentile_ms(99.0) * 1e3 }
    }
}

/// What came of it; printed as one line of JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// From asking to the verdict, nothing else going on.
    pub(crate) alone: Spread,
    /// The same while others hold leases of the same targets.
    pub(crate) beside: Spread,
    /// The same when as many are asked for at once, each counted from its own asking.
    pub(crate) at_once: Spread,
    /// The whole of that, for each of them, in microseconds.
    pub(crate) at_once_each_us: f64,
    /// Bytes that all waiters took, with their targets.
    pub(crate) waiters_bytes: f64,
    /// From the first settled lease to the last admission, in milliseconds.
    pub(crate) released_ms: f64,
}

/// The process: runs the plan and prints its figures.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let plan = Plan::parse(arguments)?;
    let figures = System::new().block_on(async {
        // First of all, on fresh memory.
        let (waiters_bytes, released) = many_wait(plan.waiters).await.context("many waiters")?;
        let mut free = Desk::new(FREE_TARGETS, FREE_SLOTS, 0);
        one_by_one(&mut free, plan.admissions / 10, 0).await.context("warm-up")?;
        let alone = one_by_one(&mut free, plan.admissions, 0).await.context("one at a time")?;
        let beside = one_by_one(&mut free, plan.admissions, UNDER_WAY).await.context("beside others")?;
        let (at_once, each) = at_once(&mut free, plan.admissions.div_ceil(UNDER_WAY)).await.context("at once")?;
        anyhow::Ok(Figures {
            alone: Spread::of(alone),
            beside: Spread::of(beside),
            at_once: Spread::of(at_once),
            at_once_each_us: each.as_secs_f64() * 1e6,
            waiters_bytes,
            released_ms: released.as_secs_f64() * 1e3,
        })
    })?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Admissions of free targets, each asked for when the one before has come, while `held` others hold leases.
async fn one_by_one(desk: &mut Desk, count: usize, held: usize) -> anyhow::Result<Latencies> {
    let (mut latencies, mut leases) = (Latencies::default(), VecDeque::with_capacity(held + 1));
    for place in 0..held + count {
        let request = Request { target: place % FREE_TARGETS, place };
        let asked = desk.ask(request)?;
        let admitted = desk.admitted().await?;
        ensure!(admitted.request == request, "asked for {request:?}, admitted {:?}", admitted.request);
        asked.waiting.done();
        leases.push_back(admitted.lease);
        if place < held {
            continue;
        }
        latencies.push(admitted.at - asked.at);
        desk::settle(leases.pop_front().context("a lease was lost")?);
        // Answered behind what was settled: nobody is busy with that when the next one asks.
        desk.expect(held, 0).await?;
    }
    leases.into_iter().for_each(desk::settle);
    desk.expect(0, 0).await?;
    Ok(latencies)
}

/// Many asked for at once, again and again; how long each took, and the median of each round's share for one.
async fn at_once(desk: &mut Desk, rounds: usize) -> anyhow::Result<(Latencies, Duration)> {
    let (mut latencies, mut shares) = (Latencies::default(), Latencies::default());
    for _ in 0..rounds {
        let mut waiting = Vec::with_capacity(UNDER_WAY);
        for place in 0..UNDER_WAY {
            waiting.push(Some(desk.ask(Request { target: place % FREE_TARGETS, place })?));
        }
        let first = waiting[0].as_ref().map(|asked| asked.at).context("nothing was asked")?;
        let (mut leases, mut last) = (Vec::with_capacity(UNDER_WAY), first);
        while leases.len() < UNDER_WAY {
            let admitted = desk.admitted().await?;
            let asked = waiting.get_mut(admitted.request.place).and_then(Option::take).context("admitted twice")?;
            asked.waiting.done();
            latencies.push(admitted.at - asked.at);
            last = last.max(admitted.at);
            leases.push(admitted.lease);
        }
        shares.push((last - first) / UNDER_WAY as u32);
        leases.into_iter().for_each(desk::settle);
        desk.expect(0, 0).await?;
    }
    Ok((latencies, Duration::from_secs_f64(shares.percentile_ms(50.0) / 1e3)))
}

/// Many requests wait for each of many targets of one slot; then one lease after the other is settled, and who comes
/// next must be who waited longest for that target. Bytes that the waiters took, and how long it was until the last.
async fn many_wait(waiters: usize) -> anyhow::Result<(f64, Duration)> {
    let resident = || Memory::of(std::process::id()).resident;
    let mut desk = Desk::new(BUSY_TARGETS, 1, waiters);
    let before = resident();
    let mut leases = VecDeque::with_capacity(BUSY_TARGETS);
    for target in 0..BUSY_TARGETS {
        let asked = desk.ask(Request { target, place: 0 })?;
        leases.push_back(desk.admitted().await?);
        asked.waiting.done();
    }
    let mut waiting: Vec<_> = (0..BUSY_TARGETS).map(|_| VecDeque::with_capacity(waiters)).collect();
    for place in 1..=waiters {
        for (target, line) in waiting.iter_mut().enumerate() {
            line.push_back(desk.ask(Request { target, place })?.waiting);
            // As in the daemon, one arrives after the other.
            tokio::task::yield_now().await;
        }
    }
    desk.expect(BUSY_TARGETS, BUSY_TARGETS * waiters).await?;
    let bytes = resident() - before;
    let start = Instant::now();
    for _ in 0..BUSY_TARGETS * waiters {
        let settled = leases.pop_front().context("a slot was lost")?;
        let Request { target, place } = settled.request;
        desk::settle(settled.lease);
        let next = desk.admitted().await?;
        let expected = Request { target, place: place + 1 };
        ensure!(next.request == expected, "it was the turn of {expected:?}, not of {:?}", next.request);
        waiting[target].pop_front().context("admitted twice")?.done();
        leases.push_back(next);
    }
    let released = start.elapsed();
    ensure!(waiting.iter().all(VecDeque::is_empty), "some still wait");
    leases.into_iter().for_each(|last| desk::settle(last.lease));
    desk.expect(0, 0).await?;
    Ok((bytes, released))
}
