//! Final messages: complete answers as the extensions observed them, each once.

#[cfg(test)]
pub(crate) mod tests;

use super::{
    StoreError,
    query::{BindValue, SqlStatement},
};
pub use crate::api::messages::StoredMessage;
use crate::clock::WallMs;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use std::{fmt, sync::Arc};

/// A message to be written. Times are Unix milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The client that observed it.
    pub client_id: Arc<str>,
    /// Platform.
    pub platform: String,
    /// Conversation.
    pub conversation_id: Option<String>,
    /// Id of the message.
    pub assistant_message_id: String,
    /// The whole text.
    pub raw_text: Arc<str>,
    /// Length of the text in characters.
    pub raw_length: i64,
    /// Digest of the text, which distinguishes versions of a message.
    pub digest: [u8; 32],
    /// Time of observation.
    pub observed_at: WallMs,
    /// Time of the report.
    pub received_at: WallMs,
}

impl fmt::Debug for MessageRow {
    /// Omits the text, which must not appear in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRow")
            .field("client_id", &self.client_id)
            .field("platform", &self.platform)
            .field("conversation_id", &self.conversation_id)
            .field("assistant_message_id", &self.assistant_message_id)
            .field("raw_length", &self.raw_length)
            .field("observed_at", &self.observed_at)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

/// Filter for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only this platform.
    pub platform: Option<String>,
    /// Only this conversation; empty: messages without one.
    pub conversation_id: Option<String>,
    /// Only messages with a smaller number.
    pub before: Option<i64>,
    /// Most messages to return.
    pub limit: i64,
    /// Most bytes of text in total; at least one message is returned.
    pub bytes_max: i64,
}

/// A page of messages, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePage {
    /// Messages of the page.
    pub messages: Vec<StoredMessage>,
    /// Value of `before` for the next page, if there is one.
    pub next_before: Option<i64>,
}

const UPSERT: &str = "\
    INSERT INTO final_messages (client_id, platform, conversation_id, assistant_message_id, digest, raw_length, \
    observed_at, received_at, raw_text) VALUES (?,?,?,?,?,?,?,?,?) \
    ON CONFLICT (platform, conversation_id, assistant_message_id, digest) DO UPDATE SET \
    client_id = excluded.client_id, observed_at = excluded.observed_at, received_at = excluded.received_at";

/// Writes messages in their order; one that is there already keeps its number. The caller has opened the transaction.
pub fn write_all<'a>(
    conn: &mut SqliteConnection,
    rows: impl IntoIterator<Item = &'a MessageRow>,
) -> Result<(), StoreError> {
    for row in rows {
        let values = [
            BindValue::Text(&row.client_id),
            BindValue::Text(&row.platform),
            BindValue::Text(row.conversation_id.as_deref().unwrap_or("")),
            BindValue::Text(&row.assistant_message_id),
            BindValue::Bytes(&row.digest),
            BindValue::Int(row.raw_length),
            BindValue::Int(row.observed_at),
            BindValue::Int(row.received_at),
            BindValue::Text(&row.raw_text),
        ];
        SqlStatement::<()>::new(UPSERT, values).execute(conn)?;
    }
    Ok(())
}

/// The newest messages that pass the filter, newest first.
///
/// The caller gives one snapshot, as [`super::Store::read`] does: the page is chosen before any text is read.
pub fn list(conn: &mut SqliteConnection, filter: &MessageFilter) -> Result<MessagePage, StoreError> {
    let sizes: Vec<(i64, i64)> = sizes_statement(filter).load(conn)?;
    let most = usize::try_from(filter.limit).unwrap_or(0);
    let mut bytes = 0_i64;
    let fitting = sizes.iter().take(most).enumerate().take_while(|(at, (_, size))| {
        bytes = bytes.saturating_add(*size);
        *at == 0 || bytes <= filter.bytes_max
    });
    let count = fitting.count();
    let Some(oldest) = count.checked_sub(1).map(|last| sizes[last].0) else {
        return Ok(MessagePage { messages: Vec::new(), next_before: None });
    };
    let rows: Vec<Row> = texts_statement(filter, oldest).load(conn)?;
    let next_before = (sizes.len() > count).then_some(oldest);
    Ok(MessagePage { messages: rows.into_iter().map(stored).collect(), next_before })
}

type Columns = (BigInt, Text, Text, Text, Text, BigInt, BigInt, BigInt, Text);
type Row = (i64, String, String, String, String, i64, WallMs, WallMs, String);

fn sizes_statement(filter: &MessageFilter) -> SqlStatement<'_, (BigInt, BigInt)> {
    let (index, narrowed, mut binds) = narrow(filter);
    let sql = format!(
        "SELECT id, octet_length(raw_text) FROM final_messages {index} WHERE {narrowed} ORDER BY id DESC LIMIT ?"
    );
    // One more row shows whether there is another page.
    binds.push(BindValue::Int(filter.limit.max(0).saturating_add(1)));
    SqlStatement::new(sql, binds)
}

fn texts_statement(filter: &MessageFilter, oldest: i64) -> SqlStatement<'_, Columns> {
    let (index, narrowed, mut binds) = narrow(filter);
    let sql = format!(
        "SELECT id, client_id, platform, conversation_id, assistant_message_id, raw_length, observed_at, \
         received_at, raw_text FROM final_messages {index} WHERE {narrowed} AND id >= ? ORDER BY id DESC"
    );
    binds.push(BindValue::Int(oldest));
    SqlStatement::new(sql, binds)
}

/// The index to use, the conditions and their values.
fn narrow(filter: &MessageFilter) -> (&'static str, String, Vec<BindValue<'_>>) {
    let index = match (&filter.conversation_id, &filter.platform) {
        (Some(_), _) => "INDEXED BY final_messages_by_conversation",
        (None, Some(_)) => "INDEXED BY final_messages_by_platform",
        (None, None) => "NOT INDEXED", // by id, that is
    };
    let mut sql = "id < ?".to_owned();
    let mut binds = vec![BindValue::Int(filter.before.unwrap_or(i64::MAX))];
    for (condition, value) in
        [(" AND conversation_id = ?", &filter.conversation_id), (" AND platform = ?", &filter.platform)]
    {
        if let Some(value) = value {
            sql.push_str(condition);
            binds.push(BindValue::Text(value));
        }
    }
    (index, sql, binds)
}

fn stored(row: Row) -> StoredMessage {
    let (id, client_id, platform, conversation_id, assistant_message_id, ..) = row;
    let (raw_length, observed_at, received_at, raw_text) = (row.5, row.6, row.7, row.8);
    StoredMessage {
        id,
        client_id,
        platform,
        conversation_id: Some(conversation_id).filter(|id| !id.is_empty()),
        assistant_message_id,
        raw_text,
        raw_length,
        observed_at,
        received_at,
        batch_id: None,
        batch_status: None,
    }
}

/// Deletes messages last received before a time; see [`super::retention::SweepProgress::of_delete`].
pub(super) const EXPIRE: &str = "DELETE FROM final_messages WHERE id IN \
    (SELECT id FROM final_messages WHERE received_at < ? ORDER BY received_at LIMIT ?)";
