//! Entry point of the policy: finds or starts targets, and lists, explains and resets them.

use super::{
    admission::{CircuitState, PolicyRefusal},
    explain::{PolicyExplanation, explain},
    lease::PendingLease,
    memory::PolicyMemory,
    observer::{PolicyObservation, PolicyObserver},
    platform_pacer::{self, PlatformPacer},
    settings::PolicySettings,
    target::{
        self, AcquireLease, ForecastAdmission, GetTargetView, LeaseVerdict, PolicyTarget, ResetTarget, TargetView,
    },
    target_queue::{AdmissionForecast, TargetLimits, TargetQueue},
};
use crate::{
    actor_registry::{ActorRegistry, LoadCounter},
    clock::Clock,
    events,
    ids::{ClientId, PlatformName, RequestId},
};
use actix::prelude::*;
use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub use crate::api::policy::{PlatformPacingView, PolicySummary};

/// A request's application for a lease.
#[derive(Debug)]
pub struct LeaseRequest {
    /// Id of the request.
    pub request_id: RequestId,
    /// Recipient of the verdict.
    pub reply_to: Recipient<LeaseVerdict>,
}

/// Dependencies of the policy.
#[derive(Debug)]
pub struct PolicyParts {
    /// Limits by platform.
    pub settings: Arc<PolicySettings>,
    /// Wall clock.
    pub clock: Clock,
    /// Bus for the policy's events.
    pub events: events::EventBus,
    /// State from before, kept across restarts.
    pub memory: PolicyMemory,
    /// Observer of admissions, refusals and sweeps.
    pub observer: PolicyObserver,
}

/// Handle to the policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicyHub {
    shared: Arc<PolicyShared>,
}

#[derive(Debug)]
struct PolicyShared {
    targets: ActorRegistry<(ClientId, PlatformName), PolicyTarget>,
    pacers: PlatformPacers,
    numbers: AtomicU64,
}

/// The pacers of all platforms. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct PlatformPacers(Arc<PacerRegistry>);

#[derive(Debug)]
struct PacerRegistry {
    parts: PolicyParts,
    pacers: ActorRegistry<PlatformName, PlatformPacer>,
    /// Seed that the pacers' random numbers are derived from.
    seed: u64,
}

impl PlatformPacers {
    pub(super) fn parts(&self) -> &PolicyParts {
        &self.0.parts
    }

    /// Returns the pacer of a platform, starting it if needed.
    pub(super) fn of(&self, platform: &PlatformName) -> Option<Addr<PlatformPacer>> {
        let PacerRegistry { parts, pacers, seed } = &*self.0;
        let start = |_| {
            let limits = parts.settings.for_platform(platform.as_str());
            let environment = (parts.clock, parts.events.clone(), parts.memory.clone());
            // Each platform has a random sequence of its own.
            let salt = platform.as_str().bytes().fold(*seed, |salt, byte| salt.rotate_left(8) ^ u64::from(byte));
            PlatformPacer::new(platform.clone(), &limits, environment, StdRng::seed_from_u64(salt)).start()
        };
        pacers.get_or_start(platform, start).ok()
    }
}

impl PolicyHub {
    /// Creates a policy. Remembered state of a target takes effect with its first request.
    pub fn new(parts: PolicyParts) -> Self {
        let targets = ActorRegistry::new(parts.settings.max_targets);
        // Without a source of randomness the pauses are predictable, which is harmless.
        let seed = parts.settings.seed.unwrap_or_else(|| getrandom::u64().unwrap_or_default());
        // Bounded by the number of registered platforms.
        let pacers = ActorRegistry::new(usize::MAX);
        let pacers = PlatformPacers(Arc::new(PacerRegistry { parts, pacers, seed }));
        PolicyHub { shared: Arc::new(PolicyShared { targets, pacers, numbers: AtomicU64::new(1) }) }
    }

    /// Returns the settings in force.
    pub fn settings(&self) -> &PolicySettings {
        &self.parts().settings
    }

    fn parts(&self) -> &PolicyParts {
        self.shared.pacers.parts()
    }

    fn new_queue(&self, client: &ClientId, platform: &PlatformName) -> TargetQueue<Recipient<LeaseVerdict>> {
        let limits = self.settings().for_platform(platform.as_str());
        let slots = TargetLimits {
            in_flight_max: limits.concurrency.max_in_flight_per_client_platform,
            waiting_max: limits.waiter.max_per_target,
            wait: Duration::from_millis(limits.waiter.timeout_ms),
            idle: Duration::from_millis(limits.stale_lease.idle_ms),
            sweep_interval: Duration::from_millis(limits.stale_lease.sweep_interval_ms),
        };
        TargetQueue::new(slots, self.parts().memory.health(client, platform, &limits))
    }

    fn start(&self, client: &ClientId, platform: &PlatformName, load: LoadCounter) -> Addr<PolicyTarget> {
        let queue = self.new_queue(client, platform);
        PolicyTarget::new(client.clone(), platform.clone(), queue, self.shared.pacers.clone(), load).start()
    }

    /// Enqueues a request; the verdict is sent to `reply_to`. Dropping the returned value withdraws the request.
    ///
    /// # Errors
    ///
    /// The daemon already keeps as many targets as it may.
    pub fn acquire(
        &self,
        client: &ClientId,
        platform: &PlatformName,
        applicant: LeaseRequest,
    ) -> Result<PendingLease, PolicyRefusal> {
        let key = (client.clone(), platform.clone());
        let target =
            self.shared.targets.get_or_start(&key, |load| self.start(client, platform, load)).map_err(|full| {
                let refusal = PolicyRefusal::TooManyTargets { max: full.max };
                self.parts().observer.notify(PolicyObservation::Refused(&refusal));
                refusal
            })?;
        let number = self.shared.numbers.fetch_add(1, Relaxed);
        target.do_send(AcquireLease { number, applicant }); // bounded by the requests in flight in the whole daemon
        Ok(PendingLease { target, number, over: false })
    }

    /// Returns the pacing state of the given platforms, in their order.
    pub async fn platforms<'a>(&self, names: impl Iterator<Item = &'a PlatformName>) -> Vec<PlatformPacingView> {
        let ask = async |name: &'a PlatformName| {
            let unused = || PlatformPacingView {
                platform: name.clone(),
                last_dispatched_at: None,
                recent_dispatch_count: 0,
                waiting: 0,
                next_slot_at: None,
            };
            match self.shared.pacers.of(name) {
                Some(pacer) => pacer.send(platform_pacer::GetPacerView).await.unwrap_or_else(|_| unused()),
                None => unused(),
            }
        };
        join_all(names.map(ask)).await
    }

    /// Returns the totals over all targets.
    pub async fn summary(&self) -> PolicySummary {
        let (targets, keys) = self.living().await;
        let remembered = self.parts().memory.count(|key| !keys.contains(key));
        let open = targets.iter().filter(|target| target.circuit_state == CircuitState::Open).count();
        PolicySummary {
            targets: targets.len() + remembered.targets,
            waiting: targets.iter().map(|target| target.waiting + target.held_back).sum(),
            in_flight: targets.iter().map(|target| target.in_flight - target.held_back).sum(),
            open_circuits: open + remembered.open_circuits,
        }
    }

    async fn living(&self) -> (Vec<TargetView>, foldhash::HashSet<(ClientId, PlatformName)>) {
        let living = self.shared.targets.all();
        let views = join_all(living.iter().map(|(_, target)| target.send(GetTargetView))).await;
        (views.into_iter().flatten().collect(), living.into_iter().map(|(key, _)| key).collect())
    }

    /// Returns every target, including remembered ones without an actor, sorted by client and platform.
    pub async fn targets(&self) -> Vec<TargetView> {
        let (mut views, keys) = self.living().await;
        let now = self.parts().clock.moment();
        for (client, platform) in self.parts().memory.targets() {
            if !keys.contains(&(client.clone(), platform.clone())) {
                let limits = self.settings().for_platform(platform.as_str());
                let health = self.parts().memory.health(&client, &platform, &limits);
                views.push(TargetView::of(&client, &platform, &health, target::TargetCounts::default(), now));
            }
        }
        views.sort_by(|a, b| (&a.client_id, &a.platform).cmp(&(&b.client_id, &b.platform)));
        views
    }

    /// Predicts what a request made now would have to wait for, without making one.
    pub async fn explain(&self, client: &ClientId, platform: &PlatformName) -> PolicyExplanation {
        let key = (client.clone(), platform.clone());
        let living = self.shared.targets.get(&key);
        let has_room = living.is_some() || self.shared.targets.has_room();
        let asked = match living {
            Some(target) => target.send(ForecastAdmission).await.ok(),
            None => None,
        };
        let now = self.parts().clock.moment();
        let max = self.settings().max_targets;
        let forecast = match asked {
            Some(forecast) => forecast,
            None if has_room => self.new_queue(client, platform).forecast(now),
            None => AdmissionForecast::Refused(PolicyRefusal::TooManyTargets { max }),
        };
        let pacing_forecast = match self.shared.pacers.of(platform) {
            Some(pacer) => pacer.send(platform_pacer::ForecastPacing { number: None }).await.ok().flatten(),
            None => None,
        };
        let wait_ms = self.settings().for_platform(platform.as_str()).waiter.timeout_ms;
        let (would, reasons) = explain(forecast, pacing_forecast.as_ref(), wait_ms, now);
        PolicyExplanation { client_id: client.clone(), platform: platform.clone(), would, reasons }
    }

    /// Resets failures, back-off and circuit of every matching target. Returns their state from before, sorted by
    /// client and platform.
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
                Some(target) => target.send(ResetTarget).await.ok(),
                None => Some(self.reset_remembered(client, platform)),
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    fn reset_remembered(&self, client: &ClientId, platform: &PlatformName) -> TargetView {
        let PolicyParts { memory, clock, settings, .. } = self.parts();
        let mut health = memory.health(client, platform, &settings.for_platform(platform.as_str()));
        let before = TargetView::of(client, platform, &health, target::TargetCounts::default(), clock.moment());
        health.reset();
        memory.persist_target(client, platform, &health);
        before
    }

    /// Persists all pending changes, for shutdown.
    pub async fn persist(&self) {
        join_all(self.shared.targets.all().into_iter().map(|(_, target)| target.send(target::PersistTarget))).await;
        join_all(
            self.shared.pacers.0.pacers.all().into_iter().map(|(_, pacer)| pacer.send(platform_pacer::PersistWindow)),
        )
        .await;
    }
}
