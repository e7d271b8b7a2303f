//! Which shapes a list may have and which of its entries is chosen.

use super::*;

/// The organization that is chosen from this answer.
fn organization(body: &Value, wanted: Option<&str>) -> Result<String, PlanError> {
    let answers = [body.clone()];
    let (_, ended) = drive(prompt(asked(wanted, Some("c"))), None, &answers);
    ended.map(|chosen| chosen.unwrap().organization.organization_id.to_string())
}

/// The conversation that is chosen from this answer.
fn conversation(body: &Value) -> Result<Conversation, PlanError> {
    let (_, ended) = drive(current(asked(None, None)), None, &[organizations(), body.clone()]);
    ended.map(|chosen| chosen.unwrap().conversation)
}

fn conversation_id(body: &Value) -> Result<String, PlanError> {
    conversation(body).map(|conversation| conversation.conversation_id.to_string())
}

#[test]
fn a_list_stands_at_the_root_or_under_one_of_its_names() {
    let list = json!([{"id": "x"}]);
    let mut shapes = vec![list.clone(), json!(list.to_string()), json!(format!("\n {{\"items\":{list}}} "))];
    for name in ["items", "entries", "data"] {
        shapes.push(json!({ name: list }));
        shapes.push(json!({"data": { name: list }}));
    }
    shapes.push(json!({"organizations": null, "conversations": 7, "items": "no", "entries": list}));
    for shape in &shapes {
        assert_eq!(organization(shape, None).as_deref(), Ok("x"), "{shape}");
        assert_eq!(conversation_id(shape).as_deref(), Ok("x"), "{shape}");
    }
    for (name, organizations, conversations) in
        [("organizations", true, false), ("chat_conversations", false, true), ("conversations", false, true)]
    {
        for shape in [json!({ name: list }), json!({"data": { name: list }})] {
            assert_eq!(organization(&shape, None).is_ok(), organizations, "{shape}");
            assert_eq!(conversation_id(&shape).is_ok(), conversations, "{shape}");
        }
    }
    let broken = json!("[{\"id\": \"x\"}, ");
    let deeper = json!({"data": {"data": {"data": list}}});
    for shape in [json!(null), json!(7), json!("text"), json!({}), json!({"other": list}), deeper, broken] {
        assert_eq!(organization(&shape, None), Err(UnusableAnswer::NoOrganizations.into()), "{shape}");
        assert_eq!(conversation_id(&shape), Err(UnusableAnswer::NoConversations.into()), "{shape}");
    }
}

#[test]
fn ids_and_names_have_several_spellings_and_the_first_usable_one_counts() {
    for (entry, found) in [
        (json!({"uuid": "u", "id": "i", "organization_uuid": "ou"}), "u"),
        (json!({"uuid": null, "id": "i", "organization_uuid": "ou"}), "i"),
        (json!({"uuid": 7, "id": "", "organization_uuid": "ou"}), "ou"),
        (json!({"uuid": "..", "organizationId": "oi"}), "oi"),
    ] {
        assert_eq!(organization(&json!([entry]), None).as_deref(), Ok(found), "{entry}");
    }
    for (entry, found) in [
        (json!({"uuid": "u", "id": "i"}), "u"),
        (json!({"conversation_uuid": "cu", "chat_conversation_uuid": "ccu"}), "cu"),
        (json!({"id": "a\nb", "chat_conversation_uuid": "ccu"}), "ccu"),
    ] {
        assert_eq!(conversation_id(&json!([entry])).as_deref(), Ok(found), "{entry}");
    }
    for (entry, found) in [
        (json!({"name": "n", "title": "t", "summary": "s"}), Some("n")),
        (json!({"name": " ", "title": "\u{a0}t\n", "summary": "s"}), Some("t")),
        (json!({"name": 7, "summary": "s"}), Some("s")),
        (json!({"slug": "not a conversation's"}), None),
    ] {
        let mut entry = entry;
        entry["id"] = json!("x");
        assert_eq!(conversation(&json!([entry])).unwrap().title.as_deref(), found, "{entry}");
    }
    let named = |entry: Value| drive(prompt(asked(None, Some("c"))), None, &[json!([entry])]).1;
    for (name, shown) in [("name", Some("ü")), ("display_name", Some("ü")), ("slug", Some("ü")), ("title", None)] {
        let chosen = named(json!({"uuid": "x", name: "ü"})).unwrap().unwrap();
        assert_eq!(chosen.organization.name.as_deref(), shown, "{name}");
    }
    let long = conversation(&json!([{"id": "x", "name": "ü".repeat(100_000)}])).unwrap().title.unwrap();
    assert_eq!(long, "ü".repeat(512), "what people read is cut, never inside a character");
}

#[test]
fn the_asked_for_organization_counts_then_the_marked_one_then_the_first() {
    let plain = json!([{"id": "a"}, {"id": "b"}]);
    assert_eq!(organization(&plain, None).as_deref(), Ok("a"));
    assert_eq!(organization(&plain, Some("b")).as_deref(), Ok("b"));
    for mark in ["is_default", "default", "selected", "active"] {
        let marked = json!([{"id": "a", mark: false}, {"name": "no id", mark: true}, {"id": "b", mark: true}, {"id": "c", mark: true}]);
        assert_eq!(organization(&marked, None).as_deref(), Ok("b"), "{mark}");
        assert_eq!(organization(&marked, Some("a")).as_deref(), Ok("a"), "{mark}");
    }
    let odd = json!([7, null, [], {"id": "a", "active": "true"}, {"id": "b", "current": true}]);
    assert_eq!(organization(&odd, None).as_deref(), Ok("a"), "what is no entry is passed over");
}

#[test]
fn the_marked_conversation_counts_then_the_newest() {
    for mark in ["is_current", "current", "selected", "active"] {
        let marked = json!([{"id": "a", "updated_at": 9}, {"id": "b", mark: true}, {"id": "c", mark: true}]);
        assert_eq!(conversation_id(&marked).as_deref(), Ok("b"), "{mark}");
    }
    for (list, newest) in [
        (json!([{"id": "a"}, {"id": "b"}]), "a"),
        (json!([{"id": "a", "updated_at": 1}, {"id": "b", "updated_at": 3}, {"id": "c", "updated_at": 2}]), "b"),
        (json!([{"id": "a", "updated_at": 2}, {"id": "b", "updated_at": 2}]), "a"),
        (json!([{"id": "a"}, {"id": "b", "created_at": 1}]), "b"),
        (json!([{"id": "a", "created_at": 5}, {"id": "b", "created_at": 1, "updated_at": 4}]), "a"),
        (json!([{"id": "a", "created_at": 9, "updated_at": 1}, {"id": "b", "updated_at": 2}]), "b"),
        (json!([{"id": "a", "updated_at": "2025-06-29T12:00:00Z"}, {"id": "b", "updated_at": 1_751_198_401}]), "b"),
        (json!([{"id": "a", "lastUpdatedAt": 1}, {"id": "b", "last_updated_at": 2}]), "b"),
        (json!([{"id": "a", "updatedAt": 1}, {"id": "b", "insertedAt": 2}]), "b"),
        (json!([{"id": "a", "inserted_at": 1}, {"id": "b", "createdAt": 2, "updated_at": "never"}]), "b"),
        (json!([{"name": "no id", "updated_at": 9}, {"id": "b"}]), "b"),
    ] {
        assert_eq!(conversation_id(&list).as_deref(), Ok(newest), "{list}");
    }
}

#[test]
fn a_new_conversation_is_found_in_each_known_field() {
    let one = json!({"uuid": "n", "name": ""});
    for (body, found) in [
        (one.clone(), Some("n")),
        (json!({"chat_conversation": one}), Some("n")),
        (json!({"conversation": one, "uuid": "other"}), Some("n")),
        (json!({"data": {"chat_conversation": one}}), Some("n")),
        (json!({"data": {"conversation": one}, "id": "other"}), Some("n")),
        (json!({"conversation": {"name": "no id"}, "id": "n"}), Some("n")),
        (json!(one.to_string()), Some("n")),
        (json!([one]), None),
        (json!(null), None),
        (json!({"conversation": [one]}), None),
        (json!({"uuid": ".."}), None),
    ] {
        let (_, ended) = drive(prompt(asked(None, None)), None, &[organizations(), json!([]), body.clone()]);
        let id = ended.map(|chosen| chosen.unwrap().conversation.conversation_id.to_string());
        assert_eq!(id, found.map(str::to_owned).ok_or(UnusableAnswer::NotCreated.into()), "{body}");
    }
}
