//! The questions that a daemon is asked, and what is made of its answers when it is not well.

use super::*;
use crate::cli::{
    doctor::finding::Verdict,
    stub::{Seen, Stub, json},
};

fn data(data: &str) -> String {
    format!(r#"{{"ok":true,"data":{data}}}"#)
}

/// A daemon that is well, with no Firefox.
fn well(seen: &Seen) -> (u16, String) {
    match &*seen.line {
        "GET /version" => (200, data(&format!(r#"{{"version":"{}"}}"#, crate::VERSION))),
        "GET /readyz" => (200, data(r#"{"status":"ready"}"#)),
        "GET /v1/system/state" => (200, data(r#"{"mode":"running"}"#)),
        "GET /describe/control" => {
            let host = r#"{"sandbox":"off","sandbox_available":true,"instructions_sandbox":"landlock","instructions_sandbox_available":true}"#;
            (200, data(&format!(r#"{{"host_operations":{host}}}"#)))
        }
        "GET /v1/browser" => (200, data(r#"{"platforms":[{"platform":"claude"}]}"#)),
        "GET /v1/browser/pairings" => (200, data(r#"{"pairings":[{"client_id":"ff","status":"waiting"}],"count":1}"#)),
        _ => (404, r#"{"ok":false,"error":"not_found","message":"No."}"#.to_owned()),
    }
}

async fn asked(
    platform: Option<&str>,
    answer: impl Fn(&Seen) -> Option<(u16, String)> + Send + Sync + 'static,
) -> Vec<Finding> {
    let stub = Stub::new(move |seen| {
        let (status, body) = answer(seen).unwrap_or_else(|| well(seen));
        json(status, &body)
    });
    let daemon = Daemon { pid: 7, http: stub.base.clone(), ws: String::new(), started_at: 1 };
    let arguments = Arguments { platform: platform.map(str::to_owned), no_fetch: false, json: false };
    let asked = Asked { client: Client::new(&stub.base, None).unwrap(), pairing: Pairing::Required };
    asked.all(&daemon, &arguments).await
}

fn named<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("no {name} in {findings:?}"))
}

#[actix_rt::test]
async fn a_daemon_that_is_well_has_its_firefox_looked_for_and_who_waits_for_pairing() {
    let findings = asked(None, |_| None).await;
    for (name, verdict) in [
        ("daemon", Verdict::Ok),
        ("store", Verdict::Ok),
        ("sandbox", Verdict::Ok),
        ("mode", Verdict::Ok),
        ("firefox", Verdict::Warning),
        ("pairing", Verdict::Warning),
    ] {
        assert_eq!(named(&findings, name).verdict, verdict, "{name}");
    }
    assert!(named(&findings, "pairing").sentence().contains("not paired yet: ff; type the six digits"), "{findings:?}");
}

#[actix_rt::test]
async fn a_store_that_cannot_be_written_is_a_failure_with_its_reasons() {
    let broken = r#"{"ok":false,"error":"store_unavailable","message":"The database cannot be read or written.",
        "details":{"reasons":["the store cannot be written"]}}"#;
    let findings = asked(None, move |seen| seen.line.ends_with("/readyz").then(|| (503, broken.to_owned()))).await;
    let store = named(&findings, "store");
    assert!(store.verdict == Verdict::Failure && store.message.ends_with("the store cannot be written"), "{store:?}");
}

#[actix_rt::test]
async fn a_daemon_of_another_version_and_a_mode_that_holds_requests_up_are_warnings() {
    let findings = asked(None, |seen| match &*seen.line {
        "GET /version" => Some((200, data(r#"{"version":"0.0.0"}"#))),
        "GET /v1/system/state" => Some((200, data(r#"{"mode":"draining","reason":"night"}"#))),
        _ => None,
    });
    let findings = findings.await;
    assert_eq!(named(&findings, "daemon").verdict, Verdict::Warning);
    assert_eq!(named(&findings, "mode").message, "draining (night): no new request is taken");
}

#[actix_rt::test]
async fn a_daemon_that_does_not_answer_is_the_last_that_is_said() {
    let findings = asked(None, |_| Some((200, "not JSON".to_owned()))).await;
    assert!(findings.len() == 1 && findings[0].verdict == Verdict::Failure, "{findings:?}");
    assert!(findings[0].message.starts_with("pid 7 holds the state folder, but"), "{findings:?}");
}

#[actix_rt::test]
async fn an_unknown_platform_is_a_failure() {
    let findings = asked(Some("clod"), |_| None).await;
    assert_eq!(named(&findings, "platform").verdict, Verdict::Failure);
}
