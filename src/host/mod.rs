//! The machine under the daemon: its commands, its files, and what the system tells about itself.
//!
//! ```text
//! input ──► Host ──► exec ──► supervisor (a process of its own) ──► the command, in its sandbox
//!            │
//!            └─────► files ──► the kernel, beneath the roots
//! ```
//!
//! [`HostOperations`] is what routes and instructions call alike. Invariants: no command outlives its call; the daemon's own folder,
//! its token and its environment are out of reach of every file operation and of every sandbox.

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
pub mod uptime;

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
