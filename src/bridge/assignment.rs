//! A request in the hands of a connection, seen from both sides. Each side gives its half back by dropping it, so that
//! no death of either leaves the other waiting.

use super::connection::{CancelRequest, Connection, ReleaseRequest};
use crate::{ids::RequestId, wire::RequestReport};
use actix::prelude::*;
use tokio::time::Instant;

/// What a connection tells about a request it performs.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum AssignmentEvent {
    /// The extension said this, and when it was heard.
    Report(RequestReport, Instant),
    /// The extension said something about it that cannot be understood.
    Unreadable {
        /// Why not.
        why: String,
        /// Whether it was the extension's last word about it.
        is_last: bool,
    },
    /// The connection can do nothing more for it.
    Disconnected(DisconnectReason),
}

/// Why a connection can do nothing more for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The socket is gone.
    SocketClosed,
    /// A newer connection of the same client took over.
    Replaced,
    /// What was to be sent could not be.
    SendFailed,
    /// The daemon stops.
    Stopped,
}

impl DisconnectReason {
    /// The specific error code.
    pub fn code(self) -> &'static str {
        match self {
            DisconnectReason::SocketClosed => "client_disconnected",
            DisconnectReason::Replaced => "client_replaced",
            DisconnectReason::SendFailed => "send_failed",
            DisconnectReason::Stopped => "service_stopped",
        }
    }
}

/// The connection's half: reports the connection's end when it is dropped.
#[derive(Debug)]
pub(super) struct Assignment {
    to: Recipient<AssignmentEvent>,
    is_settled: bool,
}

impl Assignment {
    pub(super) fn new(to: Recipient<AssignmentEvent>) -> Self {
        Assignment { to, is_settled: false }
    }

    /// Passes on what the extension said. Bounded: the inbound window is not opened before this was called.
    pub(super) fn report(&self, report: AssignmentEvent) {
        self.to.do_send(report);
    }

    /// The connection can do nothing more.
    pub(super) fn disconnect(mut self, why: DisconnectReason) {
        self.is_settled = true;
        self.to.do_send(AssignmentEvent::Disconnected(why)); // bounded: once a request
    }

    /// The request is is_settled: nothing is left to report.
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

/// The request's half: takes the request back when it is dropped.
#[derive(Debug)]
pub struct DispatchHandle {
    pub(super) connection: Addr<Connection>,
    pub(super) id: RequestId,
    pub(super) is_settled: bool,
}

impl DispatchHandle {
    /// The extension has said its last word: nothing is left to take back.
    pub fn complete(mut self) {
        self.is_settled = true;
    }

    /// Asks the extension to stop; its word about that is still reported. Asked again, nothing more is sent.
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
