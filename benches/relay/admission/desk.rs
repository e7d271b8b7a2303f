//! Who asks the policy and is told its verdicts.

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

/// Events that a daemon keeps when it is told nothing else.
const EVENTS_KEPT: usize = 1_024;
const ADMITTED_WITHIN: Duration = Duration::from_secs(10);

/// One request: its target, and its place among those of that target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: usize,
    pub(super) place: usize,
}

/// A request that was made.
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) waiting: PendingLease,
}

/// A request that may go out.
pub(super) struct Admitted {
    pub(super) request: Request,
    pub(super) at: Instant,
    pub(super) lease: Lease,
}

/// Takes the verdicts of all requests, as an exchange takes that of its own.
struct Teller(mpsc::UnboundedSender<(Instant, LeaseVerdict)>);

impl Actor for Teller {
    type Context = Context<Self>;
}

impl Handler<LeaseVerdict> for Teller {
    type Result = ();

    fn handle(&mut self, verdict: LeaseVerdict, _: &mut Self::Context) {
        let now = Instant::now();
        // Nobody listens any more when the case has failed.
        self.0.send((now, verdict)).unwrap_or_default();
    }
}

/// A policy without pauses and with a wide window, and who asks it.
pub(super) struct Desk {
    hub: PolicyHub,
    platform: PlatformName,
    clients: Vec<ClientId>,
    reply_to: Recipient<LeaseVerdict>,
    verdicts: mpsc::UnboundedReceiver<(Instant, LeaseVerdict)>,
}

impl Desk {
    /// So many targets of one platform, each with so many slots, for each of which so many may wait.
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
        let (tell, verdicts) = mpsc::unbounded_channel();
        Desk {
            hub: PolicyHub::new(parts),
            platform: PlatformName::trusted("claude"),
            clients: (0..targets).map(|number| ClientId::trusted(format!("firefox-{number}"))).collect(),
            reply_to: Teller(tell).start().recipient(),
            verdicts,
        }
    }

    /// Asks for a lease.
    pub(super) fn ask(&self, Request { target, place }: Request) -> anyhow::Result<Asked> {
        let request_id = RequestId::trusted(format!("{target}-{place}"));
        let applicant = LeaseRequest { request_id, reply_to: self.reply_to.clone() };
        let at = Instant::now();
        let waiting = self.hub.acquire(&self.clients[target], &self.platform, applicant)?;
        Ok(Asked { at, waiting })
    }

    /// The next verdict, which must be a lease of the right target.
    pub(super) async fn admitted(&mut self) -> anyhow::Result<Admitted> {
        let told = tokio::time::timeout(ADMITTED_WITHIN, self.verdicts.recv()).await.context("no verdict in time")?;
        let (at, lease) = match told.context("nobody tells verdicts any more")? {
            (at, LeaseVerdict::Granted(lease)) => (at, lease),
            (_, other) => bail!("not granted: {other:?}"),
        };
        let id = lease.admission().request_id.as_str();
        let (target, place) = id.split_once('-').context("not an id of ours")?;
        let request = Request { target: target.parse()?, place: place.parse()? };
        let client = &lease.admission().target_client_id;
        ensure!(self.clients.get(request.target) == Some(client), "{request:?} was admitted to {client:?}");
        Ok(Admitted { request, at, lease })
    }

    /// Checks that so many hold a slot, so many wait, and nobody was told anything more.
    pub(super) async fn expect(&mut self, in_flight: usize, waiting: usize) -> anyhow::Result<()> {
        let seen = self.hub.summary().await;
        ensure!((seen.in_flight, seen.waiting) == (in_flight, waiting), "{in_flight} and {waiting}, not {seen:?}");
        ensure!(self.verdicts.try_recv().is_err(), "one was admitted twice");
        Ok(())
    }
}

/// The request has ended well.
pub(super) fn settle(lease: Lease) {
    lease.settle(LeaseOutcome::Success);
}
