//! A command that waits for its user while the daemon ends: the program that takes the port then does not receive the
//! token.

use crate::{
    instructions::{block, id_of, start, submit_with},
    support::{Terminal, until},
};
use serde_json::json;
use std::{
    io::{ErrorKind, Read},
    net::TcpListener,
    process::Command,
};

#[actix_rt::test]
async fn what_listens_in_the_daemons_place_gets_nothing_from_a_command_that_waited() {
    let (daemon, caller) = start("").await;
    let (address, state) = (daemon.address, daemon.folder().state());
    let text = block(&format!("@conductor::exec::{}", json!({ "command": "true" })));
    let id = id_of(&submit_with(&caller, "m", &text, "require_approval", true).await.data());
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["instructions", "approve", &id, "--state-dir"]).arg(&state);
    command.env_clear().env("HOME", &state).env("TERM", "xterm");
    let mut terminal = Terminal::new(200);
    let mut child = terminal.starts(&mut command);
    terminal.shows("[y/N]").await;

    // A killed daemon leaves its announcement in place.
    let folder = daemon.kill().await;
    assert!(folder.state().join("daemon.json").exists());
    let taken = until("the port", async || TcpListener::bind(address).ok()).await;
    taken.set_nonblocking(true).unwrap();
    terminal.types("y\n");
    let ended = terminal.ended(&mut child);
    let (code, screen) = ended.await;
    let called = taken.accept().map(|(mut stream, _)| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap_or_default();
        text
    });
    assert_eq!(called.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock), "{screen}");
    assert!(code == Some(1) && screen.contains("no daemon is running"), "{screen}");
}
