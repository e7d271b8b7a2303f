//! `GET /v1/browser/requests`: the journal of browser requests.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageInfo, PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::relay::{JournalEntryView, JournalFilter};
use serde::Serialize;

const LIMIT: PageLimit = PageLimit { default: 20, max: 500 };

#[derive(Serialize)]
struct RequestList {
    requests: Vec<JournalEntryView>,
    #[serde(flatten)]
    page_info: PageInfo,
}

/// `GET /v1/browser/requests`.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let (limit, before) = (LIMIT.requested(&call)?, before_cursor(&call)?);
    let outcome = call.query(&["outcome"]);
    if outcome.as_deref().is_some_and(|outcome| !matches!(outcome, "success" | "failure" | "cancelled")) {
        return Err(ApiError::field("outcome", "\"outcome\" must be success, failure or cancelled."));
    }
    let platform = call.query(&["platform"]);
    let filter = JournalFilter { platform, client_id: call.query(&["client_id", "clientId"]), outcome, before, limit };
    let page = call.core.relay.page(filter).await?;
    let page_info = PageInfo { count: page.entries.len(), next_before: page.next_before };
    Ok(call.success(&RequestList { requests: page.entries, page_info }))
}

/// `GET /v1/browser/requests/{request_id}`.
pub(super) async fn one(call: ApiCall) -> Result<ApiReply, ApiError> {
    match call.core.relay.find(call.part("request_id")).await? {
        Some(shown) => Ok(call.success(&shown)),
        None => Err(ApiError::not_found("browser_request", "The journal has no request with this id.")),
    }
}
