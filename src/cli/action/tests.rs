//! The command against a stub daemon.

use super::*;
use crate::cli::testing::{
    completed,
    stub_daemon::{StubDaemon, json as answer},
};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: ActionArguments,
}

fn parsed(line: &str) -> Result<ActionArguments, clap::Error> {
    let words = std::iter::once("action").chain(line.split_whitespace());
    CommandLine::try_parse_from(words).map(|line| line.arguments)
}

async fn tried(line: &str, status: u16, data: &Value) -> (anyhow::Result<(String, bool)>, Value) {
    let body =
        if status == 200 { json!({"ok": true, "data": completed("action", data.clone())}) } else { data.clone() };
    let body = body.to_string();
    let stub = StubDaemon::new(move |_| answer(status, &body));
    let client = DaemonClient::new(&stub.base, None).unwrap();
    let arguments = parsed(line).unwrap();
    let done = perform(&client, &arguments, arguments.json.then_some(JsonLayout::Compact)).await;
    let seen = stub.received().remove(0);
    assert_eq!(seen.line, "POST /v1/browser/actions");
    (done, seen.json())
}

async fn shown(line: &str, data: Value) -> (String, bool) {
    tried(line, 200, &data).await.0.unwrap()
}

#[actix_rt::test]
async fn the_body_contains_only_the_given_options() {
    let (_, sent) = tried("plugin_status", 200, &json!({})).await;
    assert_eq!(sent, json!({"action": "plugin_status"}));
    let line = "ws_reconnect --platform claude --client ff --reason why --timeout-ms 500 --wait";
    let (_, sent) = tried(line, 200, &json!({})).await;
    let wanted = json!({"action": "ws_reconnect", "platform": "claude", "client_id": "ff", "reason": "why",
        "timeout_ms": 500, "wait": true});
    assert_eq!(sent, wanted);
}

#[test]
fn an_unknown_name_is_bad_usage_and_lists_all_actions() {
    let error = parsed("tab_explode").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    for name in [
        "plugin_status",
        "request_credentials",
        "tab_open",
        "tab_focus",
        "tab_reload",
        "tab_restore",
        "ws_reconnect",
        "controller_reload",
    ] {
        assert!(text.contains(name), "{text}");
        assert_eq!(serde_json::to_value(parsed(name).unwrap().name).unwrap(), name);
    }
    for bad in ["", "tab_open --timeout-ms 0", "tab_open --timeout-ms 3600001", "tab_open x"] {
        assert_eq!(parsed(bad).unwrap_err().exit_code(), 2, "{bad}");
    }
}

#[test]
fn the_time_limit_of_the_response_exceeds_that_of_the_action() {
    assert!(parsed("tab_open --timeout-ms 60000").unwrap().reply_timeout().unwrap() > Duration::from_secs(60));
    assert_eq!(parsed("tab_open").unwrap().reply_timeout(), None, "the daemon's own setting applies");
}

#[actix_rt::test]
async fn a_restore_lists_each_platform_and_the_tabs_afterwards() {
    let data = json!({
        "action": "tab_restore", "type": "tab_restore", "client_id": "firefox-1", "platform": null,
        "accepted": true, "completed": true, "failed": true, "reason": "not everything was restored",
        "result": {"skipped_reasons": ["no_permission"]},
        "results": [
            {"ok": true, "platform": "chatgpt", "restored": true, "tab_id": 5},
            {"ok": true, "platform": "claude", "skipped": "not_wanted"},
            {"ok": false, "platform": "gemini", "skipped": "no_permission"},
            {"ok": false, "platform": "x", "shell_runtime": {"platform": "x", "actual": {"issue": "crashed"}}},
        ],
        "shell_runtime": [
            {"platform": "chatgpt", "desired": {"exists": true}, "actual": {"exists": true, "tab_id": 5,
             "url": "https://chatgpt.com/"}, "drift": {"aligned": true}},
            {"platform": "claude", "desired": {"exists": false}, "actual": {"exists": true, "tab_id": 6}},
            {"platform": "gemini", "desired": {"exists": true}, "actual": {"exists": false},
             "drift": {"aligned": false, "reason": "tab_missing"}},
        ],
    });
    let wanted = "\
tab_restore on firefox-1: failed, not everything was restored
  chatgpt: ok, restored, tab 5
  claude: skipped: not_wanted
  gemini: failed, skipped: no_permission
  x: failed, crashed
tabs afterwards:
  chatgpt: open, tab 5, https://chatgpt.com/
  claude: open, not wanted, tab 6
  gemini: missing, tab_missing
";
    assert_eq!(shown("tab_restore", data).await, (wanted.to_owned(), true));
}

#[actix_rt::test]
async fn the_headline_names_the_result() {
    for (more, wanted, failed) in [
        (json!({"accepted": true, "completed": true, "failed": false}), "done", false),
        (json!({"accepted": true, "completed": true, "failed": false, "reason": "mine"}), "done", false),
        (json!({"completed": true, "failed": false, "reason": "theirs"}), "done, theirs", false),
        (json!({"accepted": true, "completed": false, "failed": false}), "accepted, not completed", false),
        (
            json!({"completed": true, "reconnected": {"connection_id": "c", "after_ms": 812}}),
            "done, back after 812 ms",
            false,
        ),
        (
            json!({"accepted": true, "completed": false, "failed": true, "reason": "no window"}),
            "failed, no window",
            true,
        ),
        (json!({"accepted": false, "completed": false, "failed": false}), "not accepted", true),
    ] {
        let mut data = json!({"action": "ws_reconnect", "client_id": "ff", "platform": "claude"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let line = format!("ws_reconnect claude on ff: {wanted}\n");
        assert_eq!(shown("ws_reconnect --reason mine", data).await, (line, failed), "{more}");
    }
}

#[actix_rt::test]
async fn reasons_are_counted_once_and_control_characters_are_escaped() {
    let counted = json!({"result": {"skipped_reasons": ["a", "b"]}});
    assert_eq!(shown("tab_open", counted).await.0, "tab_open on ff: done\n  skipped: a, b\n");
    let hostile = json!({"action": "\u{1b}[2J", "reason": "a\nb", "results": [{"platform": "\u{9b}x\r"}],
        "shell_runtime": [{"actual": {"url": "\u{202e}"}}]});
    let (text, _) = shown("tab_open", hostile).await;
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
}

#[actix_rt::test]
async fn json_prints_the_daemons_data_and_keeps_the_exit_code() {
    let data = json!({"failed": true, "zz": 1, "reason": "\u{1b}"});
    let (text, failed) = shown("plugin_status --json", data.clone()).await;
    assert!(failed && text.ends_with("}\n") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), completed("action", data));
}

#[actix_rt::test]
async fn a_refusal_of_the_daemon_is_an_error() {
    let refusal = json!({"ok": false, "error": "browser_bridge_unavailable", "message": "No Firefox is connected.",
        "details": {"error_code": "no_active_client"}});
    let error = tried("tab_open --platform claude", 503, &refusal).await.0.unwrap_err();
    assert_eq!(error.to_string(), "browser_bridge_unavailable (no_active_client): No Firefox is connected.");
}

#[test]
fn the_names_are_those_of_the_protocol() {
    let names: Vec<_> = ActionKind::value_variants().iter().map(|kind| kind.to_possible_value().unwrap()).collect();
    let variants = <ActionKind as strum::VariantNames>::VARIANTS;
    assert!(names.iter().map(|name| name.get_name()).eq(variants.iter().copied()));
}
