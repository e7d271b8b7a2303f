//! The tables, also for missing and hostile fields.

use super::*;
use serde_json::{Value, from_value, json};

fn shown(browser: Value, journal: Value) -> String {
    render_all(&from_value(browser).unwrap(), &from_value(journal).unwrap(), 1_000_000, OutputStyle::PLAIN)
}

#[test]
fn the_tables_are_aligned() {
    let login = |platform: &str| json!({"platform": platform, "freshness": "fresh", "header_count": 3});
    let browser = json!({
        "bridge": {"active_client_id": "firefox-b", "clients": [
            {"client_id": "a", "credentials": [], "in_flight": 0, "last_message_at": 400_000},
            {"client_id": "firefox-b", "credentials": [login("chatgpt"), login("claude")], "in_flight": 2,
             "last_message_at": 998_800},
        ]},
        "policy": {"targets": [{"client_id": "firefox-b", "platform": "chatgpt", "circuit_state": "closed",
            "in_flight": 1, "waiting": 12, "consecutive_failures": 0}],
            "platforms": [{"platform": "chatgpt", "recent_dispatch_count": 4, "waiting": 1,
                "limits": {"rate_limit": {"requests_per_minute_per_platform": 10}}}]},
        "records": [
            {"client_id": "firefox-b", "platform": "chatgpt", "account": "me@example.com", "status": "fresh",
             "view": "active_only", "live": {"credentials": {"last_seen_at": 940_000}}, "persisted": null},
            {"client_id": "firefox-b", "platform": "claude", "account": null, "status": "stale",
             "view": "active_and_persisted", "live": {"credentials": {"last_seen_at": 600_000}, "request_hooks": null},
             "persisted": {"last_seen_at": 500_000}},
            {"client_id": "gone", "platform": "gemini", "account": "x", "status": "lost", "view": "persisted_only",
             "live": null, "persisted": {"last_seen_at": 280_000}},
        ],
        "summary": {"matched_records": 3, "runtime_counts": {"actual": 1, "desired": 2, "drift": 1}},
    });
    let journal = json!({"requests": [
        {"request_id": "r-3", "platform": "chatgpt", "phase": "queued", "outcome": null, "requested_at": 995_000,
         "waiting": {"rule": "backoff", "until": 1_002_500, "delay_ms": 2_500}},
        {"request_id": "r-2", "platform": "chatgpt", "phase": "queued", "outcome": null, "requested_at": 990_000,
         "waiting": {"rule": "slot", "position": 2}},
        {"request_id": "r-1", "platform": "chatgpt", "client_id": "firefox-b", "phase": "done",
         "outcome": "failure", "error_code": "request_timeout", "requested_at": 900_000, "finished_at": 920_500},
    ]});
    let wanted = "\
CLIENT     ACTIVE  PLATFORMS                    IN FLIGHT  LAST MESSAGE
a                  -                            0          10m00s ago
firefox-b  *       chatgpt fresh, claude stale  2          1.2s ago

LOGIN    ACCOUNT         CLIENT     STATUS  VIEW    LAST SEEN
chatgpt  me@example.com  firefox-b  fresh   live    1m00s ago
claude   -               firefox-b  stale   live    6m40s ago
gemini   x               gone       lost    stored  12m00s ago
shell tabs: 1 open, 2 desired, 1 differ

TARGET     PLATFORM  IN FLIGHT  CIRCUIT AND QUEUE
firefox-b  chatgpt   1          closed, 12 waiting

PLATFORM  PACING
chatgpt   4 of 10 in the window, 1 waiting

REQUEST  PLATFORM  CLIENT     STATE                      CODE             AGE    TOOK
r-3      chatgpt   -          queued: backoff, 3 s left  -                5.0s   -
r-2      chatgpt   -          queued: slot, position 2   -                10s    -
r-1      chatgpt   firefox-b  failure                    request_timeout  1m40s  20s
";
    assert_eq!(shown(browser, journal), wanted);
}

#[test]
fn empty_tables_have_a_sentence() {
    let there = json!({"records": [], "summary": {"matched_records": 0}});
    let wanted = "\
no Firefox is connected

no known logins
shell tabs: not reported by the daemon

no targets yet

pacing: not reported by the daemon

no requests yet
";
    assert_eq!(shown(there, json!({})), wanted);
}

#[test]
fn missing_fields_are_dashes_and_control_characters_are_escaped() {
    let browser = json!({
        "bridge": {"clients": [{"credentials": [{}]}]},
        "records": [{}, {"account": "\u{1b}[2J\n", "view": "\u{9b}", "live": {"credentials": null}, "persisted": {}}],
        "policy": {"targets": [{"circuit_state": format!("\u{1b}[2J\n{}", "x".repeat(100))}], "platforms": [{}]},
    });
    let text = shown(browser, json!({"requests": [{}]}));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 16, "{text}");
    assert!(lines[1].starts_with("-       ") && lines[1].contains("- -"), "{text}");
    assert!(lines[9].contains("\\u{1b}[2J\\nxxx") && lines[9].ends_with("x…"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
}

#[test]
fn remaining_times_are_rounded_up() {
    for (ms, wanted) in [
        (-5, "0 s"),
        (1, "1 s"),
        (40_001, "41 s"),
        (119_000, "119 s"),
        (119_001, "2 min"),
        (7_199_000, "120 min"),
        (7_200_000, "2 h"),
        (90_000_000, "25 h"),
        (WallMs::MAX, "2562047788016 h"),
    ] {
        assert_eq!(format_remaining(ms), wanted);
    }
}

#[test]
fn durations_are_short() {
    for (ms, wanted) in [
        (-5, "0ms"),
        (999, "999ms"),
        (1_250, "1.2s"),
        (59_999, "59s"),
        (61_000, "1m01s"),
        (3_720_000, "1h02m"),
        (90_000_000, "1d01h"),
    ] {
        assert_eq!(format_span(ms), wanted);
    }
}
