//! Values of the API for the tests of the client commands: complete ones, from the fields that matter to a test.

pub(crate) mod stub_daemon;

use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json};

/// Returns a value of this kind with the fields of `part`.
pub(crate) fn whole<T: DeserializeOwned>(kind: &str, part: Value) -> T {
    from_value(completed(kind, part)).unwrap()
}

/// Adds the fields that a value of this kind lacks, also to the values inside it.
pub(crate) fn completed(kind: &str, part: Value) -> Value {
    let Value::Object(fields) = part else { return part };
    let mut whole = plain(kind);
    let all = whole.as_object_mut().unwrap();
    all.extend(fields);
    for (name, value) in all {
        let Some(kind) = kind_of_field(kind, name) else { continue };
        match value {
            Value::Array(entries) => entries.iter_mut().for_each(|entry| *entry = completed(kind, entry.take())),
            single => *single = completed(kind, single.take()),
        }
    }
    whole
}

fn kind_of_field(kind: &str, name: &str) -> Option<&'static str> {
    Some(match (kind, name) {
        ("browser", "bridge") => "bridge",
        ("browser", "platforms") => "platform",
        ("browser", "policy") => "policy",
        ("browser", "records") => "record",
        ("browser", "summary") => "summary",
        ("bridge", "clients") => "client",
        ("client" | "live", "credentials") => "login",
        ("client" | "action" | "platform_result", "shell_runtime") => "tab",
        ("record", "live") => "live",
        ("record", "persisted") => "persisted",
        ("policy", "platforms") => "pacing",
        ("policy", "targets") => "target",
        ("tab", "desired" | "actual") => "existence",
        ("tab", "drift") => "drift",
        ("action", "result") => "counts",
        ("action", "results") => "platform_result",
        ("journal", "requests") => "request",
        _ => return None,
    })
}

fn plain(kind: &str) -> Value {
    let limits = crate::policy::settings::PolicyLimits::default();
    match kind {
        "browser" => json!({"bridge": {}, "current_client": null, "claude": null, "platforms": [],
            "filters": {"limit": 1000}, "policy": {}, "records": [], "summary": {}}),
        "bridge" => json!({"active_client_id": null, "active_connection_id": null, "client_count": 0, "clients": [],
            "status": "connected", "transport": "websocket", "ws_path": "/ws", "ws_url": "ws://x/ws"}),
        "client" => json!({"client_id": "ff", "connection_id": "c", "connected_at": 0, "last_message_at": 0,
            "credentials": [], "request_hooks": [], "shell_runtime": [], "final_messages": [],
            "last_action_result": null, "in_flight": 0}),
        "login" => json!({"platform": "claude", "freshness": "fresh", "captured_at": 0, "last_seen_at": 0,
            "header_count": 1}),
        "platform" => json!({"platform": "claude", "title": "Claude", "shell_url": "https://claude.ai/",
            "supported_modes": [], "ready": false, "client_ids": [], "extractor_drift": 0, "answer_drift": 0}),
        "record" => json!({"platform": "claude", "client_id": "ff", "host": "here", "status": "fresh",
            "view": "active_only", "is_active_client": false, "live": null, "persisted": null}),
        "live" => json!({"connection_id": "c", "credentials": null, "request_hooks": null, "shell_runtime": null}),
        "persisted" => json!({"credential_fingerprint": null, "endpoints": [], "endpoint_metadata": [],
            "captured_at": null, "last_seen_at": null, "updated_at": 0}),
        "summary" => json!({"active_records": 0, "matched_records": 0, "persisted_only_records": 0,
            "runtime_counts": {"actual": 0, "desired": 0, "drift": 0},
            "status_counts": {"fresh": 0, "stale": 0, "lost": 0}}),
        "policy" => json!({"defaults": limits, "platforms": [], "targets": []}),
        "pacing" => json!({"platform": "claude", "recent_dispatch_count": 0, "waiting": 0, "limits": limits}),
        "target" => json!({"client_id": "ff", "platform": "claude", "circuit_state": "closed", "in_flight": 0,
            "waiting": 0, "consecutive_failures": 0, "stale_sweep_count": 0}),
        "tab" => json!({"platform": "claude", "desired": {}, "actual": {}, "drift": {}}),
        "existence" => json!({"exists": false}),
        "drift" => json!({"aligned": true, "needs_restore": false, "unexpected_actual": false}),
        "action" => json!({"accepted": true, "completed": true, "failed": false, "action": "tab_open",
            "type": "open_tab", "client_id": "ff", "connection_id": "c", "dispatched_at": 0, "platform": null,
            "reason": null, "request_id": "a-1", "target": {"client_id": "ff", "connection_id": "c"}, "result": {},
            "results": [], "shell_runtime": []}),
        "counts" => json!({"actual_count": 0, "desired_count": 0, "drift_count": 0, "failed_count": 0, "ok_count": 0,
            "platform_count": 0, "restored_count": 0, "skipped_reasons": []}),
        "platform_result" => json!({"ok": true}),
        "cancel" => json!({"status": "cancel_requested", "type": "request_cancel", "request_id": "r-1",
            "platform": "claude", "reason": "why not"}),
        "response" => json!({"client_id": "ff", "platform": "claude", "request_mode": "api_request",
            "organization": null, "conversation": null, "policy": null, "proxy": {"method": "GET", "path": "/",
            "request_id": "r-1", "response_mode": "buffered", "status": 200, "request_body": null}, "response": null}),
        "journal" => json!({"requests": []}),
        "request" => json!({"request_id": "r-1", "platform": "claude", "phase": "queued", "outcome": null,
            "requested_at": 0}),
        other => panic!("no {other} is known"),
    }
}
