//! A request that was taken over: as its caller holds it, and as the hub has it on its list.

use super::RelayHub;
use crate::{
    ids::RequestId,
    relay::{
        JournalEntry,
        exchange::{CallerGone, CompletedRequest, Exchange, Revoked},
        request_error::{RequestError, RequestFailure},
        request_events::RequestEvents,
        stream::StreamReader,
    },
};
use actix::prelude::*;
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A taken request whose caller waits for the whole answer. Drop it to cancel the request.
#[derive(Debug)]
pub struct BufferedRequest {
    pub(super) answer: oneshot::Receiver<Result<CompletedRequest, RequestFailure>>,
    pub(super) caller: CallerGuard,
}

/// A taken request whose caller reads a stream. Drop `caller` to cancel the request.
#[derive(Debug)]
pub struct StreamedRequest {
    /// What the caller reads.
    pub reader: StreamReader,
    /// The caller, as the request sees it.
    pub caller: CallerGuard,
}

/// A caller, as a request sees it: when it is dropped, the caller is gone.
#[derive(Debug)]
pub struct CallerGuard {
    pub(super) exchange: Option<Addr<Exchange>>,
    pub(super) _token: TaskTrackerToken,
}

/// Ends a request whose caller was let in by what holds no more.
#[derive(Debug)]
pub struct Revoker(Option<Addr<Exchange>>);

impl Revoker {
    /// Ends it, if it has not ended.
    pub fn revoke(self) {
        if let Some(exchange) = self.0 {
            exchange.do_send(Revoked); // bounded: once a request
        }
    }
}

impl CallerGuard {
    /// The way to end its request.
    pub fn revoker(&self) -> Revoker {
        Revoker(self.exchange.clone())
    }
}

impl BufferedRequest {
    /// The way to end the request.
    pub fn revoker(&self) -> Revoker {
        self.caller.revoker()
    }

    /// The answer, and a token to hold until it is written.
    pub async fn answer(mut self) -> (Result<CompletedRequest, RequestFailure>, CallerGuard) {
        let died = RequestFailure { cause: RequestError::Internal, client_id: None, connection_id: None };
        let answer = (&mut self.answer).await.unwrap_or(Err(died));
        self.caller.exchange = None; // it has ended: nobody is to be told
        (answer, self.caller)
    }
}

impl Drop for CallerGuard {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.do_send(CallerGone); // bounded: once a request
        }
    }
}

/// An entry among the live requests, for as long as this lives.
#[derive(Debug)]
pub(in crate::relay) struct LiveRegistration {
    pub(super) hub: RelayHub,
    pub(super) id: RequestId,
    /// What is told of it.
    pub(in crate::relay) events: RequestEvents,
    /// What the journal says if the exchange dies without a word.
    pub(super) died: Option<Box<JournalEntry>>,
}

impl LiveRegistration {
    /// The request has ended, and the journal knows.
    pub(in crate::relay) fn over(mut self) {
        self.died = None;
    }

    /// From now on the journal has a row of it that must not stay open.
    pub(in crate::relay) fn recorded(&mut self, running: JournalEntry) {
        let (outcome, error_code) = (Some("failure".into()), Some("internal_error".into()));
        self.died = Some(Box::new(JournalEntry { phase: "done".into(), outcome, error_code, ..running }));
    }
}

impl Drop for LiveRegistration {
    fn drop(&mut self) {
        // Before the id is free: a later request of the same one is told after this.
        self.events.gone(|| self.hub.clock().now_ms());
        self.hub.live().remove(&self.id);
        if let Some(died) = self.died.take() {
            let finished_at = Some(self.hub.clock().now_ms());
            self.hub.journal().record(JournalEntry { finished_at, ..*died });
        }
    }
}
