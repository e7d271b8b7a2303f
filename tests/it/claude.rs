//! Prompts for Claude: the steps to their location, what is cached, and which ids are accepted.

use crate::support::{Connection, Daemon, connect, fault, handled, manual, request_of, waiting};
use baa_conductor::simulator::{Firefox, FirefoxProfile, ListShape, SimulatedRequest, WebApp};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const CONVERSATIONS: &str = "/api/organizations/org-1/chat_conversations";

pub(crate) fn prompt(id: &str) -> Value {
    json!({"platform": "claude", "request_id": id, "prompt": "well?"})
}

pub(crate) fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Returns the next request, which must be this one of the daemon's own.
pub(crate) async fn step(firefox: &Firefox, method: &str, path: &str) -> SimulatedRequest {
    let request = firefox.next_request().await.unwrap();
    assert_eq!((request.message()["method"].as_str(), request.path()), (Some(method), path));
    assert_eq!(
        (request.message()["response_mode"].as_str(), &request.message()["stream_id"]),
        (Some("buffered"), &Value::Null)
    );
    request
}

/// Answers with one organization.
pub(crate) async fn organizations(firefox: &Firefox) {
    let asked = step(firefox, "GET", "/api/organizations").await;
    asked.answer(200, json!([{"uuid": "org-1", "name": "One"}])).await.unwrap();
}

/// Answers both lists.
async fn led(firefox: &Firefox) {
    organizations(firefox).await;
    let asked = step(firefox, "GET", CONVERSATIONS).await;
    asked.answer(200, json!([{"uuid": "conv-1", "name": "First", "updated_at": 1_767_225_600}])).await.unwrap();
}

/// Answers both lists and the completion.
async fn answered(firefox: &Firefox, id: &str, asked: &mut Connection) -> Value {
    led(firefox).await;
    request_of(firefox, id).await.answer(200, json!({"completion": "yes"})).await.unwrap();
    asked.answer(false).await.data()
}

fn asked_paths(firefox: &Firefox) -> Vec<String> {
    let line =
        |message: &Value| format!("{} {}", message["method"].as_str().unwrap(), message["path"].as_str().unwrap());
    firefox.received_of("api_request").iter().map(|message| line(message)).collect()
}

#[actix_rt::test]
async fn every_shape_of_the_lists_leads_to_the_conversation_whole_and_streamed() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let lists = ["GET /api/organizations".to_owned(), format!("GET {CONVERSATIONS}")];
    for shape in ListShape::ALL {
        for (what, ids, current, given, chosen) in [
            ("given", &["a", "b"][..], Some("a"), Some("b"), "b"),
            ("current", &["a", "b", "c"], Some("b"), None, "b"),
            ("newest", &["a", "b", "c"], None, None, "c"),
            ("created", &[], None, None, "conv-1"),
        ] {
            for mode in ["buffered", "sse"] {
                let name = format!("{what}-{mode}-{shape:?}");
                let mut profile = FirefoxProfile::new(&name);
                let app = WebApp::new().with_answer("so be it").with_pace(Duration::ZERO);
                profile.app = app.with_lists(shape).with_conversations(ids, current);
                let firefox = connect(&daemon, profile).await;
                let body = json!({"platform": "claude", "prompt": "well?", "client_id": name, "response_mode": mode, "conversation_id": given});
                let told = if mode == "sse" {
                    let (frames, last) = caller.stream(&body).await.rest().await;
                    assert_eq!(last.outcome(), ("stream_end", "", 200), "{name}");
                    let said = frames[1..].iter().filter_map(|frame| frame.data["data"]["completion"].as_str());
                    assert_eq!(said.collect::<String>(), "so be it", "{name}");
                    frames[0].data.clone()
                } else {
                    let data = caller.request(&body).await.data();
                    assert_eq!(data["response"]["full_text"], "so be it", "{name}");
                    data
                };
                assert_eq!(
                    (&told["request_mode"], &told["organization"]["organization_id"]),
                    (&json!("claude_prompt"), &json!("org-1")),
                    "{name}"
                );
                assert_eq!(told["conversation"]["conversation_id"], chosen, "{name}");
                let mut wanted = lists[..if what == "given" { 1 } else { 2 }].to_vec();
                wanted.extend((what == "created").then(|| format!("POST {CONVERSATIONS}")));
                wanted.push(format!("POST {CONVERSATIONS}/{chosen}/completion"));
                assert_eq!(asked_paths(&firefox), wanted, "{name}");
            }
        }
    }
}

#[actix_rt::test]
async fn only_the_completion_is_the_callers_and_the_answer_says_where_it_went() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let body = with(prompt("p"), json!({"headers": {"x-a": "1"}, "request_body": {"prompt": "mine", "n": 1}}));
    let mut asked = caller.begin(&body).await;
    let data = answered(&firefox, "p", &mut asked).await;
    assert_eq!(data["organization"], json!({"organization_id": "org-1", "name": "One"}));
    let conversation =
        json!({"conversation_id": "conv-1", "title": "First", "created_at": null, "updated_at": 1_767_225_600_000_i64});
    assert_eq!((&data["conversation"], &data["request_mode"]), (&conversation, &json!("claude_prompt")));
    let proxy = json!({"method": "POST", "path": format!("{CONVERSATIONS}/conv-1/completion"), "request_id": "p",
        "response_mode": "buffered", "status": 200, "request_body": {"prompt": "mine", "n": 1}});
    assert_eq!((&data["proxy"], &data["response"]), (&proxy, &json!({"completion": "yes"})));
    let sent = firefox.received_of("api_request");
    let ids: std::collections::HashSet<_> = sent.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), sent[0]["headers"].get("x-a"), sent[2]["headers"]["x-a"].as_str()), (3, None, Some("1")));
    assert_eq!((sent[0].get("body"), &sent[2]["body"]), (None, &json!({"prompt": "mine", "n": 1})));
    let entry = caller.journal("p").await;
    assert_eq!((&entry["outcome"], &entry["request_mode"]), (&json!("success"), &json!("claude_prompt")), "{entry}");
}

#[actix_rt::test]
async fn a_second_prompt_within_a_minute_costs_one_request() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&prompt("p1")).await;
    let before = answered(&firefox, "p1", &mut first).await;
    let mut second = caller.begin(&prompt("p2")).await;
    request_of(&firefox, "p2").await.answer(200, Value::Null).await.unwrap();
    let after = second.answer(false).await.data();
    assert_eq!((&after["organization"], &after["conversation"]), (&before["organization"], &before["conversation"]));
    // A named conversation applies to this one prompt.
    for (id, more, path) in [("p3", json!({"conversation_id": "mine"}), "mine"), ("p4", json!({}), "conv-1")] {
        let mut asked = caller.begin(&with(prompt(id), more)).await;
        let request = request_of(&firefox, id).await;
        assert_eq!(request.path(), format!("{CONVERSATIONS}/{path}/completion"));
        request.answer(200, Value::Null).await.unwrap();
        asked.answer(false).await.data();
    }
    // The cache is kept per client.
    let other = manual(&daemon, "other").await;
    let mut asked = caller.begin(&with(prompt("p5"), json!({"client_id": "other"}))).await;
    answered(&other, "p5", &mut asked).await;
}

#[actix_rt::test]
async fn a_refusal_or_another_login_makes_the_choice_anew() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut asked = caller.begin(&prompt("p")).await;
    answered(&firefox, "p", &mut asked).await;
    for status in [401, 403, 404] {
        for body in [prompt("refused"), with(prompt("refused"), json!({"response_mode": "sse"}))] {
            let mut asked = caller.begin(&body).await;
            request_of(&firefox, "refused").await.answer(status, Value::Null).await.unwrap();
            asked.answer(false).await;
            let mut again = caller.begin(&prompt("again")).await;
            answered(&firefox, "again", &mut again).await;
        }
    }
    let mut asked = caller.begin(&prompt("broken")).await;
    request_of(&firefox, "broken").await.answer(500, Value::Null).await.unwrap();
    assert_eq!(asked.answer(false).await.status, 500);
    let mut asked = caller.begin(&prompt("kept")).await;
    request_of(&firefox, "kept").await.answer(200, Value::Null).await.unwrap();
    asked.answer(false).await.data();
    log_in(&firefox, "another").await;
    let mut asked = caller.begin(&prompt("anew")).await;
    answered(&firefox, "anew", &mut asked).await;
}

async fn log_in(firefox: &Firefox, fingerprint: &str) {
    let told = json!({"type": "credentials", "platform": "claude", "credential_fingerprint": fingerprint,
        "freshness": "fresh", "captured_at": 1, "last_seen_at": 4_000_000_000_000_i64, "header_names": ["cookie"]});
    firefox.send_json(&told).await.unwrap();
    handled(firefox).await;
}

#[actix_rt::test]
async fn what_was_found_with_one_login_is_not_kept_for_the_next_one() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut asked = caller.begin(&prompt("p1")).await;
    organizations(&firefox).await;
    let conversations = step(&firefox, "GET", CONVERSATIONS).await;
    log_in(&firefox, "another").await;
    conversations.answer(200, json!([{"uuid": "conv-1"}])).await.unwrap();
    request_of(&firefox, "p1").await.answer(200, Value::Null).await.unwrap();
    asked.answer(false).await.data();
    let mut asked = caller.begin(&prompt("p2")).await;
    answered(&firefox, "p2", &mut asked).await;
}

#[actix_rt::test]
async fn one_slot_is_held_over_all_steps() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&prompt("p1")).await;
    organizations(&firefox).await;
    let held = step(&firefox, "GET", CONVERSATIONS).await;
    let mut second = caller.begin(&prompt("p2")).await;
    waiting(&caller, 1).await;
    held.answer(200, json!([{"uuid": "conv-1"}])).await.unwrap();
    let completion = request_of(&firefox, "p1").await;
    let target = caller.browser().await["policy"]["targets"][0].take();
    assert_eq!((&target["in_flight"], &target["waiting"]), (&json!(1), &json!(1)));
    assert_eq!(target["last_activity_reason"], "dispatched");
    completion.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    request_of(&firefox, "p2").await.answer(200, Value::Null).await.unwrap();
    second.answer(false).await.data();
}

#[actix_rt::test]
async fn without_a_login_nothing_is_sent_and_the_error_says_what_helps() {
    let daemon = Daemon::start("").await;
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    let (firefox, caller) = (connect(&daemon, profile).await, daemon.caller());
    let answer = caller.request(&prompt("p")).await;
    assert_eq!(answer.error(), (409, "claude_credentials_unavailable".into()));
    assert!(answer.json()["details"]["suggested_action"].as_str().unwrap().contains("tab_open"));
    let last = caller.stream(&with(prompt("p"), json!({"response_mode": "sse"}))).await.end().await;
    assert_eq!((last.outcome().2, last.data["http_error"].as_str()), (409, Some("claude_credentials_unavailable")));
    let lost = json!({"type": "credentials", "platform": "claude", "freshness": "lost", "captured_at": 1, "last_seen_at": 1, "header_names": []});
    firefox.send_json(&lost).await.unwrap();
    handled(&firefox).await;
    assert_eq!(caller.request(&prompt("p")).await.status, 409, "a lost one is none");
    assert_eq!(firefox.received_of("api_request").len(), 0);
}

/// Returns the path segment that an id becomes; `None` if it is refused.
const IDS: [(&str, Option<&str>); 12] = [
    ("a/b", Some("a%2Fb")),
    ("a?b#c", Some("a%3Fb%23c")),
    ("%2e%2e", Some("%252e%252e")),
    ("%2F..%2F", Some("%252F..%252F")),
    ("ü 黄", Some("%C3%BC%20%E9%BB%84")),
    ("a\\b@c:d", Some("a%5Cb%40c%3Ad")),
    ("https://evil.example", Some("https%3A%2F%2Fevil.example")),
    ("..", None),
    (".", None),
    ("a/../../b", None),
    ("\\..\\x", None),
    ("a\r\nb", None),
];

#[actix_rt::test]
async fn no_id_changes_which_path_is_asked_for() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    for (number, (id, segment)) in IDS.into_iter().enumerate() {
        let firefox = manual(&daemon, &format!("ff{number}")).await;
        let body = with(prompt("p"), json!({"client_id": firefox.client_id()}));
        // From the caller.
        let given = with(body.clone(), json!({"conversation_id": id}));
        match segment {
            None => assert_eq!(fault(&caller.request(&given).await), "conversation_id", "{id:?}"),
            Some(segment) => {
                let mut asked = caller.begin(&given).await;
                organizations(&firefox).await;
                completed(&firefox, &mut asked, &format!("{CONVERSATIONS}/{segment}/completion")).await;
            }
        }
        // From the app, also as names.
        let firefox = manual(&daemon, &format!("app{number}")).await;
        let body = with(prompt("p"), json!({"client_id": firefox.client_id()}));
        let mut asked = caller.begin(&body).await;
        let list = step(&firefox, "GET", "/api/organizations").await;
        list.answer(200, json!([{"uuid": id, "name": id}, {"uuid": "plain"}])).await.unwrap();
        let organization = segment.unwrap_or("plain");
        let list = step(&firefox, "GET", &format!("/api/organizations/{organization}/chat_conversations")).await;
        list.answer(200, json!({"items": [{"id": id, "title": id, "is_current": true}, {"id": "plain"}]}))
            .await
            .unwrap();
        let path = format!("/api/organizations/{organization}/chat_conversations/{organization}/completion");
        let data = completed(&firefox, &mut asked, &path).await;
        let told = if segment.is_some() { id } else { "plain" };
        assert_eq!(
            (&data["organization"]["organization_id"], &data["conversation"]["conversation_id"]),
            (&json!(told), &json!(told))
        );
    }
}

async fn completed(firefox: &Firefox, asked: &mut Connection, path: &str) -> Value {
    let completion = request_of(firefox, "p").await;
    assert_eq!(completion.path(), path);
    completion.answer(200, Value::Null).await.unwrap();
    asked.answer(false).await.data()
}
