//! The door to the policy: finds or starts the target of a request, and shows them all.

use super::{
    admission::{CircuitState, Refusal},
    lease::Waiting,
    settings::Policy,
    target::{Acquire, Setup, Slots, Target, TargetView, Verdict, View},
};
use crate::{
    clock::Clock,
    events,
    ids::{ClientId, PlatformName, RequestId},
    roster::Roster,
};
use actix::prelude::*;
use futures_util::future::join_all;
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

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Arc<Policy>,
    clock: Clock,
    events: events::Bus,
    targets: Roster<(ClientId, PlatformName), Target>,
    numbers: AtomicU64,
}

/// One platform, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlatformView {
    /// Which.
    pub platform: PlatformName,
    /// Requests that went out within the pacing window; nothing is paced yet.
    pub recent_dispatch_count: usize,
    /// Requests that wait, all targets together.
    pub waiting: usize,
}

/// The policy in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Targets that there are.
    pub targets: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests that are out.
    pub in_flight: usize,
    /// Targets whose circuit lets nothing pass.
    pub open_circuits: usize,
}

impl Hub {
    /// A policy that knows no target yet. What changes is told to `events`.
    pub fn new(settings: Arc<Policy>, clock: Clock, events: events::Bus) -> Self {
        let targets = Roster::new(settings.max_targets);
        Hub { shared: Arc::new(Shared { settings, clock, events, targets, numbers: AtomicU64::new(1) }) }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Policy {
        &self.shared.settings
    }

    /// Puts a request in line; the verdict is a message to the applicant. Drop what is returned to leave the line.
    pub fn acquire(
        &self,
        client: &ClientId,
        platform: &PlatformName,
        applicant: Applicant,
    ) -> Result<Waiting, Refusal> {
        let key = (client.clone(), platform.clone());
        let start = |load| {
            let of_platform = self.shared.settings.for_platform(platform.as_str());
            let limits = Slots {
                in_flight_max: of_platform.concurrency.max_in_flight_per_client_platform,
                waiting_max: of_platform.waiter.max_per_target,
                wait: Duration::from_millis(of_platform.waiter.timeout_ms),
            };
            let setup = Setup {
                client: client.clone(),
                platform: platform.clone(),
                limits,
                clock: self.shared.clock,
                events: self.shared.events.clone(),
                load,
            };
            Target::new(setup).start()
        };
        let target =
            self.shared.targets.get_or_start(&key, start).map_err(|full| Refusal::TooManyTargets { max: full.max })?;
        let number = self.shared.numbers.fetch_add(1, Relaxed);
        target.do_send(Acquire { number, applicant }); // bounded by the requests in flight in the whole daemon
        Ok(Waiting { target, number, over: false })
    }

    /// Every platform, in the order given.
    pub async fn platforms<'a>(&self, names: impl Iterator<Item = &'a PlatformName>) -> Vec<PlatformView> {
        let targets = self.targets().await;
        let waiting = |name: &PlatformName| targets.iter().filter(|t| t.platform == *name).map(|t| t.waiting).sum();
        names
            .map(|name| PlatformView { platform: name.clone(), recent_dispatch_count: 0, waiting: waiting(name) })
            .collect()
    }

    /// All targets together.
    pub async fn summary(&self) -> Summary {
        let targets = self.targets().await;
        Summary {
            targets: targets.len(),
            waiting: targets.iter().map(|target| target.waiting).sum(),
            in_flight: targets.iter().map(|target| target.in_flight).sum(),
            open_circuits: targets.iter().filter(|target| target.circuit_state == CircuitState::Open).count(),
        }
    }

    /// Every target, sorted by client, then platform.
    pub async fn targets(&self) -> Vec<TargetView> {
        let asked = self.shared.targets.all().into_iter().map(|(_, target)| target.send(View));
        let mut views: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        views.sort_by(|a, b| (&a.client_id, &a.platform).cmp(&(&b.client_id, &b.platform)));
        views
    }
}
