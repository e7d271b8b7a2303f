//! What `request` says on stderr while it waits.

use crate::support::{Daemon, Folder, ask, daemon::exit_code, manual, request_of, until, waiting};
use serde_json::Value;
use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

fn asking(folder: &Folder, id: &str, arguments: &[&str]) -> Child {
    let file = |end: &str| File::create(folder.path().join(format!("{id}.{end}"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["request", "--platform", "claude", "--path", "/x", "--request-id", id]).args(arguments);
    command.arg("--state-dir").arg(folder.state()).env_clear().env("HOME", folder.path());
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap()
}

#[actix_rt::test]
async fn who_waits_in_line_is_told_the_place_and_a_quiet_one_is_told_nothing() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let folder = daemon.folder();
    let said = |id: &str| fs::read_to_string(folder.path().join(format!("{id}.err"))).unwrap();
    let mut quiet = asking(folder, "r2", &["--quiet"]);
    waiting(&caller, 1).await;
    let mut told = asking(folder, "r3", &["--sse"]);
    waiting(&caller, 2).await;
    until("word of the place", async || said("r3").contains("queued, 2nd in line").then_some(())).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    let second = request_of(&firefox, "r2").await;
    until("word of the next place", async || said("r3").contains("queued, 1st in line").then_some(())).await;
    second.answer(200, Value::from("two")).await.unwrap();
    request_of(&firefox, "r3").await.answer(200, Value::from("three")).await.unwrap();
    assert_eq!((exit_code(&mut quiet).await, exit_code(&mut told).await), (Some(0), Some(0)));
    assert_eq!(said("r2"), "");
    assert_eq!(fs::read_to_string(folder.path().join("r3.out")).unwrap().trim(), "three");
}
