//! Entry point of the relay: accepts, finds, lists and ends requests.

mod accepted;

use super::{
    exchange::{AnswerSink, CancelExchange, Exchange, GetJournalEntry, GetWaitReason, StopExchange},
    frame_buffer::FrameBufferLimits,
    journal::{JournalEntry, JournalFilter, JournalPage, RequestJournal},
    request::{CancelError, CancelResponse},
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
    mode::Mode,
    platforms::{full_text::AnswerDrift, plan::LocationCache},
    policy,
    store::StoreError,
    system::SystemControl,
    tcp_abort::TcpAbortHandle,
    telemetry::metrics,
};
pub(super) use accepted::LiveRegistration;
pub use accepted::{BufferedRequest, CallerGuard, Revoker, StreamedRequest};
use actix::prelude::*;
use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::hash_map, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Extra time beyond the policy's waiting time until the lack of a verdict counts as an internal error.
const QUEUED_SLACK: Duration = Duration::from_secs(5);

/// Dependencies of the relay.
#[derive(Debug)]
pub struct RelayParts {
    /// Bridge to the clients.
    pub bridge: bridge::BridgeHub,
    /// Policy that admits requests.
    pub policy: policy::PolicyHub,
    /// Journal of requests.
    pub journal: RequestJournal,
    /// Bus for the requests' events.
    pub events: EventBus,
    /// Mode of the system, which decides whether requests are accepted.
    pub system: SystemControl,
    /// Wall clock.
    pub clock: Clock,
    /// Most requests that are queued or in flight.
    pub requests_max: usize,
    /// Longest time that the reader of a stream may take nothing.
    pub stall: Duration,
    /// Metrics of requests.
    pub metrics: metrics::RelayMetrics,
}

/// Handle to the relay. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RelayHub {
    shared: Arc<RelayShared>,
}

#[derive(Debug)]
struct RelayShared {
    setup: RelayParts,
    live: Mutex<foldhash::HashMap<RequestId, LiveRequest>>,
    /// Recently used locations of prompts.
    choices: Mutex<LocationCache>,
    /// Number of answers with an unknown format, by registered platform.
    drifts: Mutex<foldhash::HashMap<PlatformName, u64>>,
    callers: TaskTracker,
}

#[derive(Clone, Debug)]
struct LiveRequest {
    exchange: Addr<Exchange>,
    platform: PlatformName,
}

/// Reason why a request was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayRefusal {
    /// A live request has the same id.
    Conflict,
    /// The limit of live requests is reached.
    Overloaded,
    /// The system is draining.
    Draining,
    /// The daemon is stopping.
    Stopping,
}

impl RelayHub {
    /// Creates a relay without requests.
    pub fn new(setup: RelayParts) -> Self {
        let choices = Mutex::new(LocationCache::new(setup.bridge.settings().max_clients));
        RelayHub {
            shared: Arc::new(RelayShared {
                setup,
                live: Mutex::default(),
                choices,
                drifts: Mutex::default(),
                callers: TaskTracker::new(),
            }),
        }
    }

    /// Accepts a request whose caller waits for the whole answer.
    pub fn buffered(&self, request: RelayRequest) -> Result<BufferedRequest, RelayRefusal> {
        debug_assert_eq!(request.mode, ResponseMode::Buffered);
        let (caller, answer) = oneshot::channel();
        let caller = self.accept(request, AnswerSink::Buffered(Some(caller)))?;
        Ok(BufferedRequest { answer, caller })
    }

    /// Accepts a request whose caller reads a stream. `abort_handle` aborts the caller's connection if it stalls.
    pub fn streamed(
        &self,
        request: RelayRequest,
        abort_handle: Option<TcpAbortHandle>,
    ) -> Result<StreamedRequest, RelayRefusal> {
        debug_assert_eq!(request.mode, ResponseMode::Sse);
        let limits = self.policy().settings().for_platform(request.platform.as_str()).stream;
        let bounds = FrameBufferLimits { events_max: limits.max_buffered_events, bytes_max: limits.max_buffered_bytes };
        let (writer, reader) = stream(request.id.clone(), bounds, abort_handle);
        let caller = self.accept(request, AnswerSink::Stream(writer))?;
        Ok(StreamedRequest { reader, caller })
    }

    /// Starts the exchange on the calling arbiter.
    fn accept(&self, request: RelayRequest, sink: AnswerSink) -> Result<CallerGuard, RelayRefusal> {
        let mut live = self.shared.live.lock();
        // Checked under the same lock as in `stop`, so that an accepted request is always stopped there.
        if self.shared.callers.is_closed() {
            return Err(RelayRefusal::Stopping);
        }
        // Held until the request is live: a drain is announced only after requests accepted before it are counted.
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

    /// Cancels a request in any phase.
    pub async fn cancel(
        &self,
        id: &RequestId,
        platform: &str,
        client_id: Option<ClientId>,
        reason: Option<String>,
    ) -> Result<CancelResponse, CancelError> {
        let live = self.shared.live.lock().get(id).filter(|live| live.platform.as_str() == platform).cloned();
        let exchange = live.ok_or(CancelError::NotFound)?.exchange;
        // A request that ended in the meantime is not found.
        exchange.send(CancelExchange { client_id, reason }).await.unwrap_or(Err(CancelError::NotFound))
    }

    /// Returns a page of the journal.
    pub async fn page(&self, filter: JournalFilter) -> Result<JournalPage, StoreError> {
        let exchanges: Vec<_> = self.shared.live.lock().values().map(|live| live.exchange.clone()).collect();
        let views = join_all(exchanges.iter().map(|exchange| exchange.send(GetJournalEntry))).await;
        let live = views.into_iter().filter_map(Result::ok).flatten().collect();
        let mut page = self.journal().page(live, filter).await?;
        // Only for the entries of the page, because each asks its target and possibly the platform's pacer.
        join_all(page.requests.iter_mut().map(|entry| self.add_wait_reason(entry))).await;
        Ok(page)
    }

    /// Adds what a queued request waits for.
    async fn add_wait_reason(&self, entry: &mut JournalEntry) {
        if entry.phase != RequestPhase::Queued.name() {
            return;
        }
        let exchange = self.shared.live.lock().get(&*entry.request_id).map(|live| live.exchange.clone());
        if let Some(exchange) = exchange {
            entry.waiting = exchange.send(GetWaitReason).await.ok().flatten().map(Box::new);
        }
    }

    /// Returns the live request of this id, else the newest finished one.
    pub async fn find(&self, id: &str) -> Result<Option<JournalEntry>, StoreError> {
        let live = self.shared.live.lock().get(id).cloned();
        if let Some(live) = live
            && let Ok(Some(mut entry)) = live.exchange.send(GetJournalEntry).await
        {
            self.add_wait_reason(&mut entry).await;
            return Ok(Some(entry));
        }
        self.journal().latest(id).await
    }

    /// Returns why a request made now would not be accepted.
    pub fn refusal(&self) -> Option<RelayRefusal> {
        if self.shared.callers.is_closed() {
            Some(RelayRefusal::Stopping)
        } else if self.shared.setup.system.mode() == Mode::Draining {
            Some(RelayRefusal::Draining)
        } else {
            (self.live_count() >= self.shared.setup.requests_max).then_some(RelayRefusal::Overloaded)
        }
    }

    /// Ends every request with `service_stopped` and accepts no more.
    pub fn stop(&self) {
        let live = self.shared.live.lock();
        self.shared.callers.close();
        for live in live.values() {
            live.exchange.do_send(StopExchange); // bounded: once a request
        }
    }

    /// Waits, after [`stop`](Self::stop), until every caller has its answer or is gone.
    pub async fn stopped(&self) {
        self.shared.callers.wait().await;
    }

    /// Returns the number of requests that are queued or in flight.
    pub fn live_count(&self) -> usize {
        self.shared.live.lock().len()
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

    pub(super) fn bridge(&self) -> &bridge::BridgeHub {
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

    /// Counts and logs an answer with an unknown format.
    pub(super) fn count_drift(&self, platform: &PlatformName, drift: AnswerDrift) {
        tracing::warn!(
            platform = platform.as_str(),
            reason = drift.reason(),
            "an answer's text is not of a known form"
        );
        let mut drifts = self.shared.drifts.lock();
        *drifts.entry(platform.clone()).or_default() += 1;
    }

    /// Returns the number of a platform's answers with an unknown format since the start.
    pub fn answer_drift(&self, platform: &PlatformName) -> u64 {
        self.shared.drifts.lock().get(platform).copied().unwrap_or(0)
    }

    pub(super) fn choices(&self) -> MutexGuard<'_, LocationCache> {
        self.shared.choices.lock()
    }

    pub(super) fn stall_timeout(&self) -> Duration {
        self.shared.setup.stall
    }
}

#[cfg(test)]
mod tests;
