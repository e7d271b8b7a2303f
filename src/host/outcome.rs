//! How a host operation ended: one complete value for each, whoever asked, from which answers and records are made.

use serde::Serialize;
use serde_json::Value;

/// An operation that was carried out, or that the system did not let through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationOutcome<R> {
    /// `exec`, `files/read` or `files/write`.
    pub operation: &'static str,
    /// What was asked for, without content.
    pub input: Value,
    /// Whether it did what it was for.
    pub ok: bool,
    /// What came of it.
    #[serde(flatten)]
    pub end: OperationEnd<R>,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationEnd<R> {
    /// It ran.
    Result(R),
    /// It did not.
    Error(OperationError),
}

impl<R> OperationOutcome<R> {
    /// `succeeded`: whether a result is a success.
    pub(super) fn new(
        operation: &'static str,
        input: &impl Serialize,
        end: Result<R, OperationError>,
        succeeded: impl FnOnce(&R) -> bool,
    ) -> Self {
        let input = serde_json::to_value(input).unwrap_or_default();
        match end {
            Ok(result) => {
                OperationOutcome { operation, input, ok: succeeded(&result), end: OperationEnd::Result(result) }
            }
            Err(error) => OperationOutcome { operation, input, ok: false, end: OperationEnd::Error(error) },
        }
    }
}

/// Why an operation did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationError {
    /// To decide by.
    pub code: OperationErrorCode,
    /// For people.
    pub message: String,
}

impl OperationError {
    pub(super) fn new(code: OperationErrorCode, message: impl Into<String>) -> Self {
        OperationError { code, message: message.into() }
    }
}

/// Why an operation did nothing, to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationErrorCode {
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
pub enum OperationRefusal {
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
pub(super) enum OperationFailure {
    /// It was not taken up.
    Refused(OperationRefusal),
    /// It did nothing.
    Failed(OperationError),
}

impl From<OperationRefusal> for OperationFailure {
    fn from(refusal: OperationRefusal) -> Self {
        OperationFailure::Refused(refusal)
    }
}

impl From<OperationError> for OperationFailure {
    fn from(error: OperationError) -> Self {
        OperationFailure::Failed(error)
    }
}

/// Sorts the two ways of not coming to a result apart.
pub(super) fn separate_refusal<R>(
    done: Result<R, OperationFailure>,
) -> Result<Result<R, OperationError>, OperationRefusal> {
    match done {
        Ok(result) => Ok(Ok(result)),
        Err(OperationFailure::Failed(error)) => Ok(Err(error)),
        Err(OperationFailure::Refused(refusal)) => Err(refusal),
    }
}
