//! Operations on the machine that the daemon runs on: commands, files, and what the system reports about itself.
//!
//! ```text
//! input ──► HostOperations ──► exec ──► supervisor (a process of its own) ──► the command, in its sandbox
//!                 │
//!                 └──────────► files ──► the kernel, beneath the roots
//! ```
//!
//! Routes and instructions both call [`HostOperations`]. Invariants: no command outlives its call; the daemon's state
//! folder, token and environment are out of reach of every file operation and every sandbox.

mod exec;
mod files;
pub mod input;
pub mod limits;
mod operations;
mod outcome;
mod roots;
mod sandbox;
pub mod settings;
pub mod socket_owner;

pub use exec::{
    ExecCommand, ExecInput, ExecResult, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX,
    redact_variables, supervise,
};
pub use files::{
    FileEncoding, FileReadInput, FileReadResult, FileWriteInput, FileWriteResult, READ_BYTES_DEFAULT, READ_BYTES_MAX,
};
pub use operations::{HostOperations, HostSetup, OperationOrigin, ShutdownGuard};
pub use outcome::{OperationEnd, OperationError, OperationErrorCode, OperationOutcome, OperationRefusal};
pub use sandbox::{LauncherStage, launch_command};
