//! The web app as a value: conversations, and each misbehaviour.

use super::*;

fn ask(app: &mut WebApp, method: &str, path: &str, body: Value) -> AppReply {
    app.reply(&AppCall { method, path, headers: &Value::Null, body: &body, now_ms: 1_700_000_000_000 })
}

fn body(reply: AppReply) -> Value {
    match reply {
        AppReply::Json { status: 200, body, .. } => body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_conversation_is_created_prompted_and_read() {
    let mut app = WebApp::new().with_answer("so be it");
    assert_eq!(body(ask(&mut app, "GET", "/api/organizations", Value::Null))[0]["uuid"], "org-1");
    let made = body(ask(&mut app, "POST", "/api/organizations/org-1/chat_conversations", json!({})));
    let path = format!("/api/organizations/org-1/chat_conversations/{}", made["uuid"].as_str().unwrap());
    let AppReply::Stream { events, end: StreamEnd::Normal, .. } =
        ask(&mut app, "POST", &format!("{path}/completion"), json!({"prompt": "well?"}))
    else {
        panic!("a completion streams");
    };
    let text: String = events.iter().filter_map(|e| e.data["completion"].as_str()).collect();
    assert_eq!(text, "so be it");
    assert!(events.iter().all(|e| e.event == "completion" && e.pause == Duration::from_millis(30)));
    let read = body(ask(&mut app, "GET", &path, Value::Null));
    assert_eq!(read["chat_messages"][0]["text"], "well?");
    assert_eq!(read["chat_messages"][1]["text"], "so be it");
    let listed = body(ask(&mut app, "GET", "/api/organizations/org-1/chat_conversations", Value::Null));
    assert_eq!(listed[0]["uuid"], made["uuid"], "the newest comes first");
}

#[test]
fn lists_have_the_configured_position_and_one_conversation_may_be_current() {
    let list = json!([{"uuid": "b", "name": "Conversation b", "created_at": "1970-01-01T00:00:00.001+00:00",
            "updated_at": "1970-01-01T00:00:00.001+00:00"},
        {"uuid": "a", "name": "Conversation a", "created_at": "1970-01-01T00:00:00+00:00",
            "updated_at": "1970-01-01T00:00:00+00:00", "is_current": true}]);
    let path = "/api/organizations/org-1/chat_conversations";
    for (lists, wanted) in [
        (ListShape::Bare, list.clone()),
        (ListShape::Named, json!({"chat_conversations": list})),
        (ListShape::Items, json!({"items": list})),
        (ListShape::NamedData, json!({"data": {"chat_conversations": list}})),
    ] {
        let mut app = WebApp::new().with_lists(lists).with_conversations(&["a", "b"], Some("a"));
        assert_eq!(body(ask(&mut app, "GET", path, Value::Null)), wanted, "{lists:?}");
    }
    let mut none = WebApp::new().with_lists(ListShape::Data).with_conversations(&[], None);
    assert_eq!(body(ask(&mut none, "GET", path, Value::Null)), json!({"data": []}));
    assert_eq!(body(ask(&mut none, "POST", path, json!({})))["data"]["chat_conversation"]["uuid"], "conv-1");
}

#[test]
fn the_newer_shape_streams_words_in_blocks() {
    let mut app = WebApp::new().with_answer("two words").with_shape(CompletionShape::Blocks);
    let path = "/api/organizations/org-1/chat_conversations/conv-1/completion";
    let AppReply::Stream { events, .. } = ask(&mut app, "POST", path, json!("{\"prompt\": \"as text\"}")) else {
        panic!()
    };
    let names: Vec<&str> = events.iter().map(|e| e.event.as_str()).collect();
    let delta = "content_block_delta";
    assert_eq!(
        names,
        ["message_start", "content_block_start", delta, delta, "content_block_stop", "message_delta", "message_stop"]
    );
    assert!(events[2].raw().starts_with("event: content_block_delta\ndata: {"));
}

#[test]
fn unknown_paths_and_excessive_sizes_are_not_found() {
    let mut app = WebApp::new();
    for path in [
        "/",
        "/nowhere",
        "/status/many",
        "/bytes/999999999999",
        "/events/1000000",
        "/events/100000?bytes=100000",
        "/malformed?kind=other",
        "/api/organizations/org-2/chat_conversations",
        "/api/organizations/org-1/chat_conversations/none",
    ] {
        assert!(matches!(ask(&mut app, "GET", path, Value::Null), AppReply::Json { status: 404, .. }), "{path}");
    }
}

#[test]
fn each_path_has_its_misbehaviour() {
    let mut app = WebApp::new();
    let mut get = |path: &str| ask(&mut app, "GET", path, Value::Null);
    assert_eq!(get("/silence"), AppReply::Silence);
    assert_eq!(get("/disconnect"), AppReply::Disconnect);
    assert!(
        matches!(get("/disconnect?after=2"), AppReply::Stream { events, end: StreamEnd::Disconnect, .. } if events.len() == 2)
    );
    assert_eq!(get("/bytes/3"), AppReply::Text { status: 200, body: "xxx".to_owned() });
    assert!(
        matches!(get("/status/429?retry_after=7"), AppReply::Json { status: 429, headers, .. } if headers[0].1 == "7")
    );
    assert_eq!(get("/error/tab_unavailable"), AppReply::Error { code: "tab_unavailable".to_owned(), status: None });
    assert!(matches!(get("/slow?ms=5"), AppReply::After { pause, .. } if pause == Duration::from_millis(5)));
    assert!(matches!(get("/malformed"), AppReply::Frames { texts, .. } if texts.len() == 4));
    let AppReply::Stream { events, end, .. } = get("/events/3?bytes=4&pause_ms=9&end=never") else { panic!() };
    assert_eq!((events.len(), end), (3, StreamEnd::Never));
    assert_eq!((events[2].data["pad"].as_str(), events[2].pause), (Some("xxxx"), Duration::from_millis(9)));
    let AppReply::Stream { events, .. } = get("/wrong-seq") else { panic!() };
    assert_eq!(events.iter().map(|e| e.seq.unwrap()).collect::<Vec<_>>(), [1, 3, 2, 3, 5]);
    let long = body(get("/json/262144")).to_string().len();
    assert!((250_000..280_000).contains(&long), "{long}");
}
