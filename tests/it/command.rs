//! `request --prompt` as a user runs it: stdout, stderr and exit codes.

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

/// A running command, whose output goes to files in the daemon's folder.
struct RunningCommand<'a> {
    daemon: &'a Daemon,
    child: Child,
}

fn request<'a>(daemon: &'a Daemon, arguments: &[&str], stdin: &str) -> RunningCommand<'a> {
    let state = daemon.folder().state();
    let file = |name: &str| File::create(state.join(name)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["request", "--platform", "claude"]).args(arguments).arg("--state-dir").arg(&state);
    command.env_clear().env("HOME", &state).stdin(Stdio::piped()).stdout(file("out")).stderr(file("err"));
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    RunningCommand { daemon, child }
}

impl RunningCommand<'_> {
    /// Waits for its end and returns its exit code, stdout and stderr.
    async fn output(mut self) -> (Option<i32>, String, String) {
        let code = exit_code(&mut self.child).await;
        let read = |name: &str| fs::read_to_string(self.daemon.folder().state().join(name)).unwrap();
        (code, read("out"), read("err"))
    }
}

#[actix_rt::test]
async fn only_the_assistants_text_is_printed() {
    let daemon = Daemon::start("").await;
    for (name, shape) in [("older", CompletionShape::Completion), ("newer", CompletionShape::Blocks)] {
        let mut profile = FirefoxProfile::new(name);
        profile.app = WebApp::new().with_answer("so be it").with_pace(Duration::ZERO).with_shape(shape);
        let firefox = connect(&daemon, profile).await;
        let output = request(&daemon, &["--prompt", "-"], "well,\nthen?\n").output().await;
        assert_eq!(output, (Some(0), "so be it\n".into(), String::new()), "{name}");
        assert_eq!(firefox.received_of("api_request").last().unwrap()["body"], json!({"prompt": "well,\nthen?"}));
    }
    let _firefox = automatic(&daemon, "ff").await;
    let output = request(&daemon, &["--prompt", "x", "--json"], "").output().await;
    let frames: Vec<serde_json::Value> = output.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((output.0, &frames[0]["data"]["conversation"]["conversation_id"]), (Some(0), &json!("conv-1")));
    assert_eq!((&frames[0]["event"], &frames.last().unwrap()["event"]), (&json!("stream_open"), &json!("stream_end")));
}

#[actix_rt::test]
async fn the_exit_code_names_the_kind_of_failure() {
    let daemon = Daemon::start("").await;
    let none = request(&daemon, &["--prompt", "x"], "").output().await;
    assert!(none.0 == Some(1) && none.2.contains("no_active_client"), "{none:?}");
    let firefox = manual(&daemon, "ff").await;
    for (arguments, code) in [
        (&["--prompt", "x", "--client-id", "other"][..], "client_not_found"),
        (&["--prompt", "x", "--conversation-id", ".."], "conversation_id"),
        (&["--path", "/", "--client", "other"], "browser_client_not_found"),
    ] {
        let refused = request(&daemon, arguments, "").output().await;
        assert!(refused.0 == Some(4) && refused.1.is_empty() && refused.2.contains(code), "{refused:?}");
    }
    let command = request(&daemon, &["--prompt", "x"], "");
    firefox.next_request().await.unwrap().answer(403, json!({"error": "no"})).await.unwrap();
    assert_eq!(command.output().await.0, Some(5));
    let command = request(&daemon, &["--prompt", "x"], "");
    firefox.next_request().await.unwrap().answer(200, json!([])).await.unwrap();
    assert_eq!(command.output().await.0, Some(5), "the app's response is unusable");
    let usage = request(&daemon, &["--prompt", "x", "--path", "/", "--conversation-id", "c"], "").output().await;
    assert_eq!(usage.0, Some(2));
}

#[actix_rt::test]
async fn ctrl_c_stops_the_current_step() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let command = request(&daemon, &["--prompt", "x"], "");
    let held = firefox.next_request().await.unwrap();
    let pid = i32::try_from(command.child.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(cancel_of(&firefox, held.id()).await["reason"], "ctrl-c");
    held.fail("request_cancelled", Some(499)).await.unwrap();
    let output = command.output().await;
    assert_eq!((output.0, &*output.1, output.2.contains("cancelled")), (Some(130), "", true), "{output:?}");
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

#[actix_rt::test]
async fn a_response_in_an_unknown_format_is_printed_raw() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let command = request(&daemon, &["--prompt", "x", "--conversation-id", "c"], "");
    firefox.next_request().await.unwrap().answer(200, json!([{"uuid": "org-1"}])).await.unwrap();
    let completion = firefox.next_request().await.unwrap();
    completion.event("verse", json!({"verse": 1})).await.unwrap();
    completion.end(200).await.unwrap();
    let output = command.output().await;
    assert_eq!((output.0, &*output.1), (Some(0), "{\"verse\":1}\n"));
    assert!(output.2.contains("unknown format"), "{output:?}");
}
