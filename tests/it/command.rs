//! `request --prompt` as a user runs it: what stands on stdout and stderr, and how it exits.

use crate::support::{Daemon, automatic, cancel_of, connect, daemon::exit_code, handled, manual};
use baa_conductor::simulator::{CompletionShape, FirefoxProfile, WebApp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::{
    fs::{self, File},
    io::Write as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A command under way, whose output goes to files in the daemon's folder.
struct Asking<'a> {
    daemon: &'a Daemon,
    child: Child,
}

fn asking<'a>(daemon: &'a Daemon, arguments: &[&str], stdin: &str) -> Asking<'a> {
    let state = daemon.folder().state();
    let file = |name: &str| File::create(state.join(name)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["request", "--platform", "claude"]).args(arguments).arg("--state-dir").arg(&state);
    command.env_clear().env("HOME", &state).stdin(Stdio::piped()).stdout(file("out")).stderr(file("err"));
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    Asking { daemon, child }
}

impl Asking<'_> {
    /// Its exit code, what it printed and what it said beside that.
    async fn ended(mut self) -> (Option<i32>, String, String) {
        let code = exit_code(&mut self.child).await;
        let read = |name: &str| fs::read_to_string(self.daemon.folder().state().join(name)).unwrap();
        (code, read("out"), read("err"))
    }
}

#[actix_rt::test]
async fn the_assistants_text_is_printed_and_nothing_else() {
    let daemon = Daemon::start("").await;
    for (name, shape) in [("older", CompletionShape::Completion), ("newer", CompletionShape::Blocks)] {
        let mut profile = FirefoxProfile::new(name);
        profile.app = WebApp::new().with_answer("so be it").with_pace(Duration::ZERO).with_shape(shape);
        let firefox = connect(&daemon, profile).await;
        let told = asking(&daemon, &["--prompt", "-"], "well,\nthen?\n").ended().await;
        assert_eq!(told, (Some(0), "so be it\n".into(), String::new()), "{name}");
        assert_eq!(firefox.received_of("api_request").last().unwrap()["body"], json!({"prompt": "well,\nthen?"}));
    }
    let _firefox = automatic(&daemon, "ff").await;
    let told = asking(&daemon, &["--prompt", "x", "--json"], "").ended().await;
    let frames: Vec<serde_json::Value> = told.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((told.0, &frames[0]["data"]["conversation"]["conversation_id"]), (Some(0), &json!("conv-1")));
    assert_eq!((&frames[0]["event"], &frames.last().unwrap()["event"]), (&json!("stream_open"), &json!("stream_end")));
}

#[actix_rt::test]
async fn the_exit_code_says_who_said_no() {
    let daemon = Daemon::start("").await;
    let none = asking(&daemon, &["--prompt", "x"], "").ended().await;
    assert!(none.0 == Some(1) && none.2.contains("no_active_client"), "{none:?}");
    let firefox = manual(&daemon, "ff").await;
    for (arguments, said) in [
        (&["--prompt", "x", "--client-id", "other"][..], "client_not_found"),
        (&["--prompt", "x", "--conversation-id", ".."], "conversation_id"),
        (&["--path", "/", "--client", "other"], "browser_client_not_found"),
    ] {
        let refused = asking(&daemon, arguments, "").ended().await;
        assert!(refused.0 == Some(4) && refused.1.is_empty() && refused.2.contains(said), "{refused:?}");
    }
    let command = asking(&daemon, &["--prompt", "x"], "");
    firefox.next_request().await.unwrap().answer(403, json!({"error": "no"})).await.unwrap();
    assert_eq!(command.ended().await.0, Some(5));
    let command = asking(&daemon, &["--prompt", "x"], "");
    firefox.next_request().await.unwrap().answer(200, json!([])).await.unwrap();
    assert_eq!(command.ended().await.0, Some(5), "what the app answered cannot be used");
    let usage = asking(&daemon, &["--prompt", "x", "--path", "/", "--conversation-id", "c"], "").ended().await;
    assert_eq!(usage.0, Some(2));
}

#[actix_rt::test]
async fn ctrl_c_stops_the_step_under_way() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let command = asking(&daemon, &["--prompt", "x"], "");
    let held = firefox.next_request().await.unwrap();
    let pid = i32::try_from(command.child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(cancel_of(&firefox, held.id()).await["reason"], "ctrl-c");
    held.fail("request_cancelled", Some(499)).await.unwrap();
    let told = command.ended().await;
    assert_eq!((told.0, &*told.1, told.2.contains("cancelled")), (Some(130), "", true), "{told:?}");
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

#[actix_rt::test]
async fn an_answer_in_an_unknown_form_is_printed_as_it_came() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let command = asking(&daemon, &["--prompt", "x", "--conversation-id", "c"], "");
    firefox.next_request().await.unwrap().answer(200, json!([{"uuid": "org-1"}])).await.unwrap();
    let completion = firefox.next_request().await.unwrap();
    completion.event("verse", json!({"verse": 1})).await.unwrap();
    completion.end(200).await.unwrap();
    let told = command.ended().await;
    assert_eq!((told.0, &*told.1), (Some(0), "{\"verse\":1}\n"));
    assert!(told.2.contains("not of a known form"), "{told:?}");
}
