//! Login records: the reports of connected clients merged with stored ones.
//!
//! A status is computed from stored times when it is read, so that it needs no timer and is the same after a restart.

mod login_status;
mod merge;
mod reader;
mod record;

pub use login_status::{LoginAgeLimits, LoginStatus, LoginStatusCounts};
pub use merge::{RecordSummary, RuntimeCounts};
pub use reader::{LIMIT_DEFAULT, LIMIT_MAX, RecordFilter, RecordPage, RecordReader};
pub use record::{LiveState, LoginRecord, PersistedState, RecordView};
