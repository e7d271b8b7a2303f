//! The requests to the daemon, and the findings for its responses.

use super::*;
use crate::cli::{
    doctor::finding::FindingVerdict,
    testing::{
        completed,
        stub_daemon::{ReceivedRequest, StubDaemon, json},
    },
};

fn data(data: &str) -> String {
    format!(r#"{{"ok":true,"data":{data}}}"#)
}

/// The responses of a healthy daemon without a Firefox.
fn well(seen: &ReceivedRequest) -> (u16, String) {
    match &*seen.line {
        "GET /version" => (200, data(&format!(r#"{{"version":"{}"}}"#, crate::VERSION))),
        "GET /readyz" => (200, data(r#"{"status":"ready"}"#)),
        "GET /v1/system/state" => (200, data(r#"{"mode":"running"}"#)),
        "GET /describe/control" => {
            let host = r#"{"sandbox":"off","sandbox_available":true,"instructions_sandbox":"landlock","instructions_sandbox_available":true}"#;
            (200, data(&format!(r#"{{"host_operations":{host}}}"#)))
        }
        "GET /v1/browser" => (200, data(&completed("browser", serde_json::json!({"platforms": [{}]})).to_string())),
        "GET /v1/browser/pairings" => (200, data(r#"{"pairings":[{"client_id":"ff","status":"waiting"}],"count":1}"#)),
        _ => (404, r#"{"ok":false,"error":"not_found","message":"No."}"#.to_owned()),
    }
}

async fn run_against(
    platform: Option<&str>,
    answer: impl Fn(&ReceivedRequest) -> Option<(u16, String)> + Send + Sync + 'static,
) -> Vec<Finding> {
    let stub = StubDaemon::new(move |seen| {
        let (status, body) = answer(seen).unwrap_or_else(|| well(seen));
        json(status, &body)
    });
    let daemon = DaemonInfo { pid: 7, http: stub.base.clone(), ws: String::new(), started_at: 1 };
    let arguments = DoctorArguments { platform: platform.map(str::to_owned), no_fetch: false, json: false };
    let checks = DaemonChecks { client: DaemonClient::new(&stub.base, None).unwrap(), pairing: PairingMode::Required };
    checks.run_all(&daemon, &arguments).await
}

fn named<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("no {name} in {findings:?}"))
}

#[actix_rt::test]
async fn a_healthy_daemon_without_firefox_yields_warnings_for_firefox_and_pairing() {
    let findings = run_against(None, |_| None).await;
    for (name, verdict) in [
        ("daemon", FindingVerdict::Ok),
        ("store", FindingVerdict::Ok),
        ("sandbox", FindingVerdict::Ok),
        ("mode", FindingVerdict::Ok),
        ("firefox", FindingVerdict::Warning),
        ("pairing", FindingVerdict::Warning),
    ] {
        assert_eq!(named(&findings, name).verdict, verdict, "{name}");
    }
    assert!(
        named(&findings, "pairing").to_line().contains("waiting for pairing: ff; enter the six digits"),
        "{findings:?}"
    );
}

#[actix_rt::test]
async fn a_store_that_cannot_be_written_is_a_failure_with_its_reasons() {
    let broken = r#"{"ok":false,"error":"store_unavailable","message":"The database cannot be read or written.",
        "details":{"reasons":["the store cannot be written"]}}"#;
    let findings =
        run_against(None, move |seen| seen.line.ends_with("/readyz").then(|| (503, broken.to_owned()))).await;
    let store = named(&findings, "store");
    assert!(
        store.verdict == FindingVerdict::Failure && store.message.ends_with("the store cannot be written"),
        "{store:?}"
    );
}

#[actix_rt::test]
async fn another_version_and_a_draining_daemon_are_warnings() {
    let findings = run_against(None, |seen| match &*seen.line {
        "GET /version" => Some((200, data(r#"{"version":"0.0.0"}"#))),
        "GET /v1/system/state" => Some((200, data(r#"{"mode":"draining","reason":"night"}"#))),
        _ => None,
    });
    let findings = findings.await;
    assert_eq!(named(&findings, "daemon").verdict, FindingVerdict::Warning);
    assert_eq!(named(&findings, "mode").message, "draining (night): new requests are refused");
}

#[actix_rt::test]
async fn a_daemon_that_does_not_respond_is_the_only_finding() {
    let findings = run_against(None, |_| Some((200, "not JSON".to_owned()))).await;
    assert!(findings.len() == 1 && findings[0].verdict == FindingVerdict::Failure, "{findings:?}");
    assert!(findings[0].message.starts_with("pid 7 holds the state folder, but"), "{findings:?}");
}

#[actix_rt::test]
async fn an_unknown_platform_is_a_failure() {
    let findings = run_against(Some("clod"), |_| None).await;
    assert_eq!(named(&findings, "platform").verdict, FindingVerdict::Failure);
}
