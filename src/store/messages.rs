//! Stub.
#![expect(missing_docs, reason = "stub")]
use super::*;
use crate::clock::WallMs;
use serde::Serialize;
pub struct MessageRow {
    pub client_id: Arc<str>,
    pub platform: String,
    pub conversation_id: Option<String>,
    pub assistant_message_id: String,
    pub raw_text: Arc<str>,
    pub raw_length: i64,
    pub digest: [u8; 32],
    pub observed_at: WallMs,
    pub received_at: WallMs,
}
pub struct Filter {
    pub platform: Option<String>,
    pub conversation_id: Option<String>,
    pub before: Option<i64>,
    pub limit: i64,
    pub bytes_max: i64,
}
#[derive(Serialize)]
pub struct StoredMessage {}
pub struct Page {
    pub messages: Vec<StoredMessage>,
    pub next_before: Option<i64>,
}
pub fn list(_: &mut SqliteConnection, _: &Filter) -> Result<Page, StoreError> {
    Ok(Page { messages: vec![], next_before: None })
}
