//! The door to the relay: takes requests over, finds them again, ends them all.

mod accepted;

use super::{
    cancel::{CancelError, CancelResponse},
    exchange::{AnswerSink, CancelExchange, Exchange, GetJournalEntry, GetWaitReason, StopExchange},
    frame_buffer::FrameBufferLimits,
    journal::{JournalEntryView, JournalFilter, JournalPage, RequestJournal},
    request::{RelayRequest, ResponseMode},
    request_events::RequestEvents,
    request_state::{RequestPhase, RequestTimeouts},
    stream::stream,
};
use crate::{
    bridge,
    clock::Clock,
    events::EventBus,
    ids::{ClientId, PlatformName, RequestId},
    line::Line,
    mode::Mode,
    platforms::{full_text::AnswerDrift, plan::LocationCache},
    policy,
    store::StoreError,
    system::SystemControl,
    telemetry::metrics,
};
pub(super) use accepted::LiveRegistration;
pub use accepted::{BufferedRequest, CallerGuard, Revoker, StreamedRequest};
use actix::prelude::*;
use futures_util::future::join_all;
use std::{
    collections::hash_map,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// How much longer than the policy lets it wait a request waits for the policy's answer.
const QUEUED_SLACK: Duration = Duration::from_secs(5);

/// What the relay is made of.
#[derive(Debug)]
pub struct RelayParts {
    /// The clients.
    pub bridge: bridge::Hub,
    /// The policy.
    pub policy: policy::PolicyHub,
    /// Where requests are noted.
    pub journal: RequestJournal,
    /// Where their events are told.
    pub events: EventBus,
    /// The mode, which decides whether requests are taken.
    pub system: SystemControl,
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
pub struct RelayHub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    setup: RelayParts,
    live: Mutex<foldhash::HashMap<RequestId, LiveRequest>>,
    /// Where prompts went a moment ago.
    choices: Mutex<LocationCache>,
    /// Answers that were not understood; of registered platforms alone.
    drifts: Mutex<foldhash::HashMap<PlatformName, u64>>,
    callers: TaskTracker,
}

#[derive(Clone, Debug)]
struct LiveRequest {
    exchange: Addr<Exchange>,
    platform: PlatformName,
}

/// Why a request was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayRefusal {
    /// A live one has the same id.
    Conflict,
    /// As many as may be are live.
    Overloaded,
    /// The system drains.
    Draining,
    /// The daemon stops.
    Stopping,
}

impl RelayHub {
    /// A relay without requests.
    pub fn new(setup: RelayParts) -> Self {
        let choices = Mutex::new(LocationCache::new(setup.bridge.settings().max_clients));
        RelayHub {
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
    pub fn buffered(&self, request: RelayRequest) -> Result<BufferedRequest, RelayRefusal> {
        debug_assert_eq!(request.mode, ResponseMode::Buffered);
        let (caller, answer) = oneshot::channel();
        let caller = self.accept(request, AnswerSink::Buffered(Some(caller)))?;
        Ok(BufferedRequest { answer, caller })
    }

    /// Takes over a request whose caller reads a stream. `line`: how to end a caller that takes nothing.
    ///
    /// # Errors
    ///
    /// It was not taken over.
    pub fn streamed(&self, request: RelayRequest, line: Option<Line>) -> Result<StreamedRequest, RelayRefusal> {
        debug_assert_eq!(request.mode, ResponseMode::Sse);
        let limits = self.policy().settings().for_platform(request.platform.as_str()).stream;
        let bounds = FrameBufferLimits { events_max: limits.max_buffered_events, bytes_max: limits.max_buffered_bytes };
        let (writer, reader) = stream(request.id.clone(), bounds, line);
        let caller = self.accept(request, AnswerSink::Stream(writer))?;
        Ok(StreamedRequest { reader, caller })
    }

    /// The exchange then lives on the calling arbiter.
    fn accept(&self, request: RelayRequest, sink: AnswerSink) -> Result<CallerGuard, RelayRefusal> {
        let mut live = self.live();
        // Under the lock, as the stop is: whoever is not refused here is told there.
        if self.shared.callers.is_closed() {
            return Err(RelayRefusal::Stopping);
        }
        // Held until the request is among the live ones: what was taken before a drain is announced is there by then.
        let system = self.shared.setup.system.lock_mode();
        if system.mode == Mode::Draining {
            return Err(RelayRefusal::Draining);
        }
        let crowded = live.len() >= self.shared.setup.requests_max;
        let hash_map::Entry::Vacant(place) = live.entry(request.id.clone()) else {
            return Err(RelayRefusal::Conflict);
        };
        if crowded {
            return Err(RelayRefusal::Overloaded);
        }
        let platform = request.platform.clone();
        let events = RequestEvents::new(self.shared.setup.events.clone(), self.shared.setup.metrics.clone());
        let registration = LiveRegistration { hub: self.clone(), id: request.id.clone(), events, died: None };
        let number = self.journal().next_number();
        let exchange = Exchange::new(self.clone(), request, sink, number, registration).start();
        place.insert(LiveRequest { exchange: exchange.clone(), platform });
        Ok(CallerGuard { exchange: Some(exchange), _token: self.shared.callers.token() })
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
    ) -> Result<CancelResponse, CancelError> {
        let live = self.live().get(id).filter(|live| live.platform.as_str() == platform).cloned();
        let exchange = live.ok_or(CancelError::NotFound)?.exchange;
        // One that died meanwhile is not found either.
        exchange.send(CancelExchange { client_id, reason }).await.unwrap_or(Err(CancelError::NotFound))
    }

    /// A part of the journal.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn page(&self, filter: JournalFilter) -> Result<JournalPage, StoreError> {
        let exchanges: Vec<_> = self.live().values().map(|live| live.exchange.clone()).collect();
        let views = join_all(exchanges.iter().map(|exchange| exchange.send(GetJournalEntry))).await;
        let live = views.into_iter().filter_map(Result::ok).flatten().map(JournalEntryView::from).collect();
        let mut page = self.journal().page(live, filter).await?;
        // Of those on the page alone: each asks its target, some their platform's gate.
        join_all(page.entries.iter_mut().map(|shown| self.add_wait_reason(shown))).await;
        Ok(page)
    }

    /// Adds what a request waits for.
    async fn add_wait_reason(&self, shown: &mut JournalEntryView) {
        if shown.entry.phase != RequestPhase::Queued.name() {
            return;
        }
        let exchange = self.live().get(&*shown.entry.request_id).map(|live| live.exchange.clone());
        if let Some(exchange) = exchange {
            shown.waiting = exchange.send(GetWaitReason).await.ok().flatten();
        }
    }

    /// The live request of that id, else the newest finished one.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<JournalEntryView>, StoreError> {
        let live = self.live().get(id).cloned();
        if let Some(live) = live
            && let Ok(Some(entry)) = live.exchange.send(GetJournalEntry).await
        {
            let mut shown = JournalEntryView::from(entry);
            self.add_wait_reason(&mut shown).await;
            return Ok(Some(shown));
        }
        Ok(self.journal().latest(id).await?.map(JournalEntryView::from))
    }

    /// What would keep a request made now from being taken over at all.
    pub fn refusal(&self) -> Option<RelayRefusal> {
        if self.shared.callers.is_closed() {
            Some(RelayRefusal::Stopping)
        } else if self.shared.setup.system.mode() == Mode::Draining {
            Some(RelayRefusal::Draining)
        } else {
            (self.live_count() >= self.shared.setup.requests_max).then_some(RelayRefusal::Overloaded)
        }
    }

    /// Ends every request with `service_stopped` and takes no more.
    pub fn stop(&self) {
        let live = self.live();
        self.shared.callers.close();
        for live in live.values() {
            live.exchange.do_send(StopExchange); // bounded: once a request
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

    pub(super) fn timeouts(&self, request: &RelayRequest) -> RequestTimeouts {
        let limits = self.policy().settings().for_platform(request.platform.as_str());
        let (stream, settings) = (limits.stream, self.bridge().settings());
        let total = match request.mode {
            ResponseMode::Buffered => {
                Some(request.timeout.unwrap_or(Duration::from_millis(settings.request_timeout_ms)))
            }
            ResponseMode::Sse => request.timeout,
        };
        RequestTimeouts {
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

    pub(super) fn policy(&self) -> &policy::PolicyHub {
        &self.shared.setup.policy
    }

    pub(super) fn journal(&self) -> &RequestJournal {
        &self.shared.setup.journal
    }

    pub(super) fn clock(&self) -> Clock {
        self.shared.setup.clock
    }

    /// An answer of the assistant was not understood.
    pub(super) fn count_drift(&self, platform: &PlatformName, drift: AnswerDrift) {
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

    pub(super) fn choices(&self) -> MutexGuard<'_, LocationCache> {
        // A cache that a panicking thread left half done is still one.
        self.shared.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stall_timeout(&self) -> Duration {
        self.shared.setup.stall
    }

    fn live(&self) -> MutexGuard<'_, foldhash::HashMap<RequestId, LiveRequest>> {
        // Nothing panics between two changes, so what a panicking thread left is whole.
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
