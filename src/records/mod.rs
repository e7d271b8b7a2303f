//! Login records: the reports of connected clients merged with stored ones.
//!
//! Nothing here changes with time on its own: a status is computed when it is read, from stored times. It needs no
//! timer and is the same after a restart.

mod login_status;
mod merge;
mod reader;
mod record;

pub use login_status::{LoginAgeLimits, LoginStatus, LoginStatusCounts};
pub use merge::{RecordSummary, RuntimeCounts};
pub use reader::{LIMIT_DEFAULT, LIMIT_MAX, RecordFilter, RecordPage, RecordReader};
pub use record::{LiveState, LoginRecord, PersistedState, RecordView};
