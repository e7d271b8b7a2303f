//! The reported location of the token, and a daemon's response to a new one.

use super::*;
use crate::cli::testing::stub_daemon::{StubDaemon, json};

fn folder(exists: bool) -> TokenLocation {
    TokenLocation::StateFolder { path: "/s/token".into(), exists }
}

#[test]
fn every_location_is_described_with_its_origin() {
    let configured = TokenLocation::Configuration { origin: "environment variable BAA_SHARED_TOKEN".into() };
    let file = TokenLocation::TokenFile { path: "/t".into(), origin: "/c/conductor.toml".into() };
    for (location, text) in [
        (configured, "the token is auth.token, from environment variable BAA_SHARED_TOKEN"),
        (file, "the token is in /t (auth.token_file, from /c/conductor.toml)"),
        (folder(true), "the token is in /s/token"),
        (folder(false), "there is no token yet; the daemon creates it in /s/token at its first start"),
    ] {
        assert_eq!(location.describe(), text);
    }
}

#[test]
fn json_names_the_source_and_the_result() {
    let shown = TokenReport { location: folder(true), rotated: true, daemon: Some(RotationResult::NotRunning) };
    let wanted = serde_json::json!({"source": "state_folder", "path": "/s/token", "exists": true, "rotated": true,
        "daemon": "not_running"});
    assert_eq!(serde_json::to_value(shown).unwrap(), wanted);
}

#[actix_rt::test]
async fn a_refused_token_is_distinguished_from_other_refusals() {
    let answer = |code: &str| format!(r#"{{"ok":false,"error":"{code}","message":"No."}}"#);
    for (status, body, wanted) in [
        (200, r#"{"ok":true,"data":{"messages":[],"count":0}}"#.to_owned(), RotationResult::Taken),
        (503, answer("store_unavailable"), RotationResult::Taken),
        (401, answer("unauthorized"), RotationResult::Refused),
        (429, answer("auth_throttled"), RotationResult::Refused),
    ] {
        let stub = StubDaemon::new(move |_| json(status, &body));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        assert_eq!(show_new_token(&client).await.unwrap(), wanted, "{status}");
    }
}
