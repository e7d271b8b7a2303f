//! The findings about a web app, for each way in which a request to it can fail.

use super::*;
use crate::cli::{doctor::finding::FindingVerdict, testing::whole};
use serde_json::{Value, from_value, json};

const NOW: WallMs = 1_000_000;

/// The findings for a Firefox with a usable tab and a login, after a change.
fn judged(change: impl FnOnce(&mut Value), explained: Value, named: bool) -> (Vec<Finding>, FetchDecision) {
    let mut browser = json!({
        "bridge": {"clients": [{"client_id": "ff", "shell_runtime": [
            {"platform": "claude", "desired": {"exists": true}, "actual": {"exists": true, "healthy": true}}]}]},
        "platforms": [{"platform": "claude", "shell_url": "https://claude.ai/", "ready": true}],
        "records": [{"platform": "claude", "client_id": "ff", "account": "me", "status": "fresh", "view": "active_only",
            "is_active_client": true}],
        "policy": {"targets": [{"platform": "claude", "client_id": "ff", "consecutive_failures": 5, "last_error": "http_429"}]},
    });
    change(&mut browser);
    let browser: BrowserState<'_> = whole("browser", browser);
    let explained: ExplainedRequest = from_value(explained).unwrap();
    check_platform(&browser, &browser.platforms[0], Some(&explained), named, NOW)
}

fn admit() -> Value {
    json!({"client_id": "ff", "platform": "claude", "would": "admit", "reasons": []})
}

fn lines(findings: &[Finding]) -> Vec<(FindingVerdict, String)> {
    findings.iter().map(|finding| (finding.verdict, format!("{}: {}", finding.name, finding.message))).collect()
}

#[test]
fn without_problems_a_fetch_is_tried() {
    let (findings, decision) = judged(|_| (), admit(), false);
    let wanted = [
        (FindingVerdict::Ok, "claude tab: open in ff".to_owned()),
        (FindingVerdict::Ok, "claude login: fresh as me in ff".to_owned()),
        (FindingVerdict::Ok, "claude policy: a request would be dispatched immediately".to_owned()),
    ];
    assert_eq!((lines(&findings), decision), (wanted.to_vec(), FetchDecision::Send));
}

#[test]
fn a_missing_login_is_a_warning_with_advice() {
    for (records, message) in [
        (json!([]), "logged out: reported by no Firefox"),
        (
            json!([{"platform": "claude", "client_id": "ff", "status": "lost", "view": "active_only"}]),
            "logged out in ff (lost)",
        ),
        (
            json!([{"platform": "claude", "client_id": "old", "status": "lost", "view": "persisted_only"}]),
            "logged out: reported by no connected Firefox, but earlier by old",
        ),
    ] {
        let change = |browser: &mut Value| {
            browser["platforms"][0]["ready"] = json!(false);
            browser["records"] = records;
        };
        let (findings, decision) = judged(change, admit(), false);
        assert_eq!(lines(&findings)[1], (FindingVerdict::Warning, format!("claude login: {message}")));
        assert!(findings[1].to_line().ends_with("log in to https://claude.ai/ in the tab"), "{findings:?}");
        assert_eq!(decision, FetchDecision::Skip);
    }
}

#[test]
fn an_open_circuit_is_reported_with_its_end_and_cause_and_nothing_is_sent() {
    let explained = json!({"client_id": "ff", "platform": "claude", "would": "refuse",
        "reasons": [{"rule": "circuit_open", "until": NOW + 40_001, "delay_ms": 40_001}]});
    let (findings, decision) = judged(|_| (), explained, false);
    let message = "claude policy: a request would be refused: the circuit is open, about 41 s, after 5 consecutive errors, \
                   most recently 429";
    assert_eq!((&lines(&findings)[2], decision), (&(FindingVerdict::Warning, message.to_owned()), FetchDecision::Skip));
}

#[test]
fn a_fetch_is_tried_after_a_short_wait_but_not_after_a_long_one() {
    for (delay_ms, decision) in [(3_000, FetchDecision::Send), (30_000, FetchDecision::Skip)] {
        let explained = json!({"platform": "claude", "would": "wait", "reasons": [{"rule": "jitter", "delay_ms": delay_ms, "position": 1}]});
        let (findings, found) = judged(|_| (), explained, false);
        assert_eq!((found, findings[2].verdict), (decision, FindingVerdict::Ok), "{delay_ms}");
        assert!(findings[2].message.contains("a random pause, position 1 in the queue"), "{findings:?}");
    }
}

#[test]
fn missing_and_unusable_tabs_are_warnings() {
    let with = |tab: Value| {
        let (findings, _) =
            judged(|browser| browser["bridge"]["clients"][0]["shell_runtime"] = json!([tab]), admit(), false);
        lines(&findings)[0].clone()
    };
    let tab =
        |desired: bool, actual: Value| json!({"platform": "claude", "desired": {"exists": desired}, "actual": actual});
    assert_eq!(with(tab(true, json!({"exists": false}))).1, "claude tab: missing in ff");
    let unusable = with(tab(true, json!({"exists": true, "healthy": false, "issue": "login_page"})));
    assert_eq!(unusable, (FindingVerdict::Warning, "claude tab: open in ff, but not usable: login_page".to_owned()));
    assert_eq!(with(json!({"platform": "gemini"})).1, "claude tab: no tab is reported");
}

#[test]
fn an_unused_platform_is_ok_unless_it_is_named() {
    let unused = |browser: &mut Value| {
        browser["bridge"]["clients"][0]["shell_runtime"] = json!([]);
        (browser["records"], browser["platforms"][0]["ready"]) = (json!([]), json!(false));
    };
    let (findings, decision) = judged(unused, admit(), false);
    assert_eq!(
        (lines(&findings), decision),
        (vec![(FindingVerdict::Ok, "claude: not in use".to_owned())], FetchDecision::Skip)
    );
    let (findings, _) = judged(unused, admit(), true);
    assert!(findings[..2].iter().all(|finding| finding.verdict == FindingVerdict::Warning), "{findings:?}");
}

#[test]
fn without_a_firefox_there_are_no_findings() {
    let (findings, decision) = judged(|browser| browser["bridge"]["clients"] = json!([]), admit(), true);
    assert_eq!((findings, decision), (vec![], FetchDecision::Skip));
}

#[test]
fn extractor_drift_is_a_warning() {
    let (findings, _) = judged(|browser| browser["platforms"][0]["extractor_drift"] = json!(3), admit(), false);
    assert!(
        lines(&findings)[2].1.starts_with("claude messages: the app's traffic had an unknown format"),
        "{findings:?}"
    );
}
