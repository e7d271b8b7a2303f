//! `GET /v1/browser/requests`: the journal of browser requests.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::{api::journal::JournalParameters, relay::JournalFilter};

const LIMIT: PageLimit = PageLimit { default: 20, max: 500 };

/// `GET /v1/browser/requests`.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let (limit, before) = (LIMIT.requested(&call)?, before_cursor(&call)?);
    let outcome = call.query(JournalParameters::outcome());
    if outcome.as_deref().is_some_and(|outcome| !matches!(outcome, "success" | "failure" | "cancelled")) {
        return Err(ApiError::field("outcome", "\"outcome\" must be success, failure or cancelled."));
    }
    let platform = call.query(JournalParameters::platform());
    let client_id = call.query(JournalParameters::client_id());
    let filter = JournalFilter { platform, client_id, outcome, before, limit };
    Ok(call.success(&call.core.relay.page(filter).await?))
}

/// `GET /v1/browser/requests/{request_id}`.
pub(super) async fn one(call: ApiCall) -> Result<ApiReply, ApiError> {
    match call.core.relay.find(call.part("request_id")).await? {
        Some(shown) => Ok(call.success(&shown)),
        None => Err(ApiError::not_found("browser_request", "The journal has no request with this id.")),
    }
}
