//! The exchange actor: one browser request, from the application for a lease to the delivery of its last frame.
//!
//! [`RequestState`] decides what each event means; the exchange performs it. Cancellation, timeouts, a leaving caller,
//! a lost client and shutdown are one message each and are handled in every phase.
//!
//! Invariant: [`Exchange::end`] runs once. What the request holds (pending lease, lease, dispatch, registration)
//! releases itself when dropped, so that even a panic here ends the request for everyone involved.

use super::{
    JournalEntry, answer,
    hub::{LiveRegistration, RelayHub},
    journal,
    request::CancelResponse,
    request::{OutgoingPart, RelayRequest, ResponseMode, UpstreamCall},
    request_error::{RequestError, RequestFailure},
    request_events::RequestDone,
    request_state::{RequestEffect, RequestEnd, RequestPart, RequestPhase, RequestState},
    stream::{StreamProgress, StreamWriter},
};
use crate::{
    bridge::{ConnectedClient, DisconnectReason, DispatchHandle},
    clock::WallMs,
    ids::{ClientId, PlatformName, RequestId},
    platforms::plan::{PendingPlan, RequestedLocation, ResolvedLocation},
    policy::{ActivityKind, Admission, Lease, LeaseOutcome, LeaseRequest, PendingLease},
    telemetry::metrics,
    wire::{RawJson, RequestReport},
};
use actix::prelude::*;
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

mod delivery;
mod messages;
mod steps;

pub(super) use messages::{CallerGone, CancelExchange, GetJournalEntry, GetWaitReason, Revoked, StopExchange};

/// A request that runs longer than this is recorded in the journal while it runs.
const RECORD_AFTER: Duration = Duration::from_secs(1);

/// A completed request with its whole answer.
#[derive(Debug)]
pub struct CompletedRequest {
    /// Client that performed the request.
    pub client_id: ClientId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Id of the request.
    pub request_id: RequestId,
    /// Decision of the policy; always present in an answer.
    pub admission: Option<Arc<Admission>>,
    /// Value of `request_mode`.
    pub request_mode: Cow<'static, str>,
    /// Conversation that the request went to, if the plan had to find it out.
    pub chosen: Option<ResolvedLocation>,
    /// The call that was made.
    pub call: UpstreamCall,
    /// HTTP status of the app.
    pub status: u16,
    /// The shaped body.
    pub response: RawJson,
}

/// Destination of the answer.
#[derive(Debug)]
pub(super) enum AnswerSink {
    Buffered(Option<oneshot::Sender<Result<CompletedRequest, RequestFailure>>>),
    Stream(StreamWriter),
}

pub(super) struct Exchange {
    hub: RelayHub,
    request: Box<RelayRequest>,
    number: i64,
    state: RequestState,
    sink: AnswerSink,
    client: Option<ConnectedClient>,
    /// Epoch of the bridge when the client was chosen.
    chosen_in: u64,
    waiting: Option<PendingLease>,
    lease: Option<Lease>,
    dispatched: Option<DispatchHandle>,
    /// The plan, while one of its intermediate steps is running.
    pending_plan: Option<PendingPlan>,
    /// Location that the caller named, if it may be cached.
    asked: Option<RequestedLocation>,
    /// Fingerprint of the client's login when the plan began; cached locations belong to it.
    fingerprint: Option<String>,
    /// Location that the plan's last step goes to.
    chosen: Option<ResolvedLocation>,
    request_mode: Cow<'static, str>,
    /// Whether the request is a prompt, whose answer is read in the assistant's format.
    prompts: bool,
    cancelled: Option<Box<CancelResponse>>,
    requested: Instant,
    requested_at: WallMs,
    dispatched_at: WallMs,
    first_byte_at: Option<WallMs>,
    admission: Option<Arc<Admission>>,
    status: Option<u16>,
    partial: StreamProgress,
    bytes: u64,
    recorded: bool,
    timer: Option<(Instant, SpawnHandle)>,
    /// Keeps the request among the live ones until it is dropped.
    registration: Option<LiveRegistration>,
    _alive: metrics::AliveGuard,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // A request whose exchange panics is still ended in the journal.
        if !self.recorded && self.registration.is_some() {
            let entry = self.entry(None, None, None);
            if let Some(registration) = &mut self.registration {
                registration.recorded(entry);
            }
        }
    }
}

impl Exchange {
    pub(super) fn new(
        hub: RelayHub,
        request: RelayRequest,
        sink: AnswerSink,
        number: i64,
        registration: LiveRegistration,
    ) -> Self {
        let requested_at = hub.clock().now_ms();
        let request = Box::new(request);
        Exchange {
            state: RequestState::new(request.mode == ResponseMode::Sse, hub.timeouts(&request)),
            recorded: !hub.journal().is_on(),
            hub,
            number,
            sink,
            client: None,
            chosen_in: 0,
            waiting: None,
            lease: None,
            dispatched: None,
            pending_plan: None,
            asked: None,
            fingerprint: None,
            chosen: None,
            request_mode: request.work_name(),
            prompts: request.prompts(),
            cancelled: None,
            requested: Instant::now(),
            requested_at,
            dispatched_at: requested_at,
            first_byte_at: None,
            admission: None,
            status: None,
            partial: StreamProgress::default(),
            bytes: 0,
            timer: None,
            _alive: registration.events.alive(),
            registration: Some(registration),
            request,
        }
    }

    /// Selects the client and applies for a lease.
    fn acquire_lease(&mut self, ctx: &mut Context<Self>) -> Result<(), RequestError> {
        let (platform, named) = (&self.request.platform, self.request.client_id.as_ref());
        self.chosen_in = self.hub.bridge().epoch();
        let client = self.hub.bridge().select(platform, named).map_err(RequestError::NoClient)?;
        let able = self.check_client(&client);
        if let Err(cause) = able {
            self.client = Some(client);
            return Err(cause);
        }
        let applicant = LeaseRequest { request_id: self.request.id.clone(), reply_to: ctx.address().recipient() };
        let acquired = self.hub.policy().acquire(&client.client_id, platform, applicant);
        self.client = Some(client);
        self.waiting = Some(acquired.map_err(RequestError::Refused)?);
        Ok(())
    }

    fn granted(&mut self, lease: Lease, ctx: &mut Context<Self>) {
        if let Some(waiting) = self.waiting.take() {
            waiting.done();
        }
        if self.state.phase() != RequestPhase::Queued {
            return; // it ended meanwhile: the lease goes back unused
        }
        self.admission = Some(Arc::clone(lease.admission()));
        if let Some(registration) = &mut self.registration {
            registration.events.admitted(lease.admission().admitted_at);
        }
        self.lease = Some(lease);
        let Some(client) = self.client.take() else { return };
        let bridge = self.hub.bridge();
        if bridge.epoch() == self.chosen_in {
            // The client may have lost the login or template while the request waited.
            return match self.check_client(&client) {
                Ok(()) => self.begin(client, ctx),
                Err(cause) => {
                    self.client = Some(client);
                    self.lease = None; // nothing went out: that says nothing about the platform
                    self.end(Err(cause), false, ctx);
                }
            };
        }
        // The client may have reconnected while the request waited; nothing was sent on the old connection.
        let again = bridge.select(&self.request.platform, Some(&client.client_id));
        match again {
            Ok(client) => self.begin(client, ctx),
            Err(_) => {
                self.client = Some(client);
                self.lease = None; // nothing went out: that says nothing about the platform
                self.end(Err(RequestError::Gone(DisconnectReason::SocketClosed)), false, ctx);
            }
        }
    }

    /// Sends a part of the request. Only the last part carries the caller's id.
    fn dispatch(&mut self, client: ConnectedClient, part: RequestPart, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let own;
        let out = match part {
            RequestPart::Last => OutgoingPart { id: &self.request.id, mode: self.request.mode },
            RequestPart::Step => {
                own = RequestId::generate();
                OutgoingPart { id: &own, mode: ResponseMode::Buffered }
            }
        };
        let frame = self.request.frame(out, self.hub.timeouts(&self.request).total);
        let to = ctx.address().recipient();
        let bridge = self.hub.bridge();
        self.dispatched = Some(bridge.dispatch(&client, out.id, &self.request.platform, frame, to));
        self.client = Some(client);
        self.dispatched_at = self.hub.clock().now_ms();
        if let Some(registration) = self.registration.as_mut().filter(|_| self.state.phase() == RequestPhase::Queued) {
            registration.events.dispatched(self.dispatched_at);
        }
        self.touch(ActivityKind::Dispatched, now);
        self.state.mark_dispatched(part, now);
        self.arm(ctx);
    }

    fn touch(&self, reason: ActivityKind, now: Instant) {
        if let Some(lease) = &self.lease {
            lease.touch(reason, now);
        }
    }

    fn on_report(&mut self, report: RequestReport, now: Instant, ctx: &mut Context<Self>) {
        let last = report.is_last();
        let touch = match &report {
            RequestReport::Progress => ActivityKind::Progress,
            RequestReport::Open { .. } => ActivityKind::StreamOpen,
            RequestReport::Event(_) => ActivityKind::StreamEvent,
            _ => ActivityKind::ResponseReceived,
        };
        self.touch(touch, now);
        if self.first_byte_at.is_none() && touch != ActivityKind::Progress && self.pending_plan.is_none() {
            self.first_byte_at = Some(self.hub.clock().now_ms());
        }
        let act = self.state.on_report(report, now);
        self.perform(act, last, ctx);
    }

    /// Performs an effect. `answered`: whether the extension has sent its last report.
    fn perform(&mut self, act: RequestEffect, answered: bool, ctx: &mut Context<Self>) {
        match act {
            RequestEffect::Nothing => {}
            RequestEffect::Open { status, meta } => self.open(status, &meta, ctx),
            RequestEffect::Emit { opens, event } => {
                if opens {
                    self.open(200, &RawJson::default(), ctx);
                }
                self.emit(&event, ctx);
            }
            RequestEffect::Step(answer) => self.on_step_answer(&answer, ctx),
            RequestEffect::Whole(answer) => self.deliver_whole(&answer, ctx),
            RequestEffect::End(RequestEnd::Stream { status }) => {
                self.status = Some(status);
                self.end(Ok(RawJson::default()), answered, ctx);
            }
            RequestEffect::End(RequestEnd::Failed(cause)) => self.end(Err(cause), answered, ctx),
        }
    }

    /// Ends the request once; later calls do nothing. Moves the call into the answer. `answered`: whether the extension
    /// has sent its last report.
    fn end(&mut self, ended: Result<RawJson, RequestError>, answered: bool, ctx: &mut Context<Self>) {
        // Kept until every message with this id is sent; only then may the id be used again.
        let Some(mut registration) = self.registration.take() else { return };
        let mut ended = ended.map_err(|cause| self.state.resolve_error(cause));
        let now = self.hub.clock().now_ms();
        if let Err(RequestError::Upstream(upstream)) = &mut ended {
            self.status = upstream.status;
            let words = upstream.retry_after.take();
            upstream.retry_after_ms = words.and_then(|words| answer::retry_after_ms(&words, now));
        }
        self.update_choices(self.status);
        if ended.is_ok() {
            self.report_accepted_prompt();
        }
        self.state.finish();
        self.waiting = None;
        if let Some(dispatched) = self.dispatched.take() {
            match &ended {
                Err(cause) if !answered => dispatched.cancel(&cause.code()),
                _ => dispatched.complete(),
            }
        }
        if let Some(lease) = self.lease.take() {
            lease.settle(ended.as_ref().err().map_or(LeaseOutcome::Success, RequestError::outcome));
        }
        let (outcome, error_code) = match &ended {
            Ok(_) => ("success", None),
            Err(cause) if cause.is_cancellation() => ("cancelled", Some(cause.code())),
            Err(cause) => ("failure", Some(cause.code())),
        };
        let (error, status) = (error_code.clone(), self.status);
        let (event_count, bytes) = (self.partial.event_count, self.bytes);
        registration.events.done(now, RequestDone { outcome, error_code: error, status, event_count, bytes });
        let caller_gone = matches!(ended, Err(RequestError::CallerGone));
        if self.hub.journal().is_on() {
            let entry = self.entry(Some(outcome), error_code, Some(now));
            self.hub.journal().record(entry);
        }
        registration.over();
        self.deliver(ended);
        match &self.sink {
            // The stream stays until its reader has read everything and left, or stalls.
            AnswerSink::Stream(_) if !caller_gone => self.arm(ctx),
            _ => ctx.stop(),
        }
    }

    fn entry(
        &self,
        outcome: Option<&'static str>,
        error_code: Option<Cow<'static, str>>,
        finished_at: Option<WallMs>,
    ) -> JournalEntry {
        let (request, admission) = (&*self.request, self.admission.as_deref());
        let delay = |of: fn(&Admission) -> i64| admission.map_or(0, of);
        JournalEntry {
            id: self.number,
            request_id: request.id.shared(),
            platform: request.platform.shared(),
            client_id: self.client.as_ref().map(|client| client.client_id.shared()),
            method: request.call.method.clone(),
            path: journal::kept_path(&request.call.path),
            request_mode: self.request_mode.clone(),
            response_mode: Cow::Borrowed(request.mode.name()),
            phase: Cow::Borrowed(self.state.phase().name()),
            outcome: outcome.map(Cow::Borrowed),
            error_code,
            status: self.status.map(i32::from),
            requested_at: self.requested_at,
            admitted_at: admission.map(|a| a.admitted_at),
            first_byte_at: self.first_byte_at,
            finished_at,
            queue_delay_ms: delay(|a| a.queue_delay_ms),
            backoff_delay_ms: delay(|a| a.backoff_delay_ms),
            rate_limit_delay_ms: delay(|a| a.rate_limit_delay_ms),
            jitter_delay_ms: delay(|a| a.jitter_delay_ms),
            event_count: i64::try_from(self.partial.event_count).unwrap_or(i64::MAX),
            bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            waiting: None,
        }
    }
}
