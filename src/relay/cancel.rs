//! Cancelling a request: what the canceller is told.

use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
};
use serde::Serialize;

/// What became of a cancel. The same for every further cancel of the same request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CancelResponse {
    /// It was waiting and left the queue; the browser never heard of it.
    Queued(CancelledInQueue),
    /// The extension was told; its last word is awaited.
    InFlight(CancelRequested),
}

/// A request that left the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CancelledInQueue {
    /// `cancelled`.
    pub status: &'static str,
    /// `queue_cancel`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which.
    pub request_id: RequestId,
    /// Its platform.
    pub platform: PlatformName,
    /// Why.
    pub reason: String,
}

/// A request whose extension was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CancelRequested {
    /// Who performs it.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// Since when, in Unix milliseconds.
    pub dispatched_at: WallMs,
    /// Its platform.
    pub platform: PlatformName,
    /// Why.
    pub reason: String,
    /// Which.
    pub request_id: RequestId,
    /// `cancel_requested`.
    pub status: &'static str,
    /// `request_cancel`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Why nothing was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelError {
    /// No such request is queued or in flight, or it runs under another platform.
    NotFound,
    /// Another client performs it.
    Mismatch {
        /// Which one.
        executing: Option<ClientId>,
    },
}
