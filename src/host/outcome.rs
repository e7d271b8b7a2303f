//! How a host operation ended: one complete value for each, whoever asked, from which answers and records are made.

use serde::Serialize;
use serde_json::Value;

/// An operation that was carried out, or that the system did not let through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome<R> {
    /// `exec`, `files/read` or `files/write`.
    pub operation: &'static str,
    /// What was asked for, without content.
    pub input: Value,
    /// Whether it did what it was for.
    pub ok: bool,
    /// What came of it.
    #[serde(flatten)]
    pub end: End<R>,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End<R> {
    /// It ran.
    Result(R),
    /// It did not.
    Error(Problem),
}

impl<R> Outcome<R> {
    /// `succeeded`: whether a result is a success.
    pub(super) fn new(
        operation: &'static str,
        input: &impl Serialize,
        end: Result<R, Problem>,
        succeeded: impl FnOnce(&R) -> bool,
    ) -> Self {
        let input = serde_json::to_value(input).unwrap_or_default();
        match end {
            Ok(result) => Outcome { operation, input, ok: succeeded(&result), end: End::Result(result) },
            Err(problem) => Outcome { operation, input, ok: false, end: End::Error(problem) },
        }
    }
}

/// Why an operation did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// To decide by.
    pub code: ProblemCode,
    /// For people.
    pub message: String,
}

impl Problem {
    pub(super) fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Problem { code, message: message.into() }
    }
}

/// Why an operation did nothing, to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The command could not be started.
    SpawnFailed,
    /// The folder to start in is not there.
    CwdNotFound,
    /// The system, or this daemon for its own files, does not allow it.
    PermissionDenied,
    /// As many operations as may be were under way for as long as this one could wait.
    Busy,
    /// It was called off before it began.
    Cancelled,
    /// There is no such file or folder.
    NotFound,
    /// It is a folder.
    IsDirectory,
    /// It is neither a file nor a folder.
    NotRegularFile,
    /// The file's bytes are no UTF-8.
    NotUtf8,
    /// There is a file already.
    AlreadyExists,
    /// The system failed in another way.
    IoError,
}

/// Why an operation was not taken up at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The file does not lie beneath the roots.
    #[error("{path:?} does not lie beneath host_ops.roots")]
    OutsideRoots {
        /// As it was asked for.
        path: String,
    },
    /// What must confine the operation cannot be had.
    #[error("the sandbox that is configured cannot be set up: {0}")]
    SandboxUnavailable(String),
    /// The daemon runs as root.
    #[error("the daemon runs as root, and host_ops.allow_root is not set")]
    RootRefused,
}

/// How an operation did not come to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It was not taken up.
    Refused(Refusal),
    /// It did nothing.
    Failed(Problem),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Stopped::Refused(refusal)
    }
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Stopped::Failed(problem)
    }
}

/// Sorts the two ways of not coming to a result apart.
pub(super) fn settled<R>(done: Result<R, Stopped>) -> Result<Result<R, Problem>, Refusal> {
    match done {
        Ok(result) => Ok(Ok(result)),
        Err(Stopped::Failed(problem)) => Ok(Err(problem)),
        Err(Stopped::Refused(refusal)) => Err(refusal),
    }
}
