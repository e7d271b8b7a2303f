//! Final messages on a database in memory.

use super::*;
use crate::store::memory;

/// A message of a conversation.
pub(crate) fn message(name: &str, text: &str, received_at: WallMs) -> MessageRow {
    MessageRow {
        client_id: "firefox-a".into(),
        platform: "claude".into(),
        conversation_id: Some("c1".into()),
        assistant_message_id: name.into(),
        raw_text: text.into(),
        raw_length: i64::try_from(text.chars().count()).unwrap(),
        digest: std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(0)),
        observed_at: received_at - 1,
        received_at,
    }
}

fn all() -> Filter {
    Filter { platform: None, conversation_id: None, before: None, limit: 100, bytes_max: 1 << 20 }
}

#[test]
fn a_message_comes_back_as_it_was_told() {
    let conn = &mut memory();
    write_all(conn, [&message("m1", "grüße", 10)]).unwrap();
    let page = list(conn, &all()).unwrap();
    let expected = StoredMessage {
        id: 1,
        client_id: "firefox-a".into(),
        platform: "claude".into(),
        conversation_id: Some("c1".into()),
        assistant_message_id: "m1".into(),
        raw_text: "grüße".into(),
        raw_length: 5,
        observed_at: 9,
        received_at: 10,
    };
    assert_eq!(page, Page { messages: vec![expected], next_before: None });
}
