//! The output of `request` on stderr while it waits.

use crate::support::{Daemon, Folder, ask, daemon::exit_code, manual, request_of, until, waiting};
use serde_json::Value;
use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

fn request(folder: &Folder, id: &str, arguments: &[&str]) -> Child {
    let file = |end: &str| File::create(folder.path().join(format!("{id}.{end}"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["request", "--platform", "claude", "--path", "/x", "--request-id", id]).args(arguments);
    command.arg("--state-dir").arg(folder.state()).env_clear().env("HOME", folder.path());
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap()
}

#[actix_rt::test]
async fn the_queue_position_is_shown_unless_quiet() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let folder = daemon.folder();
    let stderr = |id: &str| fs::read_to_string(folder.path().join(format!("{id}.err"))).unwrap();
    let mut quiet = request(folder, "r2", &["--quiet"]);
    waiting(&caller, 1).await;
    let mut shown = request(folder, "r3", &["--sse"]);
    waiting(&caller, 2).await;
    until("the queue position", async || stderr("r3").contains("queued, 2nd in line").then_some(())).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    let second = request_of(&firefox, "r2").await;
    until("the next queue position", async || stderr("r3").contains("queued, 1st in line").then_some(())).await;
    second.answer(200, Value::from("two")).await.unwrap();
    request_of(&firefox, "r3").await.answer(200, Value::from("three")).await.unwrap();
    assert_eq!((exit_code(&mut quiet).await, exit_code(&mut shown).await), (Some(0), Some(0)));
    assert_eq!(stderr("r2"), "");
    assert_eq!(fs::read_to_string(folder.path().join("r3.out")).unwrap().trim(), "three");
}
