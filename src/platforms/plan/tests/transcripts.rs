//! What is read of a conversation.

use super::*;

fn chosen() -> ResolvedLocation {
    let organization = Organization { organization_id: id("o1"), name: None };
    ResolvedLocation { organization, conversation: Conversation::from(id("c1")) }
}

fn read(body: &Value) -> Result<Transcript, PlanError> {
    Transcript::read(&RawJson::of(body), chosen())
}

/// The text of a message with this content.
fn content(content: &Value) -> String {
    let message = json!({"sender": "assistant", "content": content});
    read(&json!({"chat_messages": [message]})).unwrap().messages.remove(0).content
}

#[test]
fn a_conversation_is_shown_with_its_messages() {
    let messages = json!([
        {"uuid": "m1", "sender": "human", "text": "", "content": [{"type": "text", "text": "Rivers?"}], "created_at": 5},
        {"uuid": "m2", "sender": "assistant", "text": "Elbe", "content": [], "createdAt": "1970-01-01T00:00:06Z"},
        {"id": "m3", "role": "user", "content": "Thanks"},
        {"role": "assistant", "text": "Welcome"},
    ]);
    let body = json!({"uuid": "c1", "name": "Rivers", "updated_at": 7, "chat_messages": messages});
    let shown = json!({
        "conversation": {"conversation_id": "c1", "title": "Rivers", "created_at": null, "updated_at": 7_000},
        "messages": [
            {"id": "m1", "role": "user", "content": "Rivers?", "created_at": 5_000},
            {"id": "m2", "role": "assistant", "content": "Elbe", "created_at": 6_000},
            {"id": "m3", "role": "user", "content": "Thanks", "created_at": null},
            {"id": null, "role": "assistant", "content": "Welcome", "created_at": null},
        ],
    });
    for body in
        [&body, &json!(body.to_string()), &json!({"conversation": body}), &json!({"data": {"chat_conversation": body}})]
    {
        assert_eq!(serde_json::to_value(read(body).unwrap()).unwrap(), shown, "{body}");
    }
    let apart = json!({"conversation": {"uuid": "c1", "name": "Rivers", "updated_at": 7}, "messages": messages});
    assert_eq!(serde_json::to_value(read(&apart).unwrap()).unwrap(), shown);
}

#[test]
fn what_is_told_of_another_conversation_is_not_taken_for_the_chosen_one() {
    let transcript = read(&json!({"uuid": "c2", "name": "Other", "chat_messages": []})).unwrap();
    assert_eq!(transcript, Transcript { conversation: chosen().conversation, messages: Vec::new() });
}

#[test]
fn nested_content_is_joined_and_what_is_no_text_left_out() {
    for (nested, text) in [
        (json!("a"), "a"),
        (json!(["a", "b"]), "ab"),
        (
            json!([{"type": "text", "text": "a"}, {"text": "b"}, {"type": "text", "content": ["c", {"text": "d"}]}]),
            "abcd",
        ),
        (json!({"parts": ["a", "b"]}), "ab"),
        (json!([{"type": "text", "text": {"text": "a"}}]), "a"),
        (json!([{"type": "thinking", "thinking": "hm", "text": "no"}, {"type": "text", "text": "a"}]), "a"),
        (
            json!([{"text": "a"}, {"type": "tool_use", "input": {}}, {"type": "tool_result", "content": ["no"]}, {"text": "b"}]),
            "a\n\nb",
        ),
        (json!([7, null, true, {}, {"type": "text"}]), ""),
        (json!({"type": 7, "text": "a"}), "a"),
    ] {
        assert_eq!(content(&nested), text, "{nested}");
    }
    let deep = |levels| (0..levels).fold(json!("deep"), |inner, _| json!([inner]));
    assert_eq!((content(&deep(7)), content(&deep(8))), ("deep".to_owned(), String::new()));
    let body = format!(
        r#"{{"chat_messages":[{{"sender":"human","content":{}1{}}}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(Transcript::read(&RawJson::trusted(body), chosen()).unwrap().messages[0].content, "");
}

#[test]
fn each_message_is_there_once_and_others_voices_not_at_all() {
    let said =
        |id: Option<&str>, text: &str, at: i64| json!({"id": id, "role": "user", "text": text, "created_at": at});
    let list = json!([
        said(Some("a"), "first", 1),
        said(Some("b"), "first", 1),
        said(Some("a"), "again", 2),
        said(None, "yes", 3),
        said(None, "yes", 3),
        said(None, "yes", 4),
        {"role": "assistant", "text": "yes", "created_at": 3},
        {"role": "system", "text": "no"},
        {"sender": "HUMAN", "text": "no"},
        {"text": "without an author"},
        7,
    ]);
    let messages = read(&json!({"messages": list})).unwrap().messages;
    let texts: Vec<_> = messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["first", "first", "yes", "yes", "yes"]);
}

#[test]
fn without_messages_that_are_understood_there_is_no_transcript() {
    for body in [
        json!(null),
        json!("text"),
        json!([]),
        json!({"uuid": "c1"}),
        json!({"chat_messages": {}}),
        json!({"chat_messages": [{"who": "human", "says": "hi"}]}),
        json!("{\"chat_messages\": [1, "),
    ] {
        assert_eq!(read(&body), Err(UnusableAnswer::NoMessages.into()), "{body}");
    }
    assert!(read(&json!({"chat_messages": []})).unwrap().messages.is_empty(), "an empty conversation is one");
}
