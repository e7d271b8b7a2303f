//! A request that was dispatched to a connection, seen from both sides. Each side releases its half by dropping it, so
//! that the end of either never leaves the other waiting.

use super::connection::{CancelRequest, Connection, ReleaseRequest};
use crate::{api::request_error_code::RequestErrorCode, ids::RequestId, wire::RequestReport};
use actix::prelude::*;
use tokio::time::Instant;

/// What a connection reports about a request that it performs.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum AssignmentEvent {
    /// A report of the extension, with the time of its arrival.
    Report(RequestReport, Instant),
    /// A message of the extension about the request that cannot be read.
    Unreadable {
        /// Error of the reader.
        why: String,
        /// Whether it was the extension's last message about the request.
        is_last: bool,
    },
    /// The connection ended or could not send.
    Disconnected(DisconnectReason),
}

/// Why a connection no longer performs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The socket closed.
    SocketClosed,
    /// A newer connection of the same client took over.
    Replaced,
    /// A frame could not be sent.
    SendFailed,
    /// The daemon is stopping.
    Stopped,
}

impl DisconnectReason {
    /// Returns the error code that callers see.
    pub fn code(self) -> RequestErrorCode {
        match self {
            DisconnectReason::SocketClosed => RequestErrorCode::ClientDisconnected,
            DisconnectReason::Replaced => RequestErrorCode::ClientReplaced,
            DisconnectReason::SendFailed => RequestErrorCode::SendFailed,
            DisconnectReason::Stopped => RequestErrorCode::ServiceStopped,
        }
    }
}

/// The connection's half; reports the end of the connection when it is dropped.
#[derive(Debug)]
pub(super) struct Assignment {
    to: Recipient<AssignmentEvent>,
    is_settled: bool,
}

impl Assignment {
    pub(super) fn new(to: Recipient<AssignmentEvent>) -> Self {
        Assignment { to, is_settled: false }
    }

    /// Forwards a report. Bounded: the inbound window stays closed until the report was forwarded.
    pub(super) fn report(&self, report: AssignmentEvent) {
        self.to.do_send(report);
    }

    pub(super) fn disconnect(mut self, why: DisconnectReason) {
        self.is_settled = true;
        self.to.do_send(AssignmentEvent::Disconnected(why)); // bounded: once a request
    }

    /// Ends the assignment: nothing is left to report.
    pub(super) fn complete(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        if !self.is_settled {
            self.to.do_send(AssignmentEvent::Disconnected(DisconnectReason::SocketClosed)); // bounded: once a request
        }
    }
}

/// The request's half; withdraws the request from the connection when it is dropped.
#[derive(Debug)]
pub struct DispatchHandle {
    pub(super) connection: Addr<Connection>,
    pub(super) id: RequestId,
    pub(super) is_settled: bool,
}

impl DispatchHandle {
    /// Marks the request as answered: there is nothing left to withdraw.
    pub fn complete(mut self) {
        self.is_settled = true;
    }

    /// Asks the extension to cancel the request; its answer is still reported. Repeated calls send nothing.
    pub fn cancel(&self, reason: &str) {
        // Bounded: once a request.
        self.connection.do_send(CancelRequest { id: self.id.clone(), reason: reason.into() });
    }
}

impl Drop for DispatchHandle {
    fn drop(&mut self) {
        if !self.is_settled {
            self.connection.do_send(ReleaseRequest { id: self.id.clone() }); // bounded: once a request
        }
    }
}
