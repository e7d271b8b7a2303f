//! `GET /v1/browser/claude/current`: reads a conversation without creating one, through the policy like every request.

use crate::support::{Connection, Daemon, connect, fault, handled, manual, settled};
use baa_conductor::simulator::{Firefox, FirefoxProfile, SimulatedRequest, WebApp};
use serde_json::{Value, json};
use std::time::Duration;

const CURRENT: &str = "/v1/browser/claude/current";
const CONVERSATIONS: &str = "/api/organizations/org-1/chat_conversations";

/// Sends the request; its response is read later.
async fn look(daemon: &Daemon, query: &str) -> Connection {
    let mut connection = daemon.caller().open().await;
    connection.write(&daemon.caller().head("GET", &format!("{CURRENT}{query}"), None)).await;
    connection
}

async fn step(firefox: &Firefox, path: &str) -> SimulatedRequest {
    let request = firefox.next_request().await.unwrap();
    assert_eq!((request.message()["method"].as_str(), request.path()), (Some("GET"), path));
    request
}

#[actix_rt::test]
async fn the_messages_of_a_conversation_are_read() {
    let daemon = Daemon::start("").await;
    let mut profile = FirefoxProfile::new("ff");
    profile.app = WebApp::new().with_answer("so be it").with_pace(Duration::ZERO);
    let (firefox, caller) = (connect(&daemon, profile).await, daemon.caller());
    caller.request(&json!({"platform": "claude", "prompt": "well?"})).await.data();
    let before = firefox.received_of("api_request").len();
    let answer = caller.get(CURRENT).await;
    assert_eq!(answer.header("deprecation"), None, "it has no newer name");
    let data = answer.data();
    let said: Vec<_> = data["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["role"].as_str(), message["content"].as_str()))
        .collect();
    assert_eq!(said, [(Some("user"), Some("well?")), (Some("assistant"), Some("so be it"))]);
    assert!(data["messages"][0]["id"].is_string() && data["messages"][0]["created_at"].as_i64().unwrap() > 0);
    let path = format!("{CONVERSATIONS}/conv-1");
    assert_eq!(data["conversation"]["conversation_id"], "conv-1");
    assert_eq!(data["organization"], json!({"organization_id": "org-1", "name": "Simulated organization"}));
    assert_eq!((&data["platform"], &data["raw"]["uuid"]), (&json!("claude"), &json!("conv-1")));
    assert_eq!((&data["proxy"]["path"], &data["proxy"]["status"]), (&json!(path), &json!(200)));
    let page = &data["page"];
    assert_eq!((&page["client_id"], &page["credentials"]["platform"]), (&json!("ff"), &json!("claude")));
    assert_eq!((&page["request_hooks"], &page["shell_runtime"]["platform"]), (&Value::Null, &json!("claude")));
    let sent = firefox.received_of("api_request").split_off(before);
    let paths: Vec<_> =
        sent.iter().map(|message| (message["method"].as_str().unwrap(), message["path"].as_str().unwrap())).collect();
    assert_eq!(
        paths,
        [("GET", "/api/organizations"), ("GET", CONVERSATIONS), ("GET", &*path)],
        "nothing is taken from the last choice"
    );
    let entry = caller.journal(data["proxy"]["request_id"].as_str().unwrap()).await;
    assert_eq!((&entry["request_mode"], &entry["outcome"]), (&json!("claude_current"), &json!("success")));
}

#[actix_rt::test]
async fn the_conversation_may_be_named_and_messages_are_listed_once() {
    let daemon = Daemon::start("").await;
    let _first = manual(&daemon, "first").await;
    let other = manual(&daemon, "other").await;
    let mut asked = look(&daemon, "?clientId=other&organizationId=o%202&conversationId=a%2Fb&timeoutMs=60000").await;
    step(&other, "/api/organizations").await.answer(200, json!([{"uuid": "o 1"}, {"uuid": "o 2"}])).await.unwrap();
    let said = |text: &str| json!([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]);
    let messages = json!([
        {"uuid": "m1", "sender": "human", "text": "?", "created_at": "2026-01-01T00:00:00Z"},
        {"uuid": "m2", "sender": "assistant", "content": said("!")},
        {"uuid": "m2", "sender": "assistant", "content": said("!")},
        {"uuid": "m3", "sender": "system", "text": "hidden"},
    ]);
    let detail = step(&other, "/api/organizations/o%202/chat_conversations/a%2Fb").await;
    detail.answer(200, json!({"uuid": "a/b", "name": "Named", "chat_messages": messages})).await.unwrap();
    let data = asked.answer(false).await.data();
    let wanted = json!([
        {"id": "m1", "role": "user", "content": "?", "created_at": 1_767_225_600_000_i64},
        {"id": "m2", "role": "assistant", "content": "!", "created_at": null},
    ]);
    assert_eq!((&data["messages"], &data["conversation"]["title"]), (&wanted, &json!("Named")));
    for (query, field) in [
        ("?conversation_id=..", "conversation_id"),
        ("?organization_id=%00", "organization_id"),
        ("?timeout_ms=0", "timeout_ms"),
        ("?client_id=a/b", "client_id"),
    ] {
        assert_eq!(fault(&daemon.caller().get(&format!("{CURRENT}{query}")).await), field);
    }
}

#[actix_rt::test]
async fn where_there_is_no_conversation_none_is_made() {
    let daemon = Daemon::start("").await;
    let mut profile = FirefoxProfile::new("ff");
    profile.app = WebApp::new().with_conversations(&[], None);
    let (firefox, caller) = (connect(&daemon, profile).await, daemon.caller());
    let answer = caller.get(CURRENT).await;
    assert_eq!(
        (answer.error(), &answer.json()["details"]["resource"]),
        ((404, "not_found".into()), &json!("claude_conversation"))
    );
    let gone = caller.get(&format!("{CURRENT}?conversation_id=conv-9")).await;
    assert_eq!(gone.error(), (404, "browser_upstream_error".into()), "the app's own word");
    handled(&firefox).await;
    assert!(firefox.received_of("api_request").iter().all(|message| message["method"] == "GET"));
}

#[actix_rt::test]
async fn a_conversation_that_cannot_be_read_is_an_error() {
    let daemon = Daemon::start("").await;
    let refused = daemon.caller().get(CURRENT).await;
    assert_eq!(
        (refused.error(), refused.error_code()),
        ((503, "browser_bridge_unavailable".into()), "no_active_client".into())
    );
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    let stranger = connect(&daemon, profile).await;
    assert_eq!(daemon.caller().get(CURRENT).await.error(), (409, "claude_credentials_unavailable".into()));
    assert_eq!(stranger.received_of("api_request").len(), 0);
    let firefox = manual(&daemon, "in").await;
    let mut asked = look(&daemon, "?conversation_id=c").await;
    step(&firefox, "/api/organizations").await.answer(200, json!([{"uuid": "org-1"}])).await.unwrap();
    step(&firefox, &format!("{CONVERSATIONS}/c")).await.answer(200, json!({"uuid": "c"})).await.unwrap();
    assert_eq!(asked.answer(false).await.error(), (502, "browser_upstream_invalid_response".into()));
    settled(&daemon.caller()).await;
}
