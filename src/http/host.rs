//! `/v1/exec` and `/v1/files`: commands and files of this machine, for the bearer of the token.

use super::{
    endpoint::Call,
    error::{ApiError, Code},
    reply::{Reply, Success, Waiting},
};
use crate::{
    host::{Origin, Outcome, Presence, Refusal, input},
    wire::BadField,
};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// `POST /v1/exec`. The command ends when its caller goes away.
pub(super) async fn exec(call: Call) -> Result<Reply, ApiError> {
    let exec = read(&call, input::exec)?;
    let (host, stop) = (call.core.host.clone(), CancellationToken::new());
    let presence = host.presence();
    let _leaves = stop.clone().drop_guard();
    // On its own, so that it is carried to its end also when nobody waits for that any more.
    let running = actix_web::rt::spawn(async move { host.exec(exec, Origin::Operator, &stop).await });
    answer(call, running.await.map_err(|_| failed())?, presence).await
}

/// `POST /v1/files/read`.
pub(super) async fn files_read(call: Call) -> Result<Reply, ApiError> {
    let file = read(&call, input::files_read)?;
    let presence = call.core.host.presence();
    let done = call.core.host.read(file, Origin::Operator).await;
    answer(call, done, presence).await
}

/// `POST /v1/files/write`.
pub(super) async fn files_write(call: Call) -> Result<Reply, ApiError> {
    let file = read(&call, input::files_write)?;
    let presence = call.core.host.presence();
    let done = call.core.host.write(file, Origin::Operator).await;
    answer(call, done, presence).await
}

fn read<T>(call: &Call, input: fn(&Map<String, Value>) -> Result<T, BadField>) -> Result<T, ApiError> {
    // The one reading of every body says what is wrong with one that is no object.
    call.fields()?;
    let fields = serde_json::from_str(&call.body)
        .map_err(|_| ApiError::new(Code::InvalidRequest, "The body holds a number that is out of range."))?;
    Ok(input(&fields)?)
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
