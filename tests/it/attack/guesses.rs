//! Guessed tokens and codes: one user has one limit, from however many addresses.

use super::trusted_files::refused;
use crate::support::{
    Answer, Caller, Connection, Daemon, Folder,
    users::{Home, OWNER, STRANGER, User, has_other_users},
};
use serde_json::json;
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt};
use tokio::net::TcpSocket;

/// Sends one request as this user from an address of its choice: all of 127/8 belongs to this machine.
async fn sends_from(user: Option<User>, source: [u8; 4], caller: &Caller, path: &str, body: &str) -> Answer {
    let make = || TcpSocket::new_v4().unwrap();
    let socket = user.map_or_else(make, |user| user.makes(make));
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let mut connection = Connection::from_tokio(socket.connect(caller.address()).await.unwrap());
    connection.write(&caller.head("POST", path, Some(body.as_bytes()))).await;
    connection.answer(false).await
}

/// Returns the responses to fifteen guesses, each from another address.
async fn guesses(user: Option<User>, from: u8, caller: &Caller, path: &str, body: &str) -> Vec<u16> {
    let mut seen = Vec::new();
    for n in 0..15 {
        seen.push(sends_from(user, [127, from, n, 5], caller, path, body).await.status);
    }
    seen
}

/// Ten attempts are checked, and no more.
fn ten(wrong: u16) -> Vec<u16> {
    [vec![wrong; 10], vec![429; 5]].concat()
}

/// A route that requires the token.
const GUARDED: &str = "/v1/browser/messages?limit=1";
const EXEC: &str = r#"{"command":"true"}"#;

#[actix_rt::test]
async fn one_user_has_ten_tries_from_all_its_addresses_together() {
    let daemon = Daemon::start("").await;
    let wrong = daemon.caller().bearer("wrong");
    assert_eq!(guesses(None, 9, &wrong, "/v1/exec", EXEC).await, ten(401));
    assert_eq!(
        wrong.post("/v1/exec", &json!({})).await.error(),
        (429, "auth_throttled".into()),
        "127.0.0.1 is none else"
    );
    let code = json!({ "code": "0".repeat(64) }).to_string();
    assert_eq!(guesses(None, 9, &daemon.caller(), "/v1/session", &code).await, ten(403));
    assert_eq!(daemon.caller().bearer(&daemon.token()).get(GUARDED).await.status, 200);
}

#[actix_rt::test]
async fn another_users_guesses_are_counted_by_user_and_lock_out_no_other() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("").await;
    let wrong = daemon.caller().bearer("wrong");
    let code = json!({ "code": "0".repeat(64) }).to_string();
    for (caller, path, body, refused) in
        [(&wrong, "/v1/exec", EXEC, 401), (&daemon.caller(), "/v1/session", &*code, 403)]
    {
        assert_eq!(guesses(Some(STRANGER), 7, caller, path, body).await, ten(refused), "{path}");
        // From the same address.
        assert_eq!(sends_from(Some(OWNER), [127, 7, 0, 5], caller, path, body).await.status, refused, "{path}");
        assert_eq!(sends_from(Some(User::numbered(1)), [127, 7, 0, 5], caller, path, body).await.status, refused);
        assert_eq!(sends_from(Some(STRANGER), [127, 7, 99, 5], caller, path, body).await.status, 429, "{path}");
    }
}

#[actix_rt::test]
async fn a_token_that_can_be_guessed_is_not_taken() {
    for short in ["zz", "hush", "123456789012345"] {
        let folder = Folder::new();
        let command = folder.command(&format!("auth.token = {short:?}"));
        let (_, said) = refused(command, &folder.path().join("said")).await;
        assert!(said.contains("auth.token") && said.contains("16 characters") && !said.contains(short), "{said}");

        let folder = Folder::new();
        let file = folder.path().join("secret");
        fs::write(&file, short).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let command = folder.command(&format!("auth.token_file = {file:?}"));
        let (_, said) = refused(command, &folder.path().join("said")).await;
        assert!(said.contains("16 characters") && said.contains(file.to_str().unwrap()), "{said}");
    }
    let daemon = Daemon::start("auth.token = '1234567890123456'").await;
    let known = daemon.caller().bearer("1234567890123456");
    assert_eq!(known.get(GUARDED).await.status, 200);
}
