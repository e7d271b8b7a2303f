//! Accepted requests: the handle of the caller and the registration in the hub.

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

/// An accepted request whose caller waits for the whole answer. Dropping it cancels the request.
#[derive(Debug)]
pub struct BufferedRequest {
    pub(super) answer: oneshot::Receiver<Result<CompletedRequest, RequestFailure>>,
    pub(super) caller: CallerGuard,
}

/// An accepted request whose caller reads a stream. Dropping `caller` cancels the request.
#[derive(Debug)]
pub struct StreamedRequest {
    /// The stream.
    pub reader: StreamReader,
    /// Represents the caller towards the request.
    pub caller: CallerGuard,
}

/// Represents the caller towards the request. Dropping it reports that the caller has disconnected.
#[derive(Debug)]
pub struct CallerGuard {
    pub(super) exchange: Option<Addr<Exchange>>,
    pub(super) _token: TaskTrackerToken,
}

/// Ends a request when the authorization of its caller is no longer valid.
#[derive(Debug)]
pub struct Revoker(Option<Addr<Exchange>>);

impl Revoker {
    /// Ends the request, unless it has ended.
    pub fn revoke(self) {
        if let Some(exchange) = self.0 {
            exchange.do_send(Revoked); // bounded: once a request
        }
    }
}

impl CallerGuard {
    /// Returns the handle that ends the request.
    pub fn revoker(&self) -> Revoker {
        Revoker(self.exchange.clone())
    }
}

impl BufferedRequest {
    /// Returns the handle that ends the request.
    pub fn revoker(&self) -> Revoker {
        self.caller.revoker()
    }

    /// Returns the answer, and a guard to hold until it is written.
    pub async fn answer(mut self) -> (Result<CompletedRequest, RequestFailure>, CallerGuard) {
        let died = RequestFailure { cause: RequestError::Internal, client_id: None, connection_id: None };
        let answer = (&mut self.answer).await.unwrap_or(Err(died));
        self.caller.exchange = None; // it has ended: nothing is left to cancel
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

/// Registration of a live request; dropping it frees the id.
#[derive(Debug)]
pub(in crate::relay) struct LiveRegistration {
    pub(super) hub: RelayHub,
    pub(super) id: RequestId,
    pub(in crate::relay) events: RequestEvents,
    /// Journal entry to write if the exchange dies without ending the request.
    pub(super) died: Option<Box<JournalEntry>>,
}

impl LiveRegistration {
    /// Marks the request as ended and recorded.
    pub(in crate::relay) fn over(mut self) {
        self.died = None;
    }

    /// Remembers that the journal has an unfinished row of the request.
    pub(in crate::relay) fn recorded(&mut self, running: JournalEntry) {
        let (outcome, error_code) = (Some("failure".into()), Some("internal_error".into()));
        self.died = Some(Box::new(JournalEntry { phase: "done".into(), outcome, error_code, ..running }));
    }
}

impl Drop for LiveRegistration {
    fn drop(&mut self) {
        // Published before the id is free, so that the events of a later request with the same id come after it.
        self.events.gone(|| self.hub.clock().now_ms());
        self.hub.shared.live.lock().remove(&self.id);
        if let Some(died) = self.died.take() {
            let finished_at = Some(self.hub.clock().now_ms());
            self.hub.journal().record(JournalEntry { finished_at, ..*died });
        }
    }
}
