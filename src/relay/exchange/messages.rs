//! The messages that an exchange answers, in every phase.

use super::Exchange;
use crate::{
    bridge::Report,
    faults,
    ids::ClientId,
    policy::{Reason, Verdict, Waiting},
    relay::{
        Entry,
        cancel::{CancelAnswer, CancelRefused, InFlight, Queued},
        ending::Cause,
        life::Cancelled,
    },
};
use actix::prelude::*;
use tokio::time::Instant;

/// The reason of a cancel that gave none.
const NO_REASON: &str = "cancelled_by_caller";

impl Actor for Exchange {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let applied = self.apply(ctx);
        if let Some(registration) = &mut self.registration {
            let client = self.client.as_ref().map(|client| &client.client_id);
            registration.phases.queued(&self.request, client, self.requested_at);
        }
        match applied {
            Ok(()) => {
                self.life.queued(Instant::now());
                self.arm(ctx);
            }
            Err(cause) => self.end(Err(cause), false, ctx),
        }
    }
}

impl Handler<Verdict> for Exchange {
    type Result = ();

    fn handle(&mut self, verdict: Verdict, ctx: &mut Self::Context) {
        match verdict {
            Verdict::Granted(lease) => self.granted(lease, ctx),
            Verdict::Refused(refusal) => self.end(Err(Cause::Refused(refusal)), false, ctx),
            Verdict::Swept => {
                self.lease = None;
                self.end(Err(Cause::Swept), false, ctx);
            }
        }
    }
}

impl Handler<Report> for Exchange {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        faults::point("exchange");
        match report {
            Report::Said(said, heard_at) => self.said(said, heard_at, ctx),
            Report::Garbled { why, last } => {
                let act = self.life.fail(Cause::Garbled(why));
                self.perform(act, last, ctx);
            }
            Report::Gone(gone) => {
                let act = self.life.gone(gone);
                self.perform(act, true, ctx);
            }
        }
    }
}

/// Somebody wants the request no more.
#[derive(Debug, Message)]
#[rtype(result = "Result<CancelAnswer, CancelRefused>")]
pub(in crate::relay) struct Cancel {
    /// Who is thought to perform it.
    pub(in crate::relay) client_id: Option<ClientId>,
    pub(in crate::relay) reason: Option<String>,
}

impl Handler<Cancel> for Exchange {
    type Result = Result<CancelAnswer, CancelRefused>;

    fn handle(&mut self, Cancel { client_id, reason }: Cancel, ctx: &mut Self::Context) -> Self::Result {
        let executing = self.client.as_ref().map(|client| client.client_id.clone());
        if client_id.is_some() && client_id != executing {
            return Err(CancelRefused::Mismatch { executing });
        }
        let reason = reason.unwrap_or_else(|| NO_REASON.to_owned());
        let (request_id, platform) = (self.request.id.clone(), self.request.platform.clone());
        match self.life.cancel(Instant::now()) {
            Cancelled::Late => Err(CancelRefused::NotFound),
            Cancelled::Queued => {
                self.end(Err(Cause::Cancelled), false, ctx);
                let (status, kind) = ("cancelled", "queue_cancel");
                Ok(CancelAnswer::Queued(Queued { status, kind, request_id, platform, reason }))
            }
            Cancelled::Again => self.cancelled.as_deref().cloned().ok_or(CancelRefused::NotFound),
            Cancelled::First => {
                let client = self.client.as_ref().ok_or(CancelRefused::NotFound)?;
                let answer = CancelAnswer::InFlight(InFlight {
                    client_id: client.client_id.clone(),
                    connection_id: client.connection_id.clone(),
                    dispatched_at: self.dispatched_at,
                    platform,
                    reason,
                    request_id,
                    status: "cancel_requested",
                    kind: "request_cancel",
                });
                if let (Some(dispatched), CancelAnswer::InFlight(told)) = (&self.dispatched, &answer) {
                    dispatched.cancel(&told.reason);
                }
                self.cancelled = Some(Box::new(answer.clone()));
                self.arm(ctx);
                Ok(answer)
            }
        }
    }
}

/// The caller is gone, or has everything and left.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct CallerGone;

impl Handler<CallerGone> for Exchange {
    type Result = ();

    fn handle(&mut self, _: CallerGone, ctx: &mut Self::Context) {
        self.end(Err(Cause::CallerGone), false, ctx);
        ctx.stop();
    }
}

/// What let the caller in holds no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct Revoked;

impl Handler<Revoked> for Exchange {
    type Result = ();

    fn handle(&mut self, _: Revoked, ctx: &mut Self::Context) {
        self.end(Err(Cause::Revoked), false, ctx);
    }
}

/// The daemon stops.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(in crate::relay) struct Stop;

impl Handler<Stop> for Exchange {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.end(Err(Cause::Gone(crate::bridge::Gone::Stopped)), false, ctx);
    }
}

/// Asks how things stand, and what a queued one waits for; nothing when it is over.
#[derive(Debug, Message)]
#[rtype(result = "Option<Entry>")]
pub(in crate::relay) struct View;

impl Handler<View> for Exchange {
    type Result = MessageResult<View>;

    fn handle(&mut self, _: View, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.registration.is_some().then(|| self.entry(None, None, None)))
    }
}

/// Asks what it waits for; nothing when it waits no more.
#[derive(Debug, Message)]
#[rtype(result = "Option<Reason>")]
pub(in crate::relay) struct WaitsFor;

impl Handler<WaitsFor> for Exchange {
    type Result = ResponseFuture<Option<Reason>>;

    fn handle(&mut self, _: WaitsFor, _: &mut Self::Context) -> Self::Result {
        let asked = self.waiting.as_ref().map(Waiting::reason);
        Box::pin(async move { asked?.await })
    }
}
