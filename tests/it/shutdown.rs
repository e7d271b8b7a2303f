//! Start and stop of the process: signals, last frames, the lock, the address, and a restart.

use crate::support::{
    Connection, Daemon, Stream, ask, ask_sse, automatic,
    daemon::{Folder, exit_code},
    manual, request_of, settled, stranger, waiting,
};
use baa_conductor::simulator::{ConnectionClosed, Firefox};
use rustix::process::Signal;
use serde_json::json;
use std::process::Stdio;

#[actix_rt::test]
async fn sigterm_gives_everybody_a_last_word_and_exits_0() {
    let mut daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 3").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut buffered = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await;
    let mut open = caller.stream(&ask_sse("r2", "/")).await;
    let request = request_of(&firefox, "r2").await;
    request.event("message", json!(1)).await.unwrap();
    open.expect("stream_open").await;
    open.expect("stream_event").await;
    let mut unopened = caller.stream(&ask_sse("r3", "/")).await;
    request_of(&firefox, "r3").await;
    let mut queued = (caller.begin(&ask("r4", "/")).await, caller.stream(&ask_sse("r5", "/")).await);
    waiting(&caller, 2).await;
    let stranger = stranger(&daemon).await;
    let _idle = Connection::open(daemon.address).await;
    daemon.signal(Signal::TERM);
    for mut answer in [buffered.answer(false).await, queued.0.answer(false).await] {
        assert_eq!(answer.error(), (503, "browser_bridge_unavailable".into()));
        assert_eq!(answer.error_code(), "service_stopped");
        answer.body.clear();
    }
    for stream in [&mut open, &mut unopened, &mut queued.1] {
        assert_eq!(stream.end().await.outcome(), ("stream_error", "service_stopped", 503));
    }
    let stopped = ConnectionClosed { code: Some(1001), reason: "service_stopped".into() };
    assert_eq!(firefox.closed().await.unwrap(), stopped);
    assert_eq!(stranger.closed().await.unwrap(), stopped, "also who has not said hello yet");
    assert_eq!(daemon.exit_code().await, Some(0));
    assert!(!daemon.folder().state().join("daemon.json").exists());
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    for id in ["r1", "r2", "r3", "r4", "r5"] {
        let entry = daemon.caller().journal(id).await;
        assert_eq!((&entry["outcome"], &entry["error_code"]), (&json!("cancelled"), &json!("service_stopped")), "{id}");
    }
}

#[actix_rt::test]
async fn sigint_ends_it_the_same_way() {
    let mut daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    daemon.signal(Signal::INT);
    assert_eq!(firefox.closed().await.unwrap().code, Some(1001));
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[actix_rt::test]
async fn a_signal_right_after_the_ready_line_is_not_lost() {
    for _ in 0..3 {
        let mut daemon = Daemon::start("").await;
        assert_eq!(daemon.stop().await, Some(0));
    }
}

/// A daemon whose stop is delayed by a caller that does not read.
struct HeldUp {
    daemon: Daemon,
    stuck: Connection,
    marker: Stream,
    _firefox: Firefox,
}

impl HeldUp {
    async fn start(settings: &str) -> Self {
        let buffers = "policy.stream.max_buffered_bytes = 100000000\npolicy.stream.max_buffered_events = 1000000";
        let daemon = Daemon::start(&format!("{settings}\n{buffers}")).await;
        let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
        let stuck = caller.stream_narrowly(&ask_sse("stuck", "/events/200?bytes=4000")).await.into_connection();
        settled(&caller).await;
        let mut marker = caller.stream(&ask_sse("marker", "/events/1?end=never")).await;
        marker.expect("stream_open").await;
        HeldUp { daemon, stuck, marker, _firefox: firefox }
    }

    /// Sends the first signal and waits for the start of the stop.
    async fn begin_stop(&mut self) {
        self.daemon.signal(Signal::TERM);
        assert_eq!(self.marker.end().await.outcome(), ("stream_error", "service_stopped", 503));
    }
}

#[actix_rt::test]
async fn a_second_signal_ends_it_at_once() {
    let mut held = HeldUp::start("server.shutdown_timeout_ms = 600000").await;
    held.begin_stop().await;
    held.daemon.signal(Signal::TERM);
    assert_eq!(held.daemon.exit_code().await, Some(1));
}

#[actix_rt::test]
async fn a_caller_that_does_not_read_cannot_hold_up_the_stop_for_ever() {
    let mut held = HeldUp::start("server.shutdown_timeout_ms = 300").await;
    assert_eq!(held.daemon.stop().await, Some(0));
    assert!(held.daemon.stderr().contains("did not end in time"));
}

#[actix_rt::test]
async fn a_second_daemon_on_the_same_folder_exits_1_and_names_the_first() {
    let daemon = Daemon::start("").await;
    let output = daemon.folder().command("").stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{stderr}");
    assert!(stderr.contains(&daemon.pid().to_string()), "{stderr}");
    assert_eq!(daemon.caller().get("/readyz").await.status, 200, "the first one is not disturbed");
    assert!(daemon.folder().state().join("daemon.json").exists());
}

#[actix_rt::test]
async fn an_address_in_use_exits_3_and_names_it() {
    let daemon = Daemon::start("").await;
    let other = Folder::new();
    let settings = format!("server.listen = \"{}\"", daemon.address);
    let output = other.command(&settings).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b""[..]), "{stderr}");
    assert!(stderr.contains(&daemon.address.to_string()), "{stderr}");
}

#[actix_rt::test]
async fn a_bad_configuration_exits_2_with_a_line_for_each_fault() {
    let folder = Folder::new();
    let settings = "server.nonsense = 1\nbridge.heartbeat_ms = 0\nserver.workers = \"many\"";
    let output = folder.command(settings).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{stderr}");
    for key in ["server.nonsense", "server.workers"] {
        assert_eq!(stderr.lines().filter(|line| line.contains(key)).count(), 1, "{key}: {stderr}");
    }
    assert!(!folder.state().join("conductor.db").exists());
}

#[actix_rt::test]
async fn after_a_kill_it_starts_again_on_the_same_folder_and_address() {
    let daemon = Daemon::start("").await;
    let (address, token) = (daemon.address, daemon.token());
    let firefox = automatic(&daemon, "ff").await;
    let mut stream = daemon.caller().stream(&ask_sse("s", "/events/1?end=never")).await;
    stream.expect("stream_open").await;
    let folder = daemon.kill().await;
    firefox.closed().await.unwrap();
    assert!(folder.state().join("daemon.json").exists(), "no process was left to remove it");
    let daemon = Daemon::start_in(folder, &format!("server.listen = \"{address}\"")).await;
    assert_eq!((daemon.address, daemon.token()), (address, token));
    let _firefox = automatic(&daemon, "ff").await;
    assert_eq!(daemon.caller().request(&ask("r", "/echo")).await.data()["client_id"], "ff");
}

#[actix_rt::test]
async fn connections_made_during_a_shutdown_are_not_served() {
    let mut held = HeldUp::start("server.shutdown_timeout_ms = 600000").await;
    let caller = held.daemon.caller();
    let mut early = caller.open().await;
    early.write(&caller.head("GET", "/health", None)).await;
    early.answer(false).await.data();
    held.begin_stop().await;
    // An existing connection still gets answers, but new requests are refused.
    let body = ask("late", "/echo").to_string();
    early.write(&caller.head("POST", "/v1/browser/request", Some(body.as_bytes()))).await;
    let answer = early.answer(false).await;
    assert_eq!((answer.error().0, answer.error_code()), (503, "service_stopped".into()));
    drop(held.stuck);
    assert_eq!(held.daemon.exit_code().await, Some(0));
}

#[actix_rt::test]
async fn a_command_that_only_reads_the_configuration_leaves_a_running_daemon_alone() {
    let daemon = Daemon::start("").await;
    let mut command = daemon.folder().command("");
    let mut child = std::process::Command::new(command.get_program())
        .args(["config", "--state-dir"])
        .arg(daemon.folder().state())
        .stdout(Stdio::null())
        .env_clear()
        .spawn()
        .unwrap();
    command.stdin(Stdio::null());
    assert_eq!(exit_code(&mut child).await, Some(0));
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
}
