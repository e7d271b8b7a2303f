//! Hostile text on the terminal of the operator who reads it and decides on it.

mod everywhere;

use crate::{
    instructions::{batch, block, id_of, start, submit_with, tamper},
    support::{Caller, Folder, Terminal, terminal::END_OF_INPUT, until},
};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Runs the command line on a state folder.
fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(arguments).arg("--state-dir").arg(state).env_clear().env("HOME", state).env("TERM", "xterm");
    command
}

/// Creates a waiting batch whose one command is this.
async fn waiting(caller: &Caller, id: &str, command: &str) -> String {
    let text = block(&format!("@conductor::exec::{}", json!({ "command": command })));
    id_of(&submit_with(caller, id, &text, "require_approval", true).await.data())
}

/// One that leaves a file behind.
async fn leaving(caller: &Caller, id: &str, file: &Path) -> String {
    waiting(caller, id, &format!("touch {}", file.display())).await
}

fn approve<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["instructions", "approve", id][..], more].concat()
}

async fn status(caller: &Caller, id: &str) -> Value {
    batch(caller, id).await["status"].clone()
}

async fn executed(caller: &Caller, id: &str) {
    until("execution", async || (status(caller, id).await == "executed").then_some(())).await;
}

#[actix_rt::test]
async fn a_batch_is_shown_before_it_is_decided_and_only_a_yes_approves_it() {
    let (daemon, caller) = start("").await;
    let (state, file) = (daemon.folder().state(), daemon.folder().path().join("ran"));
    let id = leaving(&caller, "m", &file).await;
    for answer in ["\n", "n\n", "maybe\n", END_OF_INPUT] {
        let mut terminal = Terminal::new(200);
        let mut child = terminal.starts(&mut command(&state, &approve(&id, &[])));
        terminal.shows("[y/N]").await;
        assert!(terminal.screen().contains(&format!("$ touch {}\n", file.display())), "{}", terminal.screen());
        assert!(terminal.screen().contains("runs in no sandbox"), "{}", terminal.screen());
        terminal.types(answer);
        let (code, screen) = terminal.ended(&mut child).await;
        assert!(code == Some(1) && screen.contains("not approved"), "{answer:?}: {screen}");
        assert_eq!(status(&caller, &id).await, "pending_approval", "{answer:?}");
    }
    let mut terminal = Terminal::new(200);
    let mut child = terminal.starts(&mut command(&state, &approve(&id, &[])));
    terminal.shows("[y/N]").await;
    assert!(!file.exists());
    terminal.types("y\n");
    let (code, screen) = terminal.ended(&mut child).await;
    assert!(code == Some(0) && screen.ends_with("approved; batch status: queued\n"), "{screen}");
    executed(&caller, &id).await;
    assert!(file.exists());
}

#[actix_rt::test]
async fn what_was_typed_before_the_batch_was_shown_approves_nothing() {
    let (daemon, caller) = start("").await;
    let id = leaving(&caller, "m", &daemon.folder().path().join("ran")).await;
    let mut terminal = Terminal::new(200);
    terminal.types("y\ny\n");
    let mut child = terminal.starts(&mut command(&daemon.folder().state(), &approve(&id, &[])));
    terminal.shows("[y/N]").await;
    terminal.types("n\n");
    let (code, screen) = terminal.ended(&mut child).await;
    assert!(code == Some(1) && screen.contains("not approved"), "{screen}");
    assert_eq!(status(&caller, &id).await, "pending_approval");
}

#[actix_rt::test]
async fn without_a_terminal_an_approval_wants_its_yes_in_words() {
    let (daemon, caller) = start("").await;
    let (state, file) = (daemon.folder().state(), daemon.folder().path().join("ran"));
    let id = leaving(&caller, "m", &file).await;
    let answered = || {
        let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
        let input = Stdio::from(yes.stdout.take().unwrap());
        let said = command(&state, &approve(&id, &[])).stdin(input).output().unwrap();
        yes.kill().unwrap_or_default();
        yes.wait().unwrap();
        said
    };
    let unanswered = || command(&state, &approve(&id, &[])).stdin(Stdio::null()).output().unwrap();
    for refused in [answered(), unanswered()] {
        let why = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(2) && why.contains("--yes") && why.contains("terminal"), "{why}");
        assert!(refused.stdout.is_empty());
    }
    assert_eq!(status(&caller, &id).await, "pending_approval");
    let other = command(&state, &approve(&id, &["--yes", "--digest", "sha256:other"])).output().unwrap();
    let why = String::from_utf8(other.stderr).unwrap();
    assert!(other.status.code() == Some(1) && why.contains("approval_stale"), "{why}");
    let done = command(&state, &approve(&id, &["--yes"])).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.contains(&format!("$ touch {}\n", file.display())), "{said}");
    executed(&caller, &id).await;
}

#[actix_rt::test]
async fn a_batch_that_changed_while_it_was_read_is_not_approved() {
    let (daemon, caller) = start("").await;
    let (state, file) = (daemon.folder().state(), daemon.folder().path().join("ran"));
    for (message, change) in [("changed", true), ("rejected", false)] {
        let id = leaving(&caller, message, &file).await;
        let mut terminal = Terminal::new(200);
        let mut child = terminal.starts(&mut command(&state, &approve(&id, &[])));
        terminal.shows("[y/N]").await;
        if change {
            tamper(&daemon, "UPDATE instruction_batches SET plan = replace(plan, 'touch', 'touch -c')").await;
        } else {
            caller.post(&format!("/v1/instructions/{id}/reject"), &json!({})).await.data();
        }
        terminal.types("yes\n");
        let (code, screen) = terminal.ended(&mut child).await;
        assert!(code == Some(1) && screen.contains("approval_stale"), "{message}: {screen}");
    }
    assert!(!file.exists());
}

#[actix_rt::test]
async fn no_end_of_a_command_is_out_of_sight_and_no_line_of_it_passes_for_ours() {
    let (daemon, caller) = start("").await;
    let (blanks, lines, long) = (" ".repeat(5_000), "\n".repeat(5_000), "a".repeat(300));
    let hostile =
        format!("echo hello{blanks}; rm -rf one{lines}rm -rf two\napproved; batch status: queued\necho {long}\u{301}");
    let id = waiting(&caller, "m", &hostile).await;
    let mut terminal = Terminal::new(60);
    let mut child = terminal.starts(&mut command(&daemon.folder().state(), &["instructions", "show", &id]));
    let (code, screen) = terminal.ended(&mut child).await;
    assert_eq!(code, Some(0), "{screen}");
    for line in [
        "  $ echo hello␣5000 blanks␣; rm -rf one",
        "  $ ␣4999 empty lines␣",
        "  $ rm -rf two",
        "  $ approved; batch status: queued",
        &format!("  $ echo {}", "a".repeat(50)),
        &format!("  ↪ {}", "a".repeat(55)),
    ] {
        assert!(screen.lines().any(|shown| shown == line), "{line}\nin\n{screen}");
    }
    let counted = "  command, 5003 lines, ";
    assert!(screen.contains(counted), "{screen}");
    assert!(screen.lines().all(|line| line.chars().filter(|c| *c != '\u{301}').count() < 60), "{screen}");
    assert!(screen.lines().count() < 40, "{screen}");
}

#[actix_rt::test]
async fn every_part_of_what_would_run_is_shown() {
    let (daemon, caller) = start("").await;
    let exec = json!({"command": ["ls", "-l"], "cwd": "/tmp", "env": {"PA\u{200b}TH": "/evil"}, "stdin": "one\ntwo\n"});
    let write = json!({"path": "/tmp/x", "content": format!("first\n{}last", "\n".repeat(40)), "mode": "0755"});
    let text = block(&format!("@system::exec::{exec}")) + &block(&format!("@system::files/write::{write}"));
    let id = id_of(&submit_with(&caller, "m", &text, "require_approval", true).await.data());
    let shown = command(&daemon.folder().state(), &["instructions", "show", &id]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "  cwd, 4 bytes",
        "  : /tmp",
        "  env.PA\\u{200b}TH, 5 bytes",
        "  : /evil",
        "  stdin, 2 lines, 8 bytes",
        "  : two",
        "  path, 6 bytes",
        "  content, 42 lines, 50 bytes",
        "  : first",
        "  : ␣40 empty lines␣",
        "  : last",
        "  mode, 4 bytes",
    ] {
        assert!(shown.lines().any(|one| one == line), "{line}\nin\n{shown}");
    }
    assert!(shown.contains("\"-l\""), "{shown}");
}

#[actix_rt::test]
async fn a_log_on_a_terminal_holds_nothing_hidden() {
    for format in ["text", "json"] {
        let folder = Folder::new();
        let mut terminal = Terminal::new(200);
        let mut serve = folder.command("");
        let mut child = terminal.starts(serve.args(["--log", "debug", "--log-format", format]).env("TERM", "xterm"));
        let ready = async || {
            let screen = terminal.screen();
            let line = screen.split_inclusive('\n').find(|line| line.starts_with("ready ") && line.ends_with('\n'));
            line.and_then(|line| line.split_whitespace().nth(2)).map(str::to_owned)
        };
        let url = until("ready line", ready).await;
        let firefox = Firefox::connect(&url, FirefoxProfile::manual("ff")).await.unwrap();
        let said = json!({"type": "client_log", "level": "error", "message": everywhere::HOSTILE});
        firefox.send_json(&said).await.unwrap();
        terminal.shows("the end of it").await;
        child.kill().unwrap();
        let (_, screen) = terminal.ended(&mut child).await;
        // The log's own colours: of times, targets and levels.
        let bare = ["\u{1b}[2m", "\u{1b}[34m", "\u{1b}[35m"].iter().fold(screen, |text, code| text.replace(code, ""));
        everywhere::assert_honest(&format!("a log as {format}"), &bare);
    }
}
