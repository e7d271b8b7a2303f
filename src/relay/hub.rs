//! The door to the relay: takes requests over, finds them again, ends them all.

mod taken;

use super::{
    buffer::Bounds,
    cancel::{CancelAnswer, CancelRefused},
    events::Phases,
    exchange::{Cancel, Exchange, Sink, Stop, View, WaitsFor},
    journal::{Filter, Journal, Page, Shown},
    life::{Phase, Timeouts},
    request::{Request, ResponseMode},
    stream::stream,
};
use crate::{
    bridge,
    clock::Clock,
    events::Bus,
    ids::{ClientId, PlatformName, RequestId},
    line::Line,
    mode::Mode,
    platforms::{full_text::Drift, plan::Choices},
    policy,
    store::StoreError,
    system::System,
    telemetry::metrics,
};
use actix::prelude::*;
use futures_util::future::join_all;
use std::{
    collections::hash_map,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
pub(super) use taken::Registration;
pub use taken::{Buffered, Caller, Revoker, Streamed};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// How much longer than the policy lets it wait a request waits for the policy's answer.
const QUEUED_SLACK: Duration = Duration::from_secs(5);

/// What the relay is made of.
#[derive(Debug)]
pub struct Setup {
    /// The clients.
    pub bridge: bridge::Hub,
    /// The policy.
    pub policy: policy::Hub,
    /// Where requests are noted.
    pub journal: Journal,
    /// Where their phases are told.
    pub events: Bus,
    /// The mode, which decides whether requests are taken.
    pub system: System,
    /// Wall time.
    pub clock: Clock,
    /// Requests that may be in flight or queued.
    pub requests_max: usize,
    /// How long a stream's reader may take nothing.
    pub stall: Duration,
    /// Where they are counted.
    pub metrics: metrics::Relay,
}

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    setup: Setup,
    live: Mutex<foldhash::HashMap<RequestId, Live>>,
    /// Where prompts went a moment ago.
    choices: Mutex<Choices>,
    /// Answers that were not understood; of registered platforms alone.
    drifts: Mutex<foldhash::HashMap<PlatformName, u64>>,
    callers: TaskTracker,
}

#[derive(Clone, Debug)]
struct Live {
    exchange: Addr<Exchange>,
    platform: PlatformName,
}

/// Why a request was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A live one has the same id.
    Conflict,
    /// As many as may be are live.
    Overloaded,
    /// The system drains.
    Draining,
    /// The daemon stops.
    Stopping,
}

impl Hub {
    /// A relay without requests.
    pub fn new(setup: Setup) -> Self {
        let choices = Mutex::new(Choices::new(setup.bridge.settings().max_clients));
        Hub {
            shared: Arc::new(Shared {
                setup,
                live: Mutex::default(),
                choices,
                drifts: Mutex::default(),
                callers: TaskTracker::new(),
            }),
        }
    }

    /// Takes over a request whose caller wants the whole answer.
    ///
    /// # Errors
    ///
    /// It was not taken over.
    pub fn buffered(&self, request: Request) -> Result<Buffered, Refused> {
        debug_assert_eq!(request.mode, ResponseMode::Buffered);
        let (caller, answer) = oneshot::channel();
        let caller = self.take_over(request, Sink::Buffered(Some(caller)))?;
        Ok(Buffered { answer, caller })
    }

    /// Takes over a request whose caller reads a stream. `line`: how to end a caller that takes nothing.
    ///
    /// # Errors
    ///
    /// It was not taken over.
    pub fn streamed(&self, request: Request, line: Option<Line>) -> Result<Streamed, Refused> {
        debug_assert_eq!(request.mode, ResponseMode::Sse);
        let limits = self.policy().settings().for_platform(request.platform.as_str()).stream;
        let bounds = Bounds { events_max: limits.max_buffered_events, bytes_max: limits.max_buffered_bytes };
        let (writer, reader) = stream(request.id.clone(), bounds, line);
        let caller = self.take_over(request, Sink::Stream(writer))?;
        Ok(Streamed { reader, caller })
    }

    /// The exchange then lives on the calling arbiter.
    fn take_over(&self, request: Request, sink: Sink) -> Result<Caller, Refused> {
        let mut live = self.live();
        // Under the lock, as the stop is: whoever is not refused here is told there.
        if self.shared.callers.is_closed() {
            return Err(Refused::Stopping);
        }
        // Held until the request is among the live ones: what was taken before a drain is announced is there by then.
        let system = self.shared.setup.system.hold();
        if system.mode == Mode::Draining {
            return Err(Refused::Draining);
        }
        let crowded = live.len() >= self.shared.setup.requests_max;
        let hash_map::Entry::Vacant(place) = live.entry(request.id.clone()) else {
            return Err(Refused::Conflict);
        };
        if crowded {
            return Err(Refused::Overloaded);
        }
        let platform = request.platform.clone();
        let phases = Phases::new(self.shared.setup.events.clone(), self.shared.setup.metrics.clone());
        let registration = Registration { hub: self.clone(), id: request.id.clone(), phases, died: None };
        let number = self.journal().next_number();
        let exchange = Exchange::new(self.clone(), request, sink, number, registration).start();
        place.insert(Live { exchange: exchange.clone(), platform });
        Ok(Caller { exchange: Some(exchange), _token: self.shared.callers.token() })
    }

    /// Cancels a request wherever it stands.
    ///
    /// # Errors
    ///
    /// There is no such request, or another client performs it.
    pub async fn cancel(
        &self,
        id: &RequestId,
        platform: &str,
        client_id: Option<ClientId>,
        reason: Option<String>,
    ) -> Result<CancelAnswer, CancelRefused> {
        let live = self.live().get(id).filter(|live| live.platform.as_str() == platform).cloned();
        let exchange = live.ok_or(CancelRefused::NotFound)?.exchange;
        // One that died meanwhile is not found either.
        exchange.send(Cancel { client_id, reason }).await.unwrap_or(Err(CancelRefused::NotFound))
    }

    /// A part of the journal.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn page(&self, filter: Filter) -> Result<Page, StoreError> {
        let exchanges: Vec<_> = self.live().values().map(|live| live.exchange.clone()).collect();
        let views = join_all(exchanges.iter().map(|exchange| exchange.send(View))).await;
        let live = views.into_iter().filter_map(Result::ok).flatten().map(Shown::from).collect();
        let mut page = self.journal().page(live, filter).await?;
        // Of those on the page alone: each asks its target, some their platform's gate.
        join_all(page.entries.iter_mut().map(|shown| self.say_why(shown))).await;
        Ok(page)
    }

    /// Adds what a request waits for.
    async fn say_why(&self, shown: &mut Shown) {
        if shown.entry.phase != Phase::Queued.name() {
            return;
        }
        let exchange = self.live().get(&*shown.entry.request_id).map(|live| live.exchange.clone());
        if let Some(exchange) = exchange {
            shown.waiting = exchange.send(WaitsFor).await.ok().flatten();
        }
    }

    /// The live request of that id, else the newest finished one.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Shown>, StoreError> {
        let live = self.live().get(id).cloned();
        if let Some(live) = live
            && let Ok(Some(entry)) = live.exchange.send(View).await
        {
            let mut shown = Shown::from(entry);
            self.say_why(&mut shown).await;
            return Ok(Some(shown));
        }
        Ok(self.journal().latest(id).await?.map(Shown::from))
    }

    /// What would keep a request made now from being taken over at all.
    pub fn refusal(&self) -> Option<Refused> {
        if self.shared.callers.is_closed() {
            Some(Refused::Stopping)
        } else if self.shared.setup.system.mode() == Mode::Draining {
            Some(Refused::Draining)
        } else {
            (self.live_count() >= self.shared.setup.requests_max).then_some(Refused::Overloaded)
        }
    }

    /// Ends every request with `service_stopped` and takes no more.
    pub fn stop(&self) {
        let live = self.live();
        self.shared.callers.close();
        for live in live.values() {
            live.exchange.do_send(Stop); // bounded: once a request
        }
    }

    /// Waits until every caller has its answer or is gone, once [`stop`](Self::stop) was called.
    pub async fn stopped(&self) {
        self.shared.callers.wait().await;
    }

    /// How many requests are in flight or queued.
    pub fn live_count(&self) -> usize {
        self.live().len()
    }

    pub(super) fn timeouts(&self, request: &Request) -> Timeouts {
        let limits = self.policy().settings().for_platform(request.platform.as_str());
        let (stream, settings) = (limits.stream, self.bridge().settings());
        let total = match request.mode {
            ResponseMode::Buffered => {
                Some(request.timeout.unwrap_or(Duration::from_millis(settings.request_timeout_ms)))
            }
            ResponseMode::Sse => request.timeout,
        };
        Timeouts {
            total,
            open: Duration::from_millis(stream.open_timeout_ms),
            idle: Duration::from_millis(stream.idle_timeout_ms),
            silence: Duration::from_millis(stream.max_silence_ms),
            grace: Duration::from_millis(settings.cancel_grace_ms),
            queued: Duration::from_millis(limits.waiter.timeout_ms) + QUEUED_SLACK,
            prompt: request.prompts().then(|| Duration::from_millis(settings.prompt_timeout_ms)),
        }
    }

    pub(super) fn bridge(&self) -> &bridge::Hub {
        &self.shared.setup.bridge
    }

    pub(super) fn policy(&self) -> &policy::Hub {
        &self.shared.setup.policy
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.shared.setup.journal
    }

    pub(super) fn clock(&self) -> Clock {
        self.shared.setup.clock
    }

    /// An answer of the assistant was not understood.
    pub(super) fn count_drift(&self, platform: &PlatformName, drift: Drift) {
        tracing::warn!(
            platform = platform.as_str(),
            reason = drift.reason(),
            "an answer's text is not of a known form"
        );
        let mut drifts = self.shared.drifts.lock().unwrap_or_else(PoisonError::into_inner);
        *drifts.entry(platform.clone()).or_default() += 1;
    }

    /// How many answers of a platform's assistant were not understood, since the start.
    pub fn answer_drift(&self, platform: &PlatformName) -> u64 {
        self.shared.drifts.lock().unwrap_or_else(PoisonError::into_inner).get(platform).copied().unwrap_or(0)
    }

    pub(super) fn choices(&self) -> MutexGuard<'_, Choices> {
        // A cache that a panicking thread left half done is still one.
        self.shared.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stall(&self) -> Duration {
        self.shared.setup.stall
    }

    fn live(&self) -> MutexGuard<'_, foldhash::HashMap<RequestId, Live>> {
        // Nothing panics between two changes, so what a panicking thread left is whole.
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
