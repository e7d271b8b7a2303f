//! Who is logged in where: what connected clients tell and what the store remembers, as one list.
//!
//! Nothing here changes with time by itself: a status is worked out when somebody looks, from times that are kept. So it
//! is right without a timer, and the same after a restart.

mod merge;
mod reader;
mod record;
mod status;

pub use merge::{RuntimeCounts, Summary};
pub use reader::{Filter, LIMIT_DEFAULT, LIMIT_MAX, Page, Reader};
pub use record::{Live, Persisted, Record, View};
pub use status::{Ages, Status, StatusCounts};
