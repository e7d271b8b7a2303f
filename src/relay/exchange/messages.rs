//! Messages of the exchange actor, handled in every phase, and its only timer. The timer is armed for the earliest
//! deadline; events move deadlines without touching it, and a timer that fires early is armed again.

use super::{AnswerSink, Exchange, RECORD_AFTER};
use crate::{
    api::browser_request::{CancelKind, CancelStatus},
    bridge::AssignmentEvent,
    failpoints,
    ids::ClientId,
    policy::{LeaseVerdict, PendingLease, WaitReason},
    relay::{
        JournalEntry,
        request::{CancelError, CancelResponse},
        request_error::RequestError,
        request_state::CancelOutcome,
        stream::StreamWriter,
    },
};
use actix::prelude::*;
use tokio::time::Instant;

/// Reason of a cancellation that gave none.
const NO_REASON: &str = "cancelled_by_caller";

impl Actor for Exchange {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let applied = self.acquire_lease(ctx);
        if let Some(registration) = &mut self.registration {
            let client = self.client.as_ref().map(|client| &client.client_id);
            registration.events.queued(&self.request, client, self.requested_at);
        }
        match applied {
            Ok(()) => {
                self.state.mark_queued(Instant::now());
                self.arm(ctx);
            }
            Err(cause) => self.end(Err(cause), false, ctx),
        }
    }
}

impl Handler<LeaseVerdict> for Exchange {
    type Result = ();

    fn handle(&mut self, verdict: LeaseVerdict, ctx: &mut Self::Context) {
        match verdict {
            LeaseVerdict::Granted(lease) => self.granted(lease, ctx),
            LeaseVerdict::Refused(refusal) => self.end(Err(RequestError::Refused(refusal)), false, ctx),
            LeaseVerdict::Swept => {
                self.lease = None;
                self.end(Err(RequestError::Swept), false, ctx);
            }
        }
    }
}

impl Handler<AssignmentEvent> for Exchange {
    type Result = ();

    fn handle(&mut self, event: AssignmentEvent, ctx: &mut Self::Context) {
        failpoints::point("exchange");
        match event {
            AssignmentEvent::Report(report, received_at) => self.on_report(report, received_at, ctx),
            AssignmentEvent::Unreadable { why, is_last } => {
                let act = self.state.fail(RequestError::Garbled(why));
                self.perform(act, is_last, ctx);
            }
            AssignmentEvent::Disconnected(reason) => {
                let act = self.state.on_disconnect(reason);
                self.perform(act, true, ctx);
            }
        }
    }
}

#[derive(Debug, Message)]
#[rtype(result = "Result<CancelResponse, CancelError>")]
pub(in crate::relay) struct CancelExchange {
    /// Client that is expected to perform the request; another one is a mismatch.
    pub(in crate::relay) client_id: Option<ClientId>,
    pub(in crate::relay) reason: Option<String>,
}

impl Handler<CancelExchange> for Exchange {
    type Result = Result<CancelResponse, CancelError>;

    fn handle(
        &mut self,
        CancelExchange { client_id, reason }: CancelExchange,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let executing = self.client.as_ref().map(|client| client.client_id.clone());
        if client_id.is_some() && client_id != executing {
            return Err(CancelError::Mismatch { executing });
        }
        let reason = reason.unwrap_or_else(|| NO_REASON.to_owned());
        let (request_id, platform) = (self.request.id.clone(), self.request.platform.clone());
        match self.state.cancel(Instant::now()) {
            CancelOutcome::Late => Err(CancelError::NotFound),
            CancelOutcome::Queued => {
                self.end(Err(RequestError::Cancelled), false, ctx);
                Ok(CancelResponse::queued(request_id, platform, reason))
            }
            CancelOutcome::Again => self.cancelled.as_deref().cloned().ok_or(CancelError::NotFound),
            CancelOutcome::First => {
                let client = self.client.as_ref().ok_or(CancelError::NotFound)?;
                let answer = CancelResponse {
                    status: CancelStatus::CancelRequested,
                    kind: CancelKind::RequestCancel,
                    client_id: Some(client.client_id.clone()),
                    connection_id: Some(client.connection_id.clone()),
                    dispatched_at: Some(self.dispatched_at),
                    ..CancelResponse::queued(request_id, platform, reason)
                };
                if let Some(dispatched) = &self.dispatched {
                    dispatched.cancel(&answer.reason);
                }
                self.cancelled = Some(Box::new(answer.clone()));
                self.arm(ctx);
                Ok(answer)
            }
        }
    }
}

/// The caller has disconnected, before or after the end of the answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct CallerGone;

impl Handler<CallerGone> for Exchange {
    type Result = ();

    fn handle(&mut self, _: CallerGone, ctx: &mut Self::Context) {
        self.end(Err(RequestError::CallerGone), false, ctx);
        ctx.stop();
    }
}

/// The authorization of the caller is no longer valid.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct Revoked;

impl Handler<Revoked> for Exchange {
    type Result = ();

    fn handle(&mut self, _: Revoked, ctx: &mut Self::Context) {
        self.end(Err(RequestError::Revoked), false, ctx);
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct StopExchange;

impl Handler<StopExchange> for Exchange {
    type Result = ();

    fn handle(&mut self, _: StopExchange, ctx: &mut Self::Context) {
        self.end(Err(RequestError::Gone(crate::bridge::DisconnectReason::Stopped)), false, ctx);
    }
}

/// Asks for the journal entry; `None` once the request is over.
#[derive(Debug, Message)]
#[rtype(result = "Option<JournalEntry>")]
pub(in crate::relay) struct GetJournalEntry;

impl Handler<GetJournalEntry> for Exchange {
    type Result = MessageResult<GetJournalEntry>;

    fn handle(&mut self, _: GetJournalEntry, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.registration.is_some().then(|| self.entry(None, None, None)))
    }
}

/// Asks what the request waits for; `None` if it does not wait.
#[derive(Debug, Message)]
#[rtype(result = "Option<WaitReason>")]
pub(in crate::relay) struct GetWaitReason;

impl Handler<GetWaitReason> for Exchange {
    type Result = ResponseFuture<Option<WaitReason>>;

    fn handle(&mut self, _: GetWaitReason, _: &mut Self::Context) -> Self::Result {
        let asked = self.waiting.as_ref().map(PendingLease::reason);
        Box::pin(async move { asked?.await })
    }
}

impl Exchange {
    /// Arms the timer for the next deadline. A timer that is due earlier stays and re-arms itself.
    pub(super) fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(wanted) = self.next_deadline() else { return };
        if let Some((armed, handle)) = self.timer {
            if armed <= wanted {
                return;
            }
            ctx.cancel_future(handle);
        }
        let pause = wanted.saturating_duration_since(Instant::now());
        self.timer = Some((wanted, ctx.run_later(pause, Self::on_timer)));
    }

    fn next_deadline(&self) -> Option<Instant> {
        let record = (!self.recorded && self.registration.is_some()).then(|| self.requested + RECORD_AFTER);
        // Stalled readers are detected at this interval at the latest.
        let stalled = matches!(self.sink, AnswerSink::Stream(_)).then(|| Instant::now() + self.hub.stall_timeout());
        [record, stalled, self.state.deadline()].into_iter().flatten().min()
    }

    fn on_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        let now = Instant::now();
        if !self.recorded && self.registration.is_some() && self.requested.elapsed() >= RECORD_AFTER {
            self.recorded = true;
            let entry = self.entry(None, None, None);
            if let Some(registration) = &mut self.registration {
                registration.recorded(entry.clone());
            }
            self.hub.journal().record(entry);
        }
        if let Some(writer) = self.stalled(now) {
            writer.cut();
            self.end(Err(RequestError::CallerGone), false, ctx);
            return ctx.stop();
        }
        let act = self.state.on_timer(now);
        self.perform(act, false, ctx);
        self.arm(ctx);
    }

    /// Returns the stream if its reader has taken nothing for too long.
    fn stalled(&self, now: Instant) -> Option<&StreamWriter> {
        let AnswerSink::Stream(writer) = &self.sink else { return None };
        let since = writer.waiting_since()?;
        (now - since >= self.hub.stall_timeout()).then_some(writer)
    }
}
