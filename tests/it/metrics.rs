//! `GET /metrics`: every documented metric with its values, and the dashboard.

use crate::support::{Daemon, actors, ask, automatic, handled, manual, request_of, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NAMES: [&str; 18] = [
    "baa_actors",
    "baa_http_requests_total",
    "baa_http_request_duration_seconds",
    "baa_bridge_clients",
    "baa_browser_requests_total",
    "baa_browser_request_phase_seconds",
    "baa_browser_in_flight",
    "baa_stream_events_total",
    "baa_stream_bytes_total",
    "baa_stream_errors_total",
    "baa_policy_waiting",
    "baa_policy_delay_seconds",
    "baa_policy_stale_sweeps_total",
    "baa_instructions_total",
    "baa_ws_messages_total",
    "baa_ws_rejected_total",
    "baa_store_operation_seconds",
    "process_resident_memory_bytes",
];

/// Metric families before the first request; the one of circuits appears with the first target.
fn declared(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

async fn scrape(daemon: &Daemon) -> String {
    let answer = daemon.caller().get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(answer.body).unwrap()
}

#[actix_rt::test]
async fn every_name_is_there_from_the_start() {
    let daemon = Daemon::start("").await;
    // One request, so that all families have samples.
    scrape(&daemon).await;
    let text = scrape(&daemon).await;
    let declared = declared(&text);
    for name in NAMES {
        assert!(declared.contains(name), "{name}");
    }
}

#[actix_rt::test]
async fn an_exchange_is_counted_by_template_method_and_status() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    caller.get("/v1/tasks/unknown").await;
    caller.send("PUT", "/v1/tasks/unknown", None).await;
    caller.get("/no/such/path").await;
    let counted = [
        "baa_http_requests_total{method=\"GET\",route=\"/v1/tasks/{id}\",status=\"404\"} 1",
        "baa_http_requests_total{method=\"PUT\",route=\"/v1/tasks/{id}\",status=\"405\"} 1",
        "baa_http_requests_total{method=\"GET\",route=\"other\",status=\"404\"} 1",
    ];
    until("three exchanges", async || {
        let text = scrape(&daemon).await;
        counted.iter().all(|line| text.lines().any(|known| known == *line)).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_browser_request_is_counted_by_platform_and_end() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (id, cancelled, status) in [("a", false, 200), ("b", false, 503), ("c", true, 0)] {
        let mut answer = caller.begin(&ask(id, "/")).await;
        let request = request_of(&firefox, id).await;
        counts(&daemon, "baa_browser_in_flight{platform=\"claude\"} 1").await;
        if cancelled {
            caller.cancel(id).await;
        } else {
            request.answer(status, json!({})).await.unwrap();
        }
        answer.answer(false).await;
    }
    for outcome in ["success", "failure", "cancelled"] {
        counts(&daemon, &format!("baa_browser_requests_total{{outcome=\"{outcome}\",platform=\"claude\"}} 1")).await;
    }
    counts(&daemon, "baa_browser_in_flight{platform=\"claude\"} 0").await;
}

#[actix_rt::test]
async fn actors_count_for_as_long_as_they_live() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let living = async |exchanges: u64, sockets: u64| {
        let all = [("connection", sockets), ("exchange", exchanges), ("socket", sockets)];
        let all = all.map(|(kind, count)| (kind.to_owned(), count)).into();
        until("these actors", async || (actors(&caller).await == all).then_some(())).await;
    };
    living(0, 1).await;
    let mut answered = caller.begin(&ask("answered", "/")).await;
    let request = request_of(&firefox, "answered").await;
    let mut cut = caller.begin(&ask("cut", "/")).await;
    request_of(&firefox, "cut").await;
    living(2, 1).await;
    request.answer(200, json!({})).await.unwrap();
    assert_eq!(answered.answer(false).await.status, 200);
    living(1, 1).await;
    firefox.drop_connection().await.unwrap();
    assert_eq!(cut.answer(false).await.status, 503);
    living(0, 0).await;
}

#[actix_rt::test]
async fn metrics_are_read_like_any_other_route() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    assert_eq!(daemon.caller().get("/metrics").await.status, 401);
    assert_eq!(daemon.caller().bearer(&daemon.token()).get("/metrics").await.status, 200);
}

/// Returns the metrics in an expression.
fn named(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("baa_") || word.starts_with("process_"))
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[actix_rt::test]
async fn the_dashboard_names_only_what_there_is() {
    let daemon = Daemon::start("").await;
    scrape(&daemon).await;
    let text = scrape(&daemon).await;
    let mut there = declared(&text);
    there.insert("baa_policy_circuit_state"); // appears with the first target
    let dashboard: Value = serde_json::from_str(include_str!("../../docs/grafana.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let mut shown = BTreeSet::new();
    for name in found.iter().flat_map(|expression| named(expression)) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(there.contains(family), "{name}");
        shown.insert(family);
    }
    let missing: Vec<_> = NAMES.iter().filter(|name| !shown.contains(**name)).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

/// Waits until the metrics have this line.
async fn counts(daemon: &Daemon, line: &str) {
    until(line, async || scrape(daemon).await.lines().any(|known| known == line).then_some(())).await;
}

#[actix_rt::test]
async fn each_status_that_a_batch_enters_is_counted() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller().bearer(&daemon.token());
    let text = "```baa\n@system::status\n```";
    let body = json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": "m", "text": text});
    for status in ["executed", "duplicate_only"] {
        assert_eq!(caller.post("/v1/instructions/messages", &body).await.data()["status"], status);
    }
    for status in ["queued", "running", "executed", "duplicate_only"] {
        counts(&daemon, &format!("baa_instructions_total{{status=\"{status}\"}} 1")).await;
    }
}

#[actix_rt::test]
async fn what_a_client_says_of_anothers_request_is_counted() {
    let daemon = Daemon::start("").await;
    let firefox = automatic(&daemon, "ff").await;
    firefox.send_json(&json!({"type": "api_response", "id": "nobodys", "ok": true, "status": 200})).await.unwrap();
    handled(&firefox).await;
    counts(&daemon, "baa_ws_rejected_total{reason=\"foreign_request\"} 1").await;
}
