//! The OpenAPI document: each route's example is sent to a daemon, and the answer is what the document says.

use crate::support::{Daemon, automatic};
use baa_conductor::http::ROUTES;
use serde_json::Value;

/// Routes whose answer is a stream without an end.
const ENDLESS: &[&str] = &["events", "browser.socket"];

#[actix_rt::test]
async fn every_example_is_answered_as_it_is_documented() {
    let daemon = Daemon::start("").await;
    let _firefox = automatic(&daemon, "firefox-1").await;
    let caller = daemon.caller().bearer(&daemon.token());
    let document = caller.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for route in ROUTES.iter().filter(|route| !ENDLESS.contains(&route.id) && !route.id.starts_with("system.drain")) {
        let entry = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        let body = Some(route.example.body).filter(|body| !body.is_empty());
        let answer = caller.send(route.method, route.target(), body.map(str::as_bytes)).await;
        let (exact, range) = (answer.status.to_string(), format!("{}XX", answer.status / 100));
        let responses = entry["responses"].as_object().unwrap_or_else(|| panic!("{} is not there", route.id));
        let response = responses.get(&exact).or_else(|| responses.get(&range));
        let response = response.unwrap_or_else(|| panic!("{}: {exact} is not documented", route.id));
        let Some(content) = response["content"].as_object() else { continue };
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
        let content = content.get(kind).unwrap_or_else(|| panic!("{}: {kind} is not documented", route.id));
        if kind == "application/json" {
            let schema = jsonschema::validator_for(&content["schema"]).unwrap();
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
