//! The OpenAPI document: each route's example is sent to a daemon, and the response must match the document.

use crate::support::{Caller, Daemon, ask, automatic};
use baa_conductor::http::ROUTES;
use serde_json::{Value, json};
use std::path::Path;

/// Routes whose response is an endless stream.
const ENDLESS: &[&str] = &["events", "browser.socket"];

/// Routes that cannot be used here, or whose use would break the others.
const LEFT_OUT: &[&str] = &["system.drain"];
/// Routes whose example cannot succeed: there is no codexd, and no client waits for pairing.
const FAILING: &[&str] = &["codex.", "browser.pairings.", "browser.request.cancel", "session.begin"];

/// Creates what the examples refer to; returns each name in an example with an existing one.
async fn real(caller: &Caller, folder: &Path) -> Vec<(&'static str, String)> {
    let request = ask("my-request-1", "/api/organizations");
    assert_eq!(caller.request(&request).await.status, 200);
    let pending = async |id: &str| {
        let text = "```baa\n@system::exec::true\n```";
        let body = json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": id, "text": text,
            "require_approval": true});
        let batch = caller.post("/v1/instructions/messages", &body).await.data();
        batch["batch_id"].as_str().unwrap().to_owned()
    };
    let (approved, rejected) = (pending("m1").await, pending("m2").await);
    let task = caller.get("/v1/tasks?limit=1").await.data()["tasks"][0]["task_id"].as_str().unwrap().to_owned();
    vec![
        ("batch-1/reject", format!("{rejected}/reject")),
        ("batch-1", approved),
        ("task-1", task),
        ("/tmp/note.txt", folder.join("note.txt").to_str().unwrap().to_owned()),
    ]
}

#[actix_rt::test]
async fn every_example_is_answered_as_it_is_documented() {
    let daemon = Daemon::start("host_ops.allow_root = true").await;
    let _firefox = automatic(&daemon, "firefox-1").await;
    let caller = daemon.caller().bearer(&daemon.token());
    let document = caller.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let real = real(&caller, daemon.folder().path()).await;
    let made_real = |text: &str| real.iter().fold(text.to_owned(), |text, (name, there)| text.replace(name, there));
    for route in ROUTES.iter().filter(|route| !ENDLESS.contains(&route.id) && !LEFT_OUT.contains(&route.id)) {
        let entry = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        let body = Some(made_real(route.example.body)).filter(|body| !body.is_empty());
        let answer = caller.send(route.method, &made_real(route.target()), body.as_deref().map(str::as_bytes)).await;
        let succeeds = !FAILING.iter().any(|failing| route.id.starts_with(failing));
        assert_eq!(answer.status < 400, succeeds, "{}: {answer:?}", route.id);
        let (exact, range) = (answer.status.to_string(), format!("{}XX", answer.status / 100));
        let responses = entry["responses"].as_object().unwrap_or_else(|| panic!("{} is not there", route.id));
        let response = responses.get(&exact).or_else(|| responses.get(&range));
        let response = response.unwrap_or_else(|| panic!("{}: {exact} is not documented", route.id));
        let shared = response["$ref"].as_str().and_then(|path| document.pointer(path.strip_prefix('#')?));
        let response = shared.unwrap_or(response);
        let Some(content) = response["content"].as_object() else { continue };
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
        let content = content.get(kind).unwrap_or_else(|| panic!("{}: {kind} is not documented", route.id));
        if kind == "application/json" {
            let mut schema = content["schema"].clone();
            schema["components"] = document["components"].clone();
            let schema = jsonschema::validator_for(&schema).unwrap();
            let given: Value = answer.json();
            let faults: Vec<_> = schema.iter_errors(&given).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?} in {given}", route.id);
        }
    }
}

#[actix_rt::test]
async fn the_page_is_complete_and_needs_nothing_from_elsewhere() {
    let daemon = Daemon::start("").await;
    let page = daemon.caller().get("/docs").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = String::from_utf8(page.body.clone()).unwrap();
    assert!(!html.contains("<script") && html.contains("href=\"/docs/style.css\""));
    let style = daemon.caller().get("/docs/style.css").await;
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
}

#[actix_rt::test]
async fn what_is_switched_off_is_not_documented() {
    let daemon = Daemon::start("host_ops.enabled = false").await;
    let document = daemon.caller().get("/openapi.json").await.json();
    assert!(document["paths"].get("/v1/exec").is_none() && document["paths"].get("/v1/status").is_some());
}
