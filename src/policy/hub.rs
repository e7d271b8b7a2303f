//! The door to the policy: finds or starts the target of a request, and shows, explains and resets them all.

use super::{
    admission::{CircuitState, Refusal},
    explain::{Explanation, explain},
    gate::{self, Gate, GateView},
    lease::Waiting,
    line::{Line, Prospect, Slots},
    memory::Memory,
    observer::{Observation, Observer},
    settings::Policy,
    target::{self, Acquire, Foresee, Reset, Setup, Target, TargetView, Verdict, View},
};
use crate::{
    clock::{Clock, WallMs},
    events,
    ids::{ClientId, PlatformName, RequestId},
    roster::{Load, Roster},
};
use actix::prelude::*;
use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// A request that wants a lease.
#[derive(Debug)]
pub struct Applicant {
    /// The request.
    pub request_id: RequestId,
    /// Who is told the verdict.
    pub answer_to: Recipient<Verdict>,
}

/// What the policy is made of.
#[derive(Debug)]
pub struct Parts {
    /// The limits.
    pub settings: Arc<Policy>,
    /// Wall time.
    pub clock: Clock,
    /// Where changes are told.
    pub events: events::Bus,
    /// What is known from before.
    pub memory: Memory,
    /// Who counts.
    pub observer: Observer,
}

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    targets: Roster<(ClientId, PlatformName), Target>,
    gates: Gates,
    numbers: AtomicU64,
}

/// The gates of all platforms. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Gates(Arc<AllGates>);

#[derive(Debug)]
struct AllGates {
    parts: Parts,
    gates: Roster<PlatformName, Gate>,
    /// What the random numbers of each gate begin with.
    seed: u64,
}

impl Gates {
    /// The gate of a platform.
    pub(super) fn of(&self, platform: &PlatformName) -> Option<Addr<Gate>> {
        let AllGates { parts, gates, seed } = &*self.0;
        let start = |_| {
            let limits = parts.settings.for_platform(platform.as_str());
            let environment = (parts.clock, parts.events.clone(), parts.memory.clone());
            // Each platform draws its own.
            let salt = platform.as_str().bytes().fold(*seed, |salt, byte| salt.rotate_left(8) ^ u64::from(byte));
            Gate::new(platform.clone(), &limits, environment, StdRng::seed_from_u64(salt)).start()
        };
        gates.get_or_start(platform, start).ok()
    }
}

/// One platform, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlatformView {
    /// Which.
    pub platform: PlatformName,
    /// When a request last went out, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_dispatched_at: Option<WallMs>,
    /// Requests that went out within the pacing window.
    pub recent_dispatch_count: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// When the window has room again; nothing while it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_slot_at: Option<WallMs>,
}

/// The policy in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Targets that there are.
    pub targets: usize,
    /// Requests that wait for anything.
    pub waiting: usize,
    /// Requests that are out.
    pub in_flight: usize,
    /// Targets whose circuit lets nothing pass.
    pub open_circuits: usize,
}

impl Hub {
    /// A policy; what it remembers of before takes effect with each target's first request.
    pub fn new(parts: Parts) -> Self {
        let targets = Roster::new(parts.settings.max_targets);
        // Where the system has no randomness the pauses are only foreseeable.
        let seed = parts.settings.seed.unwrap_or_else(|| getrandom::u64().unwrap_or_default());
        // One for each registered platform, of which there are few.
        let gates = Roster::new(usize::MAX);
        let gates = Gates(Arc::new(AllGates { parts, gates, seed }));
        Hub { shared: Arc::new(Shared { targets, gates, numbers: AtomicU64::new(1) }) }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Policy {
        &self.parts().settings
    }

    fn parts(&self) -> &Parts {
        &self.shared.gates.0.parts
    }

    fn line(&self, client: &ClientId, platform: &PlatformName) -> Line<Recipient<Verdict>> {
        let limits = self.settings().for_platform(platform.as_str());
        let slots = Slots {
            in_flight_max: limits.concurrency.max_in_flight_per_client_platform,
            waiting_max: limits.waiter.max_per_target,
            wait: Duration::from_millis(limits.waiter.timeout_ms),
            idle: Duration::from_millis(limits.stale_lease.idle_ms),
            sweep_interval: Duration::from_millis(limits.stale_lease.sweep_interval_ms),
        };
        Line::new(slots, self.parts().memory.health(client, platform, &limits))
    }

    fn start(&self, client: &ClientId, platform: &PlatformName, load: Load) -> Addr<Target> {
        let parts = self.parts();
        let setup = Setup {
            client: client.clone(),
            platform: platform.clone(),
            line: self.line(client, platform),
            gates: self.shared.gates.clone(),
            clock: parts.clock,
            events: parts.events.clone(),
            memory: parts.memory.clone(),
            observer: parts.observer.clone(),
            load,
        };
        Target::new(setup).start()
    }

    /// Puts a request in line; the verdict is a message to the applicant. Drop what is returned to leave the line.
    ///
    /// # Errors
    ///
    /// There are more targets than the daemon keeps.
    pub fn acquire(
        &self,
        client: &ClientId,
        platform: &PlatformName,
        applicant: Applicant,
    ) -> Result<Waiting, Refusal> {
        let key = (client.clone(), platform.clone());
        let target =
            self.shared.targets.get_or_start(&key, |load| self.start(client, platform, load)).map_err(|full| {
                let refusal = Refusal::TooManyTargets { max: full.max };
                self.parts().observer.tell(Observation::Refused(&refusal));
                refusal
            })?;
        let number = self.shared.numbers.fetch_add(1, Relaxed);
        target.do_send(Acquire { number, applicant }); // bounded by the requests in flight in the whole daemon
        Ok(Waiting { target, number, over: false })
    }

    /// Every platform, in the order given.
    pub async fn platforms<'a>(&self, names: impl Iterator<Item = &'a PlatformName>) -> Vec<PlatformView> {
        let ask = async |name: &'a PlatformName| {
            let gate = self.shared.gates.of(name);
            let asked = match gate {
                Some(gate) => gate.send(gate::View).await.ok(),
                None => None,
            };
            let view = asked.unwrap_or_default();
            let GateView { last_dispatched_at, recent_dispatch_count, waiting, next_slot_at } = view;
            PlatformView { platform: name.clone(), last_dispatched_at, recent_dispatch_count, waiting, next_slot_at }
        };
        join_all(names.map(ask)).await
    }

    /// All targets together.
    pub async fn summary(&self) -> Summary {
        let (targets, keys) = self.living().await;
        let remembered = self.parts().memory.count(|key| !keys.contains(key));
        let open = targets.iter().filter(|target| target.circuit_state == CircuitState::Open).count();
        Summary {
            targets: targets.len() + remembered.targets,
            waiting: targets.iter().map(|target| target.waiting + target.held_back).sum(),
            in_flight: targets.iter().map(|target| target.in_flight - target.held_back).sum(),
            open_circuits: open + remembered.open_circuits,
        }
    }

    async fn living(&self) -> (Vec<TargetView>, foldhash::HashSet<(ClientId, PlatformName)>) {
        let living = self.shared.targets.all();
        let views = join_all(living.iter().map(|(_, target)| target.send(View))).await;
        (views.into_iter().flatten().collect(), living.into_iter().map(|(key, _)| key).collect())
    }

    /// Every target, those included of which only the memory knows, sorted by client, then platform.
    pub async fn targets(&self) -> Vec<TargetView> {
        let (mut views, keys) = self.living().await;
        let now = self.parts().clock.moment();
        for (client, platform) in self.parts().memory.targets() {
            if !keys.contains(&(client.clone(), platform.clone())) {
                let limits = self.settings().for_platform(platform.as_str());
                let health = self.parts().memory.health(&client, &platform, &limits);
                views.push(TargetView::of(&client, &platform, &health, target::Counts::default(), now));
            }
        }
        views.sort_by(|a, b| (&a.client_id, &a.platform).cmp(&(&b.client_id, &b.platform)));
        views
    }

    /// What a request made now would meet, without making one.
    pub async fn explain(&self, client: &ClientId, platform: &PlatformName) -> Explanation {
        let key = (client.clone(), platform.clone());
        let living = self.shared.targets.get(&key);
        let has_room = living.is_some() || self.shared.targets.has_room();
        let asked = match living {
            Some(target) => target.send(Foresee).await.ok(),
            None => None,
        };
        let now = self.parts().clock.moment();
        let max = self.settings().max_targets;
        let prospect = match asked {
            Some(prospect) => prospect,
            None if has_room => self.line(client, platform).prospect(now),
            None => Prospect::Refused(Refusal::TooManyTargets { max }),
        };
        let outlook = match self.shared.gates.of(platform) {
            Some(gate) => gate.send(gate::Foretell { number: None }).await.ok().flatten(),
            None => None,
        };
        let wait_ms = self.settings().for_platform(platform.as_str()).waiter.timeout_ms;
        let (would, reasons) = explain(prospect, outlook.as_ref(), wait_ms, now);
        Explanation { client_id: client.clone(), platform: platform.clone(), would, reasons }
    }

    /// Forgets failures, back-off and circuit of every target that matches; answers how those stood before, sorted by
    /// client, then platform.
    pub async fn reset(&self, client: Option<&ClientId>, platform: Option<&PlatformName>) -> Vec<TargetView> {
        let living = self.shared.targets.all().into_iter().map(|(key, _)| key);
        let mut keys: Vec<_> = living.chain(self.parts().memory.targets()).collect();
        keys.sort();
        keys.dedup();
        let meant = |(of, to): &&(ClientId, PlatformName)| {
            client.is_none_or(|client| client == of) && platform.is_none_or(|platform| platform == to)
        };
        let asked = keys.iter().filter(meant).map(async |(client, platform)| {
            match self.shared.targets.get(&(client.clone(), platform.clone())) {
                Some(target) => target.send(Reset).await.ok(),
                None => Some(self.reset_remembered(client, platform)),
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    fn reset_remembered(&self, client: &ClientId, platform: &PlatformName) -> TargetView {
        let Parts { memory, clock, settings, .. } = self.parts();
        let mut health = memory.health(client, platform, &settings.for_platform(platform.as_str()));
        let before = TargetView::of(client, platform, &health, target::Counts::default(), clock.moment());
        health.reset();
        memory.keep_target(client, platform, &health);
        before
    }

    /// Has everything kept that is not yet, for the end.
    pub async fn keep(&self) {
        join_all(self.shared.targets.all().into_iter().map(|(_, target)| target.send(target::Keep))).await;
        join_all(self.shared.gates.0.gates.all().into_iter().map(|(_, gate)| gate.send(gate::Keep))).await;
    }
}
