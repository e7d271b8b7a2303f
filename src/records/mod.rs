//! Who is logged in where: what connected clients tell and what the store remembers, as one list.
//!
//! Nothing here changes with time by itself: a status is worked out when somebody looks, from times that are kept. So it
//! is right without a timer, and the same after a restart.

mod login_status;
mod merge;
mod reader;
mod record;

pub use login_status::{LoginAgeLimits, LoginStatus, LoginStatusCounts};
pub use merge::{RecordSummary, RuntimeCounts};
pub use reader::{LIMIT_DEFAULT, LIMIT_MAX, RecordFilter, RecordPage, RecordReader};
pub use record::{LiveState, LoginRecord, PersistedState, RecordView};
