//! The `token` command: location, rotation, and the effect on a running daemon.

use crate::support::{Daemon, Folder};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const MESSAGES: &str = "/v1/browser/messages";

fn token(state: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.arg("token").args(arguments).arg("--state-dir").arg(state);
    command.env_clear().env("HOME", state).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[actix_rt::test]
async fn a_running_daemon_uses_a_rotated_token_at_once() {
    let daemon = Daemon::start("").await;
    let (state, old) = (daemon.folder().state(), daemon.token());
    assert_eq!(daemon.caller().bearer(&old).get(MESSAGES).await.status, 200);
    let (code, stdout, _) = token(&state, &[], &[]);
    assert!(
        code == Some(0) && stdout.contains(&*state.join("token").to_string_lossy()) && !stdout.contains(&old),
        "{stdout}"
    );

    let (code, stdout, stderr) = token(&state, &["--rotate", "--json"], &[]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["rotated"], &report["daemon"]), (Some(0), &true.into(), &"taken".into()), "{stderr}");
    let new = daemon.token();
    assert!(new != old && !stdout.contains(&new), "the new token is not printed");
    assert_eq!(fs::metadata(state.join("token")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(daemon.caller().bearer(&old).get(MESSAGES).await.error(), (401, "unauthorized".into()));
    assert_eq!(daemon.caller().bearer(&new).get(MESSAGES).await.status, 200);
}

#[actix_rt::test]
async fn a_token_is_rotated_without_a_daemon_too() {
    let folder = Folder::new();
    let (code, stdout, _) = token(&folder.state(), &["--rotate"], &[]);
    assert!(code == Some(0) && stdout.contains("the next one will use it"), "{stdout}");
    let first = fs::read_to_string(folder.state().join("token")).unwrap();
    token(&folder.state(), &["--rotate"], &[]);
    let daemon = Daemon::start_in(folder, "").await;
    assert_ne!(daemon.token(), first.trim());
    assert_eq!(daemon.caller().bearer(&daemon.token()).get(MESSAGES).await.status, 200);
    assert_eq!(daemon.caller().bearer(first.trim()).get(MESSAGES).await.status, 401);
}

#[actix_rt::test]
async fn a_token_of_the_configuration_is_not_rotated() {
    let folder = Folder::new();
    let variables = [("BAA_SHARED_TOKEN", "from-the-environment")];
    let (code, stdout, stderr) = token(&folder.state(), &["--rotate"], &variables);
    assert!(code == Some(1) && stdout.is_empty() && stderr.contains("BAA_SHARED_TOKEN"), "{stderr}");
    assert!(!folder.state().join("token").exists());

    let daemon = Daemon::start_in(folder, "auth.token = \"of-the-file-0123456789\"").await;
    let (code, stdout, _) = token(&daemon.folder().state(), &["--rotate"], &[]);
    assert!(code == Some(1) && stdout.contains("uses another token"), "{stdout}");
    assert_eq!(daemon.caller().bearer("of-the-file-0123456789").get(MESSAGES).await.status, 200);
}

#[actix_rt::test]
async fn a_token_file_of_the_configuration_is_followed() {
    let folder = Folder::new();
    let file = folder.path().join("secret");
    fs::write(&file, "the-first-token-of-all").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::start_in(folder, &format!("auth.token_file = {file:?}")).await;
    assert_eq!(daemon.caller().bearer("the-first-token-of-all").get(MESSAGES).await.status, 200);
    fs::write(&file, "the-second-token-of-all").unwrap();
    assert_eq!(daemon.caller().bearer("the-second-token-of-all").get(MESSAGES).await.status, 200);
    assert_eq!(daemon.caller().bearer("the-first-token-of-all").get(MESSAGES).await.status, 401);
}
