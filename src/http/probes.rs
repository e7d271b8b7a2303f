//! The probes: liveness, readiness and version.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::ApiReply,
    server_core::ServerCore,
};
use crate::{
    api::service::{ProbeAnswer, ProbeStatus, ProgramVersion},
    host, store,
};

/// `GET /health`, `GET /healthz`.
pub(super) async fn health(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&ProbeAnswer { status: ProbeStatus::Ok }))
}

impl ServerCore {
    /// Returns the faults of the store; empty if it works.
    pub(super) async fn store_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = self.store.read_now(store::ping).await {
            faults.push(format!("the store cannot be read: {error}"));
        }
        if !self.write_behind.healthy() {
            faults.push("the store cannot be written".to_owned());
        }
        faults
    }
}

/// `GET /readyz`.
pub(super) async fn ready(call: ApiCall) -> Result<ApiReply, ApiError> {
    let mut reasons = call.core.store_faults().await;
    let (code, message) = match reasons.is_empty() {
        true => (Code::NotReady, "The service is not ready."),
        false => (Code::StoreUnavailable, "The database cannot be read or written."),
    };
    if !host::limits::can_open_file() {
        reasons.push("no more files can be opened, so no more connections are accepted".to_owned());
    }
    if reasons.is_empty() {
        return Ok(call.success(&ProbeAnswer { status: ProbeStatus::Ready }));
    }
    Err(ApiError::new(code, message).with("reasons", reasons))
}

/// `GET /version`.
pub(super) async fn version(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&ProgramVersion {
        name: "baa-conductor".into(),
        version: crate::VERSION.into(),
        git_commit: crate::GIT_COMMIT.into(),
        protocol: crate::wire::PROTOCOL.into(),
        started_at: call.core.bridge.identity().started_at,
    }))
}
