//! The relay: carries browser requests from their callers to a client and the answers back.
//!
//! Submit requests to [`RelayHub`]. Each accepted request is an `Exchange`, which ends exactly once for its caller, for
//! the policy and for the journal, whatever fails on the way.

mod answer;
mod exchange;
mod frame_buffer;
mod frames;
mod hub;
mod journal;
mod request;
mod request_error;
mod request_events;
mod request_state;
mod stream;

pub use exchange::CompletedRequest;
pub use hub::{BufferedRequest, CallerGuard, RelayHub, RelayParts, RelayRefusal, Revoker, StreamedRequest};
pub use journal::{JournalEntry, JournalFilter, JournalPage, RequestJournal};
pub use request::{CancelError, CancelResponse, RelayRequest, RequestWork, ResponseMode, UpstreamCall};
pub use request_error::{RequestError, RequestFailure, UpstreamError};
pub use stream::{StreamEnd, StreamItem, StreamProgress, StreamReader};
