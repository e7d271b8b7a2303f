//! Requests leases of the policy and collects its verdicts.

use actix::prelude::*;
use anyhow::{Context as _, bail, ensure};
use baa_conductor::{
    clock::Clock,
    events::EventBus,
    ids::{ClientId, PlatformName, RequestId},
    policy::{
        Lease, LeaseOutcome, LeaseRequest, LeaseVerdict, PendingLease, PolicyHub, PolicyMemory, PolicyObserver,
        PolicyParts, PolicySettings,
        settings::{Concurrency, Jitter, RateLimit},
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The daemon's default number of kept events.
const EVENTS_KEPT: usize = 1_024;
const ADMITTED_WITHIN: Duration = Duration::from_secs(10);

/// A request: its target, and its number among the target's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AdmissionRequest {
    pub(super) target: usize,
    pub(super) place: usize,
}

/// A pending request.
pub(super) struct PendingAdmission {
    pub(super) at: Instant,
    pub(super) waiting: PendingLease,
}

/// A granted request.
pub(super) struct GrantedAdmission {
    pub(super) request: AdmissionRequest,
    pub(super) at: Instant,
    pub(super) lease: Lease,
}

/// Receives the verdicts of all requests, as an exchange does for its own.
struct VerdictSender(mpsc::UnboundedSender<(Instant, LeaseVerdict)>);

impl Actor for VerdictSender {
    type Context = Context<Self>;
}

impl Handler<LeaseVerdict> for VerdictSender {
    type Result = ();

    fn handle(&mut self, verdict: LeaseVerdict, _: &mut Self::Context) {
        let now = Instant::now();
        // The receiver is gone if the case has failed.
        self.0.send((now, verdict)).unwrap_or_default();
    }
}

/// A policy without pauses and with a wide window, and its driver.
pub(super) struct PolicyDriver {
    hub: PolicyHub,
    platform: PlatformName,
    clients: Vec<ClientId>,
    reply_to: Recipient<LeaseVerdict>,
    verdicts: mpsc::UnboundedReceiver<(Instant, LeaseVerdict)>,
}

impl PolicyDriver {
    /// Returns a policy with `targets` of one platform, with `slots` and `waiters` each.
    pub(super) fn new(targets: usize, slots: usize, waiters: usize) -> Self {
        let mut settings = PolicySettings {
            concurrency: Concurrency { max_in_flight_per_client_platform: slots },
            jitter: Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 },
            rate_limit: RateLimit { requests_per_minute_per_platform: 100_000_000, ..RateLimit::default() },
            ..PolicySettings::default()
        };
        settings.waiter.max_per_target = waiters;
        let parts = PolicyParts {
            clock: Clock::System,
            events: EventBus::new(1, EVENTS_KEPT),
            memory: PolicyMemory::of_this_process(Clock::System, settings.max_targets),
            observer: PolicyObserver::default(),
            settings: Arc::new(settings),
        };
        let (sender, verdicts) = mpsc::unbounded_channel();
        PolicyDriver {
            hub: PolicyHub::new(parts),
            platform: PlatformName::trusted("claude"),
            clients: (0..targets).map(|number| ClientId::trusted(format!("firefox-{number}"))).collect(),
            reply_to: VerdictSender(sender).start().recipient(),
            verdicts,
        }
    }

    /// Requests a lease.
    pub(super) fn ask(&self, AdmissionRequest { target, place }: AdmissionRequest) -> anyhow::Result<PendingAdmission> {
        let request_id = RequestId::trusted(format!("{target}-{place}"));
        let lease_request = LeaseRequest { request_id, reply_to: self.reply_to.clone() };
        let at = Instant::now();
        let waiting = self.hub.acquire(&self.clients[target], &self.platform, lease_request)?;
        Ok(PendingAdmission { at, waiting })
    }

    /// Waits for the next verdict, which must be a lease of the right target.
    pub(super) async fn admitted(&mut self) -> anyhow::Result<GrantedAdmission> {
        let verdict =
            tokio::time::timeout(ADMITTED_WITHIN, self.verdicts.recv()).await.context("no verdict in time")?;
        let (at, lease) = match verdict.context("no more verdicts")? {
            (at, LeaseVerdict::Granted(lease)) => (at, lease),
            (_, other) => bail!("not granted: {other:?}"),
        };
        let id = lease.admission().request_id.as_str();
        let (target, place) = id.split_once('-').context("an unknown id")?;
        let request = AdmissionRequest { target: target.parse()?, place: place.parse()? };
        let client = &lease.admission().target_client_id;
        ensure!(self.clients.get(request.target) == Some(client), "{request:?} was admitted to {client:?}");
        Ok(GrantedAdmission { request, at, lease })
    }

    /// Checks the numbers of requests in flight and waiting, and that there are no further verdicts.
    pub(super) async fn expect(&mut self, in_flight: usize, waiting: usize) -> anyhow::Result<()> {
        let seen = self.hub.summary().await;
        ensure!((seen.in_flight, seen.waiting) == (in_flight, waiting), "{in_flight} and {waiting}, not {seen:?}");
        ensure!(self.verdicts.try_recv().is_err(), "one was admitted twice");
        Ok(())
    }
}

/// Settles a lease with success.
pub(super) fn settle(lease: Lease) {
    lease.settle(LeaseOutcome::Success);
}
