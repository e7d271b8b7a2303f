//! `/v1/exec` and `/v1/files`: commands and files of this machine, for the bearer of the token.

use super::{
    endpoint::Call,
    error::{ApiError, Code},
    reply::{Reply, Success, Waiting},
};
use crate::{
    host::{Exec, FilesRead, FilesWrite, Origin, Outcome, Presence, Refusal, input},
    store::StoreError,
    wire::FieldError,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// `POST /v1/exec`. The command ends when its caller goes away.
pub(super) async fn exec(call: Call) -> Result<Reply, ApiError> {
    let exec = read(&call, input::exec)?;
    let input = Exec::kept(&exec);
    let (host, stop) = (call.core.host.clone(), CancellationToken::new());
    let presence = host.presence();
    let _leaves = stop.clone().drop_guard();
    let work = async move { host.exec(exec, Origin::Operator, &stop).await };
    noted(call, "exec", input, presence, work).await
}

/// `POST /v1/files/read`.
pub(super) async fn files_read(call: Call) -> Result<Reply, ApiError> {
    let file = read(&call, input::files_read)?;
    let (input, host) = (FilesRead::shown(&file), call.core.host.clone());
    let presence = host.presence();
    noted(call, "files/read", input, presence, async move { host.read(file, Origin::Operator).await }).await
}

/// `POST /v1/files/write`.
pub(super) async fn files_write(call: Call) -> Result<Reply, ApiError> {
    let file = read(&call, input::files_write)?;
    let (input, host) = (FilesWrite::shown(&file), call.core.host.clone());
    let presence = host.presence();
    noted(call, "files/write", input, presence, async move { host.write(file, Origin::Operator).await }).await
}

fn read<T>(call: &Call, input: fn(&Map<String, Value>) -> Result<T, FieldError>) -> Result<T, ApiError> {
    // The one reading of every body says what is wrong with one that is no object.
    call.fields()?;
    let fields = serde_json::from_str(&call.body)
        .map_err(|_| ApiError::new(Code::InvalidRequest, "The body holds a number that is out of range."))?;
    Ok(input(&fields)?)
}

/// Writes down that an operation begins, has it done, writes down what came of it. On its own from there on, so that it
/// is carried to its end also when nobody waits for that any more.
async fn noted<R>(
    call: Call,
    tool: &'static str,
    input: Value,
    presence: Presence,
    work: impl Future<Output = Result<Outcome<R>, Refusal>> + 'static,
) -> Result<Reply, ApiError>
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
    answer(call, running.await.map_err(|_| failed())??, presence).await
}

/// Outputs and files are long, so that writing them as JSON is left to another thread.
async fn answer<R>(call: Call, done: Result<Outcome<R>, Refusal>, presence: Presence) -> Result<Reply, ApiError>
where
    R: Serialize + Send + 'static,
{
    let outcome = done?;
    let id = call.id;
    let written = actix_web::rt::task::spawn_blocking(move || {
        let mut text = Success::begin(&id, 1_024);
        crate::wire::json::write(&mut text, &outcome);
        text
    });
    let success = Success::end(written.await.map_err(|_| failed())?);
    Ok(Reply::Held(success, Waiting::Operation(presence)))
}

fn failed() -> ApiError {
    ApiError::new(Code::InternalError, "The service failed unexpectedly.")
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::OutsideRoots { .. } => Code::OutsideRoots,
            Refusal::SandboxUnavailable(_) => Code::SandboxUnavailable,
            Refusal::RootRefused => Code::RootRefused,
        };
        let mut message = refusal.to_string();
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        message.push('.');
        ApiError::new(code, message)
    }
}
