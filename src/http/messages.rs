//! `GET /v1/browser/messages`: the final messages that clients observed, with their texts. Requires the token.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageInfo, PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::{
    api::messages::{MessageList, MessageListParameters},
    store::{batches, messages},
};

const LIMIT: PageLimit = PageLimit { default: 20, max: 100 };
/// Most bytes of texts in one page; a single message may be longer.
const TEXT_BYTES_MAX: i64 = 8 << 20;

/// `GET /v1/browser/messages`, newest first.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let limit = LIMIT.requested(&call)?;
    let filter = messages::MessageFilter {
        platform: call.query(MessageListParameters::platform()),
        conversation_id: call.query(MessageListParameters::conversation_id()),
        before: before_cursor(&call)?,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes_max: TEXT_BYTES_MAX,
    };
    call.core.write_behind.flush_for_reading().await;
    let read = move |conn: &mut _| {
        let mut page = messages::list(conn, &filter)?;
        for message in &mut page.messages {
            let conversation = message.conversation_id.as_deref();
            let batch = batches::of_message(conn, &message.platform, conversation, &message.assistant_message_id)?;
            (message.batch_id, message.batch_status) = batch.map(|batch| (batch.batch_id, batch.status)).unzip();
        }
        Ok(page)
    };
    let messages::MessagePage { messages, next_before } = call.core.store.read(read).await?;
    let page_info = PageInfo { count: messages.len(), next_before };
    Ok(call.success(&MessageList { messages, page_info }))
}
