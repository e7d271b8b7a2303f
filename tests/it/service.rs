//! The daemon as a service: what it tells the service manager that started it, and what `service` would write.

use crate::support::{Daemon, Folder};
use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Output},
};
use tokio::task::spawn_blocking;

/// What a service manager hears next; blocks, as its socket does.
async fn heard(socket: &UnixDatagram) -> String {
    let socket = socket.try_clone().unwrap();
    spawn_blocking(move || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    })
    .await
    .unwrap()
}

#[actix_rt::test]
async fn the_service_manager_hears_that_it_is_ready_lives_and_stops() {
    let folder = Folder::new();
    let path = std::env::temp_dir().join(format!("baa-it-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut command = folder.command("");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let mut daemon = Daemon::spawn(folder, command).await;
    let ready = heard(&socket).await;
    assert_eq!(ready, format!("READY=1\nSTATUS=serving http://{}", daemon.address));
    for _ in 0..3 {
        assert_eq!(heard(&socket).await, "WATCHDOG=1");
    }
    assert_eq!(daemon.stop().await, Some(0));
    loop {
        match &*heard(&socket).await {
            "WATCHDOG=1" => {}
            stopping => break assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}"),
        }
    }
    std::fs::remove_file(path).unwrap();
}

fn service(folder: &Folder, arguments: &[&str], config: &str) -> (Option<i32>, String, String) {
    let file = folder.path().join("conductor.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.arg("service").args(arguments).arg("--config").arg(file).arg("--state-dir").arg(folder.state());
    // Without a PATH there is neither systemctl nor launchctl.
    command.env_clear().env("HOME", folder.path()).env("PATH", "/nowhere");
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[actix_rt::test]
async fn what_would_be_written_names_this_program_and_the_given_files() {
    let folder = Folder::new();
    let (code, text, _) = service(&folder, &["install", "--print"], "");
    assert_eq!(code, Some(0));
    let (config, state) = (folder.path().join("conductor.toml"), folder.state());
    for part in [env!("CARGO_BIN_EXE_baa-conductor"), config.to_str().unwrap(), state.to_str().unwrap(), "serve"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!state.exists(), "printing changes nothing");
}

#[actix_rt::test]
async fn a_service_with_a_wrong_configuration_is_not_written_but_can_be_looked_at() {
    let folder = Folder::new();
    let (code, _, why) = service(&folder, &["install"], "nonsense = 1\n");
    assert!(code == Some(2) && why.contains("nonsense"), "{why}");
    let (code, text, why) = service(&folder, &["status"], "nonsense = 1\n");
    assert!(code == Some(1) && text.starts_with("not installed"), "{text} {why}");
}

#[cfg(target_os = "linux")]
#[actix_rt::test]
async fn where_there_is_no_systemd_that_is_said_and_nothing_is_written() {
    let folder = Folder::new();
    let (code, _, why) = service(&folder, &["install"], "");
    assert!(code == Some(1) && why.contains("systemctl is not there"), "{why}");
    assert!(!folder.path().join(".config/systemd").exists());
}
