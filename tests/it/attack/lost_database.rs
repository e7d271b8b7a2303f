//! A database other than the one that recorded what had run: missing, from another folder, an older copy. Nothing runs
//! a second time; instructions are disabled until an operator enables them, and every report of them says so.

use crate::{
    instructions::{SETTINGS, block, submit},
    support::{Caller, Daemon, Folder},
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

fn leaves_a_line(file: &Path) -> String {
    block(&format!("@conductor::exec::echo x >> {}", file.display()))
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn bearer(daemon: &Daemon) -> Caller {
    daemon.caller().bearer(&daemon.token())
}

/// Creates a folder on which one message ran, whose daemon has ended.
async fn used(settings: &str) -> Folder {
    let mut daemon = Daemon::start(&format!("{SETTINGS}{settings}")).await;
    let done = submit(&bearer(&daemon), "m", &leaves_a_line(&daemon.folder().path().join("ran"))).await.data();
    assert_eq!(done["status"], "executed");
    assert_eq!(daemon.stop().await, Some(0));
    daemon.into_folder()
}

/// Returns the files of the database by suffix.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("conductor.db")).collect()
}

fn command(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(arguments).arg("--state-dir").arg(folder.join("state"));
    let done =
        command.arg("--config").arg(folder.join("conductor.toml")).env_clear().env("HOME", folder).output().unwrap();
    (done.status.code(), format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
}

/// Checks that nothing runs, and that each report of instructions says why.
async fn is_off(daemon: &Daemon, what: &str) {
    let (caller, folder) = (bearer(daemon), daemon.folder().path());
    let refused = submit(&caller, "m", &leaves_a_line(&folder.join("ran"))).await;
    assert_eq!(refused.error(), (503, "store_unavailable".into()), "{what}");
    assert!(refused.json()["message"].as_str().unwrap().contains("instructions enable"), "{what}: {refused:?}");
    assert_eq!(lines(&folder.join("ran")), 1, "{what}: it ran once");
    assert_eq!(caller.get("/v1/status").await.data()["instructions"]["status"], "off", "{what}");
    let said = daemon.stderr();
    assert!(said.contains("instructions are off") && said.contains("instructions enable"), "{what}: {said}");
    let report = doctor(folder).await;
    let found =
        report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "instructions").unwrap().clone();
    assert!(
        found["verdict"] == "warning" && found["advice"].as_str().unwrap().contains("instructions enable"),
        "{found}"
    );
}

async fn doctor(folder: &Path) -> Value {
    let folder = folder.to_owned();
    let said =
        tokio::task::spawn_blocking(move || command(&folder, &["doctor", "--json", "--no-fetch"])).await.unwrap();
    serde_json::from_str(&said.1).unwrap_or_else(|_| panic!("{said:?}"))
}

#[actix_rt::test]
async fn a_database_that_is_gone_lets_nothing_run_until_a_person_says_so() {
    let folder = used("").await;
    for file in files(&folder.state()) {
        fs::remove_file(file).unwrap();
    }
    let mut daemon = Daemon::start_in(folder, SETTINGS).await;
    is_off(&daemon, "gone").await;
    // Not only after the first start.
    assert_eq!(daemon.stop().await, Some(0));
    let mut daemon = Daemon::start_in(daemon.into_folder(), SETTINGS).await;
    is_off(&daemon, "gone, started again").await;
    let enabled = command(daemon.folder().path(), &["instructions", "enable"]);
    assert_eq!(enabled.0, Some(0), "{enabled:?}");
    let ran = daemon.folder().path().join("ran");
    assert_eq!(submit(&bearer(&daemon), "m", &leaves_a_line(&ran)).await.data()["status"], "executed");
    assert_eq!(bearer(&daemon).get("/v1/status").await.data()["instructions"]["status"], "on");
    // From then on this database is the expected one.
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), SETTINGS).await;
    assert_eq!(submit(&bearer(&daemon), "m", &leaves_a_line(&ran)).await.data()["status"], "duplicate_only");
    assert_eq!(lines(&ran), 2);
}

#[actix_rt::test]
async fn a_database_of_another_place_lets_nothing_run() {
    let folder = used("").await;
    let place = folder.path().join("elsewhere.db");
    let elsewhere = format!("{SETTINGS}store.path = {place:?}");
    let mut daemon = Daemon::start_in(folder, &elsewhere).await;
    is_off(&daemon, "another path").await;
    assert_eq!(daemon.stop().await, Some(0));
    // Nor is that of another daemon accepted.
    let (other, folder) = (used("").await, daemon.into_folder());
    fs::remove_file(folder.state().join("instructions.off")).unwrap();
    fs::copy(other.state().join("conductor.db"), &place).unwrap();
    is_off(&Daemon::start_in(folder, &elsewhere).await, "of another daemon").await;
}

#[actix_rt::test]
async fn an_older_copy_of_the_database_lets_nothing_run() {
    let mut daemon = Daemon::start(SETTINGS).await;
    assert_eq!(daemon.stop().await, Some(0));
    let folder = daemon.into_folder();
    let (database, copy) = (folder.state().join("conductor.db"), folder.path().join("copy"));
    fs::copy(&database, &copy).unwrap();
    // Execution is recorded outside the database even if the daemon is killed right after.
    let daemon = Daemon::start_in(folder, SETTINGS).await;
    let ran = daemon.folder().path().join("ran");
    assert_eq!(submit(&bearer(&daemon), "m", &leaves_a_line(&ran)).await.data()["status"], "executed");
    let folder = daemon.kill().await;
    for file in files(&folder.state()) {
        fs::remove_file(file).unwrap();
    }
    fs::copy(&copy, &database).unwrap();
    is_off(&Daemon::start_in(folder, SETTINGS).await, "an older copy").await;
}

#[actix_rt::test]
async fn a_first_start_and_every_usual_one_are_no_loss() {
    let mut folder = used("").await;
    for _ in 0..2 {
        let mut daemon = Daemon::start_in(folder, SETTINGS).await;
        assert_eq!(bearer(&daemon).get("/v1/status").await.data()["instructions"]["status"], "on");
        assert!(!daemon.stderr().contains("instructions are off"), "{}", daemon.stderr());
        assert_eq!(daemon.stop().await, Some(0));
        folder = daemon.into_folder();
    }
    // Killed in the middle, the database is as new as its record.
    let daemon = Daemon::start_in(folder, SETTINGS).await;
    let ran = daemon.folder().path().join("ran");
    for id in ["n1", "n2", "n3"] {
        submit(&bearer(&daemon), id, &leaves_a_line(&ran)).await.data();
    }
    let daemon = Daemon::start_in(daemon.kill().await, SETTINGS).await;
    assert_eq!(submit(&bearer(&daemon), "n3", &leaves_a_line(&ran)).await.data()["status"], "duplicate_only");
}
