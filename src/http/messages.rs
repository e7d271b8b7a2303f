//! `GET /v1/browser/messages`: the final messages that clients observed, with their texts. Requires the token.

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
/// Most bytes of texts in one page; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

/// A message, with the batch of its instructions if there is one.
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

/// `GET /v1/browser/messages`, newest first.
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
