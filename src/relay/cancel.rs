//! Responses to the cancellation of a request.

use crate::ids::ClientId;

pub use crate::api::browser_request::CancelResponse;

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
