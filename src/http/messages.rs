//! `GET /v1/browser/messages`: the final messages that clients saw, with their texts; for the bearer of the token alone.

use super::{
    endpoint::Call,
    error::ApiError,
    paging::{Limit, Rest, before},
    reply::Reply,
};
use crate::store::{
    batches,
    messages::{self, StoredMessage},
};
use serde::Serialize;

const LIMIT: Limit = Limit { default: 20, max: 100 };
/// Bytes of texts in one answer; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

/// A message and what became of its instructions, where it was looked at for such.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    message: StoredMessage,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_status: Option<String>,
}

#[derive(Serialize)]
struct List {
    messages: Vec<Shown>,
    #[serde(flatten)]
    rest: Rest,
}

/// Lists them, newest first.
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    let limit = LIMIT.of(&call)?;
    let filter = messages::MessageFilter {
        platform: call.query(&["platform"]),
        conversation_id: call.query(&["conversation_id", "conversationId"]),
        before: before(&call)?,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes_max: TEXT_BYTES_MAX,
    };
    call.core.later.flush_for_reading().await;
    let read = move |conn: &mut _| {
        let page = messages::list(conn, &filter)?;
        let mut shown = Vec::with_capacity(page.messages.len());
        for message in page.messages {
            let conversation = message.conversation_id.as_deref();
            let batch = batches::of_message(conn, &message.platform, conversation, &message.assistant_message_id)?;
            let (batch_id, batch_status) = batch.map(|batch| (batch.batch_id, batch.status)).unzip();
            shown.push(Shown { message, batch_id, batch_status });
        }
        Ok((shown, page.next_before))
    };
    let (messages, next_before) = call.core.store.read(read).await?;
    let rest = Rest { count: messages.len(), next_before };
    Ok(call.success(&List { messages, rest }))
}
