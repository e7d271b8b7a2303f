//! What is done on somebody's word and must be found again afterwards: tasks and their runs, as those who do it keep them.
//!
//! ```text
//! Operation::begin ─► running ─► the work ─► Operation::end ─► succeeded, failed
//! ```
//!
//! Invariant: what cannot be written down is not begun, and what was begun is written down however long the database
//! cannot be written meanwhile.

mod operation_record;
mod retry;
mod truncate;

pub use operation_record::{OperationRecord, OperationRecorder};
pub use retry::retry_until_committed;
pub use truncate::truncate_texts;
