//! `GET /v1/browser/messages`: the final messages that clients saw, with their texts; for the bearer of the token alone.

use super::{
    endpoint::Call,
    error::ApiError,
    paging::{Limit, Rest, before},
    reply::Reply,
};
use crate::store::messages::{self, StoredMessage};
use serde::Serialize;

const LIMIT: Limit = Limit { default: 20, max: 100 };
/// Bytes of texts in one answer; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

#[derive(Serialize)]
struct List {
    messages: Vec<StoredMessage>,
    #[serde(flatten)]
    rest: Rest,
}

/// Lists them, newest first.
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let limit = LIMIT.of(&call)?;
    let filter = messages::Filter {
        platform: call.query(&["platform"]),
        conversation_id: call.query(&["conversation_id", "conversationId"]),
        before: before(&call)?,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes_max: TEXT_BYTES_MAX,
    };
    call.core.later.flush_for_reading().await;
    let page = call.core.store.read(move |conn| messages::list(conn, &filter)).await?;
    let rest = Rest { count: page.messages.len(), next_before: page.next_before };
    Ok(call.success(&List { messages: page.messages, rest }))
}
