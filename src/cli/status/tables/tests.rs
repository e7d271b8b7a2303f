//! The tables, also for hostile fields.

use super::*;
use crate::cli::testing::whole;
use serde_json::{Value, json};

const NOW: WallMs = 1_000_000;

fn shown(browser: Value, journal: Value) -> String {
    render_all(&whole("browser", browser), &whole("journal", journal), NOW, OutputStyle::PLAIN)
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
            "platforms": [{"platform": "chatgpt", "recent_dispatch_count": 4, "waiting": 1}]},
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
    let wanted = "\
no Firefox is connected

no known logins
shell tabs: 0 open, 0 desired, 0 differ

no targets yet

no platforms

no requests yet
";
    assert_eq!(shown(json!({}), json!({})), wanted);
}

#[test]
fn missing_fields_are_dashes_and_control_characters_are_escaped() {
    let browser = json!({
        "bridge": {"clients": [{}]},
        "records": [{}, {"account": "\u{1b}[2J\n", "live": {"credentials": null}, "persisted": {}}],
        "policy": {"targets": [{"consecutive_failures": 1, "last_error": format!("\u{1b}[2J\n{}", "x".repeat(100))}]},
    });
    let text = shown(browser, json!({"requests": [{}]}));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 15, "{text}");
    assert!(lines[1].starts_with("ff ") && lines[1].contains(" -  "), "{text}");
    assert!(lines[9].contains("\\u{1b}[2J\\nxxx") && lines[9].ends_with("x…"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
}

#[test]
fn a_login_without_a_record_has_the_status_of_the_extension() {
    let login = |account: &str| json!({"account": account, "freshness": "fresh"});
    let browser = json!({
        "bridge": {"clients": [{"credentials": [login("a"), login("b")]}]},
        "records": [{"account": "a", "status": "lost"}],
    });
    assert!(shown(browser, json!({})).contains("claude(a) lost, claude(b) fresh"));
}

#[test]
fn omitted_logins_are_counted() {
    for (all, has_note) in [(47, true), (1, false), (0, false)] {
        let text = shown(json!({"records": [{}], "summary": {"matched_records": all}}), json!({}));
        assert_eq!(text.contains("1 of 47 logins shown\n"), has_note, "{text}");
    }
}

#[test]
fn the_later_time_of_a_login_counts() {
    let record = json!({"live": {"credentials": {"last_seen_at": 1}}, "persisted": {"last_seen_at": 999_000}});
    assert!(shown(json!({ "records": [record] }), json!({})).contains("live  1.0s ago\n"));
}

#[test]
fn a_target_is_described() {
    for (fields, text) in [
        (
            json!({"circuit_state": "open", "circuit_retry_at": NOW + 40_001, "consecutive_failures": 5,
                "last_error": "http_429", "backoff_until": NOW + 9_000, "waiting": 0}),
            "open, next try in 41 s after 5 failures: 429",
        ),
        (
            json!({"circuit_state": "open", "circuit_retry_at": NOW, "consecutive_failures": 1}),
            "open, next try now after 1 failure",
        ),
        (
            json!({"circuit_state": "half_open", "consecutive_failures": 5, "waiting": 3}),
            "half open, probe in progress, 3 waiting",
        ),
        (
            json!({"circuit_state": "closed", "backoff_until": NOW + 3_000, "consecutive_failures": 1,
                "last_error": "http_503", "waiting": 1}),
            "closed, backing off for 3 s after 1 failure: 503, 1 waiting",
        ),
        (
            json!({"circuit_state": "closed", "backoff_until": NOW, "consecutive_failures": 2,
                "last_error": "request_timeout"}),
            "closed after 2 failures: request_timeout",
        ),
        (json!({"circuit_state": "closed", "waiting": 2}), "closed, 2 waiting"),
        (json!({"circuit_state": "closed"}), "closed"),
        (json!({"circuit_state": "open"}), "open"),
    ] {
        assert_eq!(target_state(&whole("target", fields.clone()), NOW), text, "{fields}");
    }
}

#[test]
fn a_platform_shows_its_limit_and_its_next_slot() {
    let full = json!({"platform": "claude", "recent_dispatch_count": 3, "waiting": 1, "next_slot_at": NOW + 12_000});
    let usual = json!({"platform": "kimi", "next_slot_at": NOW - 1});
    let text = shown(json!({"policy": {"platforms": [full, usual]}}), json!({}));
    let wanted = "\
PLATFORM  PACING
claude    3 of 10 in the window, next slot in 12 s, 1 waiting
kimi      0 of 10 in the window
";
    assert!(text.contains(wanted), "{text}");
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
