//! Probes: whether the process serves, whether it is ready, what it is.

use super::{
    endpoint::Call,
    error::{ApiError, Code},
    reply::Reply,
    server::Core,
};
use crate::{host, store};
use serde::Serialize;

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// `GET /health`, `GET /healthz`.
pub(super) async fn health(call: Call) -> Result<Reply, ApiError> {
    Ok(call.success(&Status { status: "ok" }))
}

impl Core {
    /// Why the store does not do its work; nothing when it does.
    pub(super) async fn store_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = self.store.read_now(store::ping).await {
            faults.push(format!("the store cannot be read: {error}"));
        }
        if !self.later.healthy() {
            faults.push("the store cannot be written".to_owned());
        }
        faults
    }
}

/// `GET /readyz`.
pub(super) async fn ready(call: Call) -> Result<Reply, ApiError> {
    let mut reasons = call.core.store_faults().await;
    let (code, message) = match reasons.is_empty() {
        true => (Code::NotReady, "The service is not ready."),
        false => (Code::StoreUnavailable, "The database cannot be read or written."),
    };
    if !host::limits::can_open_files() {
        reasons.push("no more files can be opened, so no more connections are accepted".to_owned());
    }
    if reasons.is_empty() {
        return Ok(call.success(&Status { status: "ready" }));
    }
    Err(ApiError::new(code, message).with("reasons", reasons))
}

#[derive(Serialize)]
struct Version<'a> {
    name: &'static str,
    version: &'static str,
    git_commit: &'static str,
    protocol: &'a str,
    started_at: i64,
}

/// `GET /version`.
pub(super) async fn version(call: Call) -> Result<Reply, ApiError> {
    Ok(call.success(&Version {
        name: "baa-conductor",
        version: crate::VERSION,
        git_commit: crate::GIT_COMMIT,
        protocol: crate::wire::PROTOCOL,
        started_at: call.core.bridge.identity().started_at,
    }))
}
