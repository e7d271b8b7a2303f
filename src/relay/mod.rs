//! The relay: the life of each browser request, from its caller through a client and back.
//!
//! Ask [`Hub`]; each accepted request is an `Exchange` of its own, which ends exactly once for its caller, for the
//! policy and for the journal, whatever dies on the way.

mod answer;
mod buffer;
mod cancel;
mod ending;
mod events;
mod exchange;
mod frames;
mod hub;
mod journal;
mod life;
mod request;
mod stream;

pub use crate::store::requests::RequestRow as Entry;
pub use cancel::{CancelAnswer, CancelRefused};
pub use ending::{Cause, Failure, Upstream};
pub use exchange::Delivered;
pub use hub::{Buffered, Caller, Hub, Refused, Revoker, Setup, Streamed};
pub use journal::{Filter, Journal, Page, Shown};
pub use request::{Call, Request, ResponseMode, Work};
pub use stream::{Next, Partial, Reader, StreamEnd};
