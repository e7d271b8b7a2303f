//! `GET /v1/browser/messages`: the final messages that clients saw, with their texts; for the bearer of the token alone.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageInfo, PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::store::{
    batches,
    messages::{self, StoredMessage},
};
use serde::Serialize;

const LIMIT: PageLimit = PageLimit { default: 20, max: 100 };
/// Bytes of texts in one answer; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

/// A message and what became of its instructions, where it was looked at for such.
#[derive(Serialize)]
struct MessageView {
    #[serde(flatten)]
    message: StoredMessage,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_status: Option<String>,
}

#[derive(Serialize)]
struct MessageList {
    messages: Vec<MessageView>,
    #[serde(flatten)]
    page_info: PageInfo,
}

/// Lists them, newest first.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let limit = LIMIT.requested(&call)?;
    let filter = messages::MessageFilter {
        platform: call.query(&["platform"]),
        conversation_id: call.query(&["conversation_id", "conversationId"]),
        before: before_cursor(&call)?,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes_max: TEXT_BYTES_MAX,
    };
    call.core.write_behind.flush_for_reading().await;
    let read = move |conn: &mut _| {
        let page = messages::list(conn, &filter)?;
        let mut views = Vec::with_capacity(page.messages.len());
        for message in page.messages {
            let conversation = message.conversation_id.as_deref();
            let batch = batches::of_message(conn, &message.platform, conversation, &message.assistant_message_id)?;
            let (batch_id, batch_status) = batch.map(|batch| (batch.batch_id, batch.status)).unzip();
            views.push(MessageView { message, batch_id, batch_status });
        }
        Ok((views, page.next_before))
    };
    let (messages, next_before) = call.core.store.read(read).await?;
    let page_info = PageInfo { count: messages.len(), next_before };
    Ok(call.success(&MessageList { messages, page_info }))
}
