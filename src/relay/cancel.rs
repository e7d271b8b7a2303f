//! Responses to the cancellation of a request.

use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
};
use serde::Serialize;

/// Response to a cancellation. Repeated cancellations of a request get the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CancelResponse {
    /// The request left the queue before it was sent to the browser.
    Queued(CancelledInQueue),
    /// The cancellation was sent to the extension, whose last report is awaited.
    InFlight(CancelRequested),
}

/// A request cancelled while queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CancelledInQueue {
    /// Always `cancelled`.
    pub status: &'static str,
    /// Always `queue_cancel`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Id of the request.
    pub request_id: RequestId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Reason of the cancellation.
    pub reason: String,
}

/// A request whose cancellation was sent to the extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CancelRequested {
    /// Client that performs the request.
    pub client_id: ClientId,
    /// Connection of that client.
    pub connection_id: ConnectionId,
    /// Time of dispatch, in Unix milliseconds.
    pub dispatched_at: WallMs,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Reason of the cancellation.
    pub reason: String,
    /// Id of the request.
    pub request_id: RequestId,
    /// Always `cancel_requested`.
    pub status: &'static str,
    /// Always `request_cancel`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Error of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelError {
    /// No request of this id and platform is queued or in flight.
    NotFound,
    /// Another client performs it.
    Mismatch {
        /// That client, once it is chosen.
        executing: Option<ClientId>,
    },
}
