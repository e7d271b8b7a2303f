//! Secrets that pass through the daemon must not be in the files that it leaves.

use crate::{
    exec::{ANY_USER, run},
    support::{
        Daemon, Folder, automatic, until,
        users::{Home, OWNER, STRANGER, has_other_users},
        within,
    },
};
use serde_json::json;
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
};

/// The secret that must be nowhere.
const HUSH: &str = "hush-5up3r-s3cr3t";

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn found(folder: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.windows(HUSH.len()).any(|part| part == HUSH.as_bytes()))
    };
    files(folder).into_iter().filter(holds).collect()
}

#[actix_rt::test]
async fn values_of_variables_and_of_queries_are_kept_nowhere() {
    let settings = format!("{ANY_USER}log.filter = \"trace\"\nlog.file = true\ninstructions.sandbox = \"off\"");
    let mut daemon = Daemon::start(&settings).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = automatic(&daemon, "fx").await;
    let mut events = caller.follow().await;

    let body = json!({"command": "test -n \"$KEY\"", "env": {"KEY": HUSH}});
    let answer = run(&caller, body).await;
    assert_eq!((&answer["ok"], &answer["input"]["env"]["KEY"]), (&json!(true), &json!(HUSH)));

    for (number, path) in [
        format!("/echo?key={HUSH}&page=1"),
        format!("/echo?{HUSH}"),
        format!("/echo?key={HUSH}=&a;b={HUSH}"),
        format!("/echo?a=1#{HUSH}"),
        format!("/echo?a%3D{HUSH}=1"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("request-{number}");
        let request = json!({"platform": "claude", "path": path, "client_id": "fx", "request_id": id});
        assert_eq!(caller.request(&request).await.status, 200, "{path}");
        let kept = caller.journal(&id).await;
        let kept = kept["path"].as_str().unwrap();
        assert!(kept.starts_with("/echo") && !kept.contains(HUSH), "{kept}");
        if number == 0 {
            assert_eq!(kept, "/echo?key&page");
        }
        let told = within("its event", events.expect("request")).await.data;
        assert!(!told.to_string().contains(HUSH), "{told}");
    }

    let endpoints = json!({
        "type": "api_endpoints", "platform": "claude", "account": "a@example.org",
        "endpoints": [format!("GET /api/x?key={HUSH}"), format!("GET /api/y?{HUSH}")],
        "endpoint_metadata": [{"method": "GET", "path": format!("/api/x?key={HUSH}#{HUSH}"), "first_seen_at": 1, "last_seen_at": 2}],
    });
    firefox.send_json(&endpoints).await.unwrap();
    let shown = until("its endpoints", async || {
        let shown = caller.get("/v1/browser?client_id=fx").await.data().to_string();
        shown.contains("/api/x?key").then_some(shown)
    })
    .await;
    assert!(!shown.contains(HUSH), "{shown}");

    // A model's message is stored verbatim; its results are not a second copy.
    let text = format!("```baa\n@conductor::exec::{{\"command\":\"true\",\"env\":{{\"KEY\":\"{HUSH}\"}}}}\n```\n");
    let message = json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": "m", "text": text});
    assert_eq!(
        within("the batch", caller.post("/v1/instructions/messages", &message)).await.data()["status"],
        "executed"
    );
    let runs = caller.get("/v1/runs").await.data();
    assert!(!runs.to_string().contains(HUSH) && runs.to_string().contains("KEY"), "{runs}");

    firefox.close(1000, "").await.unwrap();
    assert_eq!(within("exit", daemon.stop()).await, Some(0));
    let state = daemon.folder().state();
    assert!(!daemon.stderr().contains(HUSH));
    // The message itself is in the database, in its batch only.
    let found = found(&state);
    assert!(found.iter().all(|path| path.ends_with("conductor.db")), "{found:?}");
    let bytes = fs::read(state.join("conductor.db")).unwrap();
    let count = bytes.windows(HUSH.len()).filter(|part| *part == HUSH.as_bytes()).count();
    assert!(count <= IN_A_BATCH, "{count}");
}

/// How often an instruction's text is in its batch: block, instruction, parameters, basis of its key, plan.
const IN_A_BATCH: usize = 5;

#[actix_rt::test]
async fn without_an_instruction_there_is_no_copy_at_all() {
    let mut daemon = Daemon::start(ANY_USER).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = automatic(&daemon, "fx").await;
    run(&caller, json!({"command": "exit 3", "env": {"KEY": HUSH}})).await;
    run(&caller, json!({"command": ["/no/such/program"], "env": {"KEY": HUSH}})).await;
    let request = json!({"platform": "claude", "path": format!("/echo?key={HUSH}"), "client_id": "fx"});
    assert_eq!(caller.request(&request).await.status, 200);
    firefox.close(1000, "").await.unwrap();
    assert_eq!(within("exit", daemon.stop()).await, Some(0));
    assert_eq!(found(&daemon.folder().state()), Vec::<PathBuf>::new());
}

fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: PathBuf| {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        (path, mode)
    };
    files(folder).into_iter().map(mode).collect()
}

#[actix_rt::test]
async fn log_files_are_their_owners_alone_whatever_the_umask() {
    let folder = Folder::new();
    let logs = folder.state().join("logs");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("conductor.2020-01-01.log"), "of an earlier version").unwrap();
    for (path, mode) in [(logs.join("conductor.2020-01-01.log"), 0o644), (logs.clone(), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // Set by a shell, since no code here may change its own environment.
    let plain = folder.command("log.file = true");
    let mut command = std::process::Command::new("/bin/sh");
    command.arg0("sh").args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    let daemon = Daemon::spawn(folder, command).await;
    let found = modes(&logs);
    assert!(found.len() >= 2 && found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    assert_eq!(fs::metadata(&logs).unwrap().permissions().mode() & 0o777, 0o700);
    let all = modes(&daemon.folder().state());
    assert!(all.iter().all(|(_, mode)| mode & 0o077 == 0), "{all:?}");
}

#[actix_rt::test]
async fn another_user_reads_no_log_file() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("log.file = true").await;
    let logs = files(&daemon.folder().state().join("logs"));
    assert!(!logs.is_empty());
    for log in logs {
        assert!(OWNER.reads(&log) && !STRANGER.reads(&log), "{log:?}");
    }
}
