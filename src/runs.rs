//! Records of operations: tasks and their runs, as kept by the code that performs them.
//!
//! ```text
//! OperationRecorder::begin ─► running ─► the operation ─► OperationRecord::end ─► succeeded, failed
//! ```
//!
//! Invariant: an operation that cannot be recorded does not begin, and the end of one that began is recorded even if
//! the database cannot be written for a while.

mod operation_record;
mod retry;
mod truncate;

pub use operation_record::{OperationRecord, OperationRecorder};
pub use retry::retry_until_committed;
pub use truncate::truncate_texts;
