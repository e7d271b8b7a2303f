//! A request in the hands of a connection, seen from both sides. Each side gives its half back by dropping it, so that
//! no death of either leaves the other waiting.

use super::connection::{Cancel, Connection, Release};
use crate::{ids::RequestId, wire::RequestReport};
use actix::prelude::*;
use tokio::time::Instant;

/// What a connection tells about a request it performs.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// The extension said this, and when it was heard.
    Said(RequestReport, Instant),
    /// The extension said something about it that cannot be understood.
    Garbled {
        /// Why not.
        why: String,
        /// Whether it was the extension's last word about it.
        last: bool,
    },
    /// The connection can do nothing more for it.
    Gone(Gone),
}

/// Why a connection can do nothing more for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The socket is gone.
    Disconnected,
    /// A newer connection of the same client took over.
    Replaced,
    /// What was to be sent could not be.
    SendFailed,
    /// The daemon stops.
    Stopped,
}

impl Gone {
    /// The specific error code.
    pub fn code(self) -> &'static str {
        match self {
            Gone::Disconnected => "client_disconnected",
            Gone::Replaced => "client_replaced",
            Gone::SendFailed => "send_failed",
            Gone::Stopped => "service_stopped",
        }
    }
}

/// The connection's half: reports the connection's end when it is dropped.
#[derive(Debug)]
pub(super) struct Assignment {
    to: Recipient<Report>,
    over: bool,
}

impl Assignment {
    pub(super) fn new(to: Recipient<Report>) -> Self {
        Assignment { to, over: false }
    }

    /// Passes on what the extension said. Bounded: the inbound window is not opened before this was called.
    pub(super) fn report(&self, report: Report) {
        self.to.do_send(report);
    }

    /// The connection can do nothing more.
    pub(super) fn gone(mut self, why: Gone) {
        self.over = true;
        self.to.do_send(Report::Gone(why)); // bounded: once a request
    }

    /// The request is over: nothing is left to report.
    pub(super) fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        if !self.over {
            self.to.do_send(Report::Gone(Gone::Disconnected)); // bounded: once a request
        }
    }
}

/// The request's half: takes the request back when it is dropped.
#[derive(Debug)]
pub struct Dispatched {
    pub(super) connection: Addr<Connection>,
    pub(super) id: RequestId,
    pub(super) over: bool,
}

impl Dispatched {
    /// The extension has said its last word: nothing is left to take back.
    pub fn answered(mut self) {
        self.over = true;
    }

    /// Asks the extension to stop; its word about that is still reported. Asked again, nothing more is sent.
    pub fn cancel(&self, reason: &str) {
        // Bounded: once a request.
        self.connection.do_send(Cancel { id: self.id.clone(), reason: reason.into() });
    }
}

impl Drop for Dispatched {
    fn drop(&mut self) {
        if !self.over {
            self.connection.do_send(Release { id: self.id.clone() }); // bounded: once a request
        }
    }
}
