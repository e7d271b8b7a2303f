//! The machine under the daemon: its commands, its files, and what the system tells about itself.
//!
//! ```text
//! input ──► Host ──► exec ──► supervisor (a process of its own) ──► the command, in its sandbox
//!            │
//!            └─────► files ──► the kernel, beneath the roots
//! ```
//!
//! [`Host`] is what routes and instructions call alike. Invariants: no command outlives its call; the daemon's own folder,
//! its token and its environment are out of reach of every file operation and of every sandbox.

mod exec;
mod files;
pub mod input;
pub mod limits;
mod operations;
mod outcome;
pub mod owner;
mod roots;
mod sandbox;
pub mod settings;
pub mod uptime;

pub use exec::{
    Command, Exec, ExecResult, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, names_alone,
    supervise,
};
pub use files::{Encoding, FilesRead, FilesWrite, READ_BYTES_DEFAULT, READ_BYTES_MAX, ReadResult, WriteResult};
pub use operations::{Host, Origin, Presence, Setup};
pub use outcome::{End, Outcome, Problem, ProblemCode, Refusal};
pub use sandbox::{Stage, launch_command};
