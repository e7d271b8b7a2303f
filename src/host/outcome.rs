//! The outcome of a host operation, from which answers and records are made.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The outcome of an operation that was not refused.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OperationOutcome<R> {
    /// `exec`, `files/read` or `files/write`.
    pub operation: &'static str,
    /// The input, without file contents and standard input.
    pub input: Value,
    /// Whether the operation succeeded.
    pub ok: bool,
    /// The result or the error.
    #[serde(flatten)]
    pub end: OperationEnd<R>,
}

/// The result or the error of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationEnd<R> {
    /// The operation ran.
    Result(R),
    /// The operation had no effect.
    Error(OperationError),
}

impl<R> OperationOutcome<R> {
    /// `succeeded` decides whether a result counts as a success.
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

/// Why an operation had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OperationError {
    /// The machine-readable code.
    pub code: OperationErrorCode,
    /// The message for people.
    pub message: String,
}

impl OperationError {
    pub(super) fn new(code: OperationErrorCode, message: impl Into<String>) -> Self {
        OperationError { code, message: message.into() }
    }
}

/// The code of an [`OperationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationErrorCode {
    /// The command could not be started.
    SpawnFailed,
    /// The working folder does not exist.
    CwdNotFound,
    /// The system denied access, or the file is protected by the daemon.
    PermissionDenied,
    /// No slot became free within the time that the operation could wait.
    Busy,
    /// The operation was cancelled before it began.
    Cancelled,
    /// The file or folder does not exist.
    NotFound,
    /// The path is a folder.
    IsDirectory,
    /// The path is neither a regular file nor a folder.
    NotRegularFile,
    /// The requested bytes are not valid UTF-8.
    NotUtf8,
    /// The file exists and `overwrite` is not set.
    AlreadyExists,
    /// Another failure of the system.
    IoError,
}

/// Why an operation was refused before it began.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationRefusal {
    /// The path is outside of `host_ops.roots`.
    #[error("{path:?} does not lie beneath host_ops.roots")]
    OutsideRoots {
        /// The path as requested.
        path: String,
    },
    /// The configured sandbox is not available.
    #[error("the configured sandbox is not available: {0}")]
    SandboxUnavailable(String),
    /// The daemon runs as root.
    #[error("the daemon runs as root, and host_ops.allow_root is not set")]
    RootRefused,
}

/// Why an operation has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OperationFailure {
    /// It was refused.
    Refused(OperationRefusal),
    /// It failed without an effect.
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

/// Moves a refusal to the outer `Result`.
pub(super) fn separate_refusal<R>(
    done: Result<R, OperationFailure>,
) -> Result<Result<R, OperationError>, OperationRefusal> {
    match done {
        Ok(result) => Ok(Ok(result)),
        Err(OperationFailure::Failed(error)) => Ok(Err(error)),
        Err(OperationFailure::Refused(refusal)) => Err(refusal),
    }
}
