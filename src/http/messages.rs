//! `GET /v1/browser/messages`: the final messages that clients saw, with their texts; for the bearer of the token alone.

use super::{endpoint::Call, error::ApiError, query, reply::Reply};
use crate::store::messages::{self, StoredMessage};
use serde::Serialize;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Bytes of texts in one answer; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

#[derive(Serialize)]
struct List {
    messages: Vec<StoredMessage>,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

/// Lists them, newest first.
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let limit = query::limit(&call, LIMIT_DEFAULT, LIMIT_MAX)?;
    let filter = messages::Filter {
        platform: call.query(&["platform"]),
        conversation_id: call.query(&["conversation_id", "conversationId"]),
        before: query::before(&call)?,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes_max: TEXT_BYTES_MAX,
    };
    let page = call.core.messages(filter).await?;
    let count = page.messages.len();
    Ok(call.success(&List { messages: page.messages, count, next_before: page.next_before }))
}
