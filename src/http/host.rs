//! `/v1/exec` and `/v1/files`: commands and files of this machine. Requires the token.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::{ApiReply, ResponseGuard, SuccessEnvelope},
};
use crate::{
    host::{
        ExecInput, FileReadInput, FileWriteInput, OperationOrigin, OperationOutcome, OperationRefusal, ShutdownGuard,
        input,
    },
    store::StoreError,
    wire::FieldError,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// `POST /v1/exec`. The command ends when the caller disconnects.
pub(super) async fn exec(call: ApiCall) -> Result<ApiReply, ApiError> {
    let exec = read_input(&call, input::parse_exec)?;
    let input = ExecInput::redacted(&exec);
    let (host, stop) = (call.core.host.clone(), CancellationToken::new());
    let shutdown_guard = host.delay_shutdown();
    let _leaves = stop.clone().drop_guard();
    let work = async move { host.exec(exec, OperationOrigin::Operator, &stop).await };
    run_recorded(call, "exec", input, shutdown_guard, work).await
}

/// `POST /v1/files/read`.
pub(super) async fn files_read(call: ApiCall) -> Result<ApiReply, ApiError> {
    let file = read_input(&call, input::parse_file_read)?;
    let (input, host) = (FileReadInput::echo(&file), call.core.host.clone());
    let shutdown_guard = host.delay_shutdown();
    run_recorded(
        call,
        "files/read",
        input,
        shutdown_guard,
        async move { host.read(file, OperationOrigin::Operator).await },
    )
    .await
}

/// `POST /v1/files/write`.
pub(super) async fn files_write(call: ApiCall) -> Result<ApiReply, ApiError> {
    let file = read_input(&call, input::parse_file_write)?;
    let (input, host) = (FileWriteInput::echo(&file), call.core.host.clone());
    let shutdown_guard = host.delay_shutdown();
    run_recorded(call, "files/write", input, shutdown_guard, async move {
        host.write(file, OperationOrigin::Operator).await
    })
    .await
}

fn read_input<T>(call: &ApiCall, input: fn(&Map<String, Value>) -> Result<T, FieldError>) -> Result<T, ApiError> {
    // Reports a body that is not an object as every other route does.
    call.fields()?;
    let fields = serde_json::from_str(&call.body)
        .map_err(|_| ApiError::new(Code::InvalidRequest, "The body contains a number that is out of range."))?;
    Ok(input(&fields)?)
}

/// Records the start of an operation, runs it and records its result. Spawned as a task, so that it completes even if
/// the caller disconnects.
async fn run_recorded<R>(
    call: ApiCall,
    tool: &'static str,
    input: Value,
    shutdown_guard: ShutdownGuard,
    work: impl Future<Output = Result<OperationOutcome<R>, OperationRefusal>> + 'static,
) -> Result<ApiReply, ApiError>
where
    R: Serialize + Send + 'static,
{
    let operations = call.core.operations.clone();
    let running = actix_web::rt::spawn(async move {
        let begun = operations.begin(tool, "bearer", input.to_string()).await?;
        let done = work.await;
        let worded = actix_web::rt::task::spawn_blocking(move || {
            let (ok, result) = match &done {
                Ok(outcome) => (outcome.ok, serde_json::to_value(outcome).unwrap_or_default()),
                Err(refusal) => {
                    let error = ApiError::from(refusal.clone());
                    (false, json!({"ok": false, "error": error.name(), "message": error.message()}))
                }
            };
            (done, ok, result)
        });
        let (done, ok, result) = worded.await.map_err(|_| StoreError::Panicked)?;
        begun.end(ok, result).await;
        Ok::<_, StoreError>(done)
    });
    host_reply(call, running.await.map_err(|_| internal_error())??, shutdown_guard).await
}

/// Serializes the result on the blocking pool, since outputs and files may be large.
async fn host_reply<R>(
    call: ApiCall,
    done: Result<OperationOutcome<R>, OperationRefusal>,
    shutdown_guard: ShutdownGuard,
) -> Result<ApiReply, ApiError>
where
    R: Serialize + Send + 'static,
{
    let outcome = done?;
    let id = call.id;
    let written = actix_web::rt::task::spawn_blocking(move || {
        let mut text = SuccessEnvelope::begin(&id, 1_024);
        crate::wire::json::write(&mut text, &outcome);
        text
    });
    let success = SuccessEnvelope::end(written.await.map_err(|_| internal_error())?);
    Ok(ApiReply::Guarded(success, ResponseGuard::Operation(shutdown_guard)))
}

fn internal_error() -> ApiError {
    ApiError::new(Code::InternalError, "The service failed unexpectedly.")
}

impl From<OperationRefusal> for ApiError {
    fn from(refusal: OperationRefusal) -> Self {
        let code = match refusal {
            OperationRefusal::OutsideRoots { .. } => Code::OutsideRoots,
            OperationRefusal::SandboxUnavailable(_) => Code::SandboxUnavailable,
            OperationRefusal::RootRefused => Code::RootRefused,
        };
        let mut message = refusal.to_string();
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        message.push('.');
        ApiError::new(code, message)
    }
}
