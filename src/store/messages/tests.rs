//! Final messages on a database in memory.

use super::*;
use crate::store::{memory, retention::SweepProgress};

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

fn all() -> MessageFilter {
    MessageFilter { platform: None, conversation_id: None, before: None, limit: 100, bytes_max: 1 << 20 }
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
        batch_id: None,
        batch_status: None,
    };
    assert_eq!(page, MessagePage { messages: vec![expected], next_before: None });
}

fn names(page: &MessagePage) -> Vec<&str> {
    page.messages.iter().map(|message| &*message.assistant_message_id).collect()
}

#[test]
fn the_same_message_again_keeps_its_number_and_says_who_saw_it_last() {
    let conn = &mut memory();
    let again = MessageRow { client_id: "firefox-b".into(), ..message("m1", "text", 30) };
    write_all(conn, [&message("m1", "text", 10), &message("m2", "text", 20), &again]).unwrap();
    let page = list(conn, &all()).unwrap();
    assert_eq!(names(&page), ["m2", "m1"]);
    let first = &page.messages[1];
    assert_eq!((first.id, &*first.client_id, first.observed_at, first.received_at), (1, "firefox-b", 29, 30));
}

#[test]
fn another_text_conversation_or_platform_is_another_message() {
    let conn = &mut memory();
    let of = |platform: &str, conversation: Option<&str>, text| MessageRow {
        platform: platform.into(),
        conversation_id: conversation.map(str::to_owned),
        ..message("m", text, 1)
    };
    let rows = [
        of("claude", Some("c1"), "text"),
        of("claude", Some("c1"), "other"),
        of("claude", Some("c2"), "text"),
        of("claude", None, "text"),
        of("kimi", None, "text"),
        of("kimi", None, "text"),
    ];
    write_all(conn, &rows).unwrap();
    let page = list(conn, &all()).unwrap();
    let conversations: Vec<_> = page.messages.iter().map(|message| message.conversation_id.as_deref()).collect();
    assert_eq!(conversations, [None, None, Some("c2"), Some("c1"), Some("c1")]);
    let mut find =
        |filter: MessageFilter| list(conn, &filter).unwrap().messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(find(MessageFilter { platform: Some("kimi".into()), ..all() }), [5]);
    assert_eq!(find(MessageFilter { conversation_id: Some("c1".into()), ..all() }), [2, 1]);
    assert_eq!(find(MessageFilter { conversation_id: Some("".into()), ..all() }), [5, 4]);
    let both = MessageFilter { conversation_id: Some("".into()), platform: Some("claude".into()), ..all() };
    assert_eq!(find(both), [4]);
}

#[test]
fn pages_end_at_the_limit_and_go_on_with_before() {
    let conn = &mut memory();
    let rows: Vec<_> = (1..=5).map(|at| message(&format!("m{at}"), "text", at)).collect();
    write_all(conn, &rows).unwrap();
    let mut page = |before, limit| {
        let page = list(conn, &MessageFilter { before, limit, ..all() }).unwrap();
        (names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>(), page.next_before)
    };
    assert_eq!(page(None, 2), (vec!["m5".into(), "m4".into()], Some(4)));
    assert_eq!(page(Some(4), 2), (vec!["m3".into(), "m2".into()], Some(2)));
    assert_eq!(page(Some(2), 2), (vec!["m1".into()], None));
    assert_eq!(page(None, 5).1, None, "exactly all");
    assert_eq!((page(Some(1), 2), page(None, 0)), ((vec![], None), (vec![], None)));
}

#[test]
fn a_page_ends_early_when_its_texts_get_too_long_but_has_one() {
    let conn = &mut memory();
    let texts = ["aaaa", "ääääää", "b", "cccccccccccc", "dd"];
    let rows: Vec<_> = texts.iter().zip(1..).map(|(text, at)| message(&format!("m{at}"), text, at)).collect();
    write_all(conn, &rows).unwrap();
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = list(conn, &MessageFilter { before, bytes_max: 13, ..all() }).unwrap();
        pages.push(names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>());
        before = page.next_before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["m5"], vec!["m4", "m3"], vec!["m2"], vec!["m1"]], "bytes are counted, not characters");
}

#[test]
fn the_text_does_not_show_in_debug() {
    let conn = &mut memory();
    let row = message("m1", "secret", 1);
    write_all(conn, [&row]).unwrap();
    let shown = format!("{row:?} {:?}", list(conn, &all()).unwrap());
    assert!(shown.contains("m1") && !shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[test]
fn messages_expire_by_when_they_were_last_received() {
    let conn = &mut memory();
    let rows: Vec<_> = (1..=5).map(|at| message(&format!("m{at}"), "text", at * 10)).collect();
    write_all(conn, rows.iter().chain([&message("m1", "text", 60)])).unwrap();
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 50, 2).unwrap(), SweepProgress { deleted: 2, next: Some(0) });
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 50, 2).unwrap(), SweepProgress { deleted: 1, next: Some(0) });
    assert_eq!(SweepProgress::of_delete(conn, EXPIRE, 50, 2).unwrap(), SweepProgress::default());
    assert_eq!(names(&list(conn, &all()).unwrap()), ["m5", "m1"]);
}

#[test]
fn every_list_is_found_in_an_index() {
    let value = |on: bool| on.then(|| "x".to_owned());
    for (platform, conversation, index) in [
        (false, false, "INTEGER PRIMARY KEY ("),
        (true, false, "INDEX final_messages_by_platform (platform=? AND rowid"),
        (false, true, "INDEX final_messages_by_conversation (conversation_id=? AND rowid"),
        (true, true, "INDEX final_messages_by_conversation (conversation_id=? AND rowid"),
    ] {
        let filter = MessageFilter { platform: value(platform), conversation_id: value(conversation), ..all() };
        for plan in [sizes_statement(&filter).plan(&mut memory()), texts_statement(&filter, 1).plan(&mut memory())] {
            assert!(
                plan.starts_with("SEARCH final_messages USING") && plan.contains(index) && plan.contains("rowid<?"),
                "{plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
