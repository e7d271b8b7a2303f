//! The daemon as a service: its notifications to the service manager, and the files of `service`.

use crate::support::{Daemon, Folder};
use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Output},
};
use tokio::task::spawn_blocking;

/// Receives the next notification.
async fn next_notification(socket: &UnixDatagram) -> String {
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
async fn the_service_manager_is_notified_of_ready_alive_and_stopping() {
    let folder = Folder::new();
    let path = std::env::temp_dir().join(format!("baa-it-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut command = folder.command("");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let mut daemon = Daemon::spawn(folder, command).await;
    let ready = next_notification(&socket).await;
    assert_eq!(ready, format!("READY=1\nSTATUS=serving http://{}", daemon.address));
    for _ in 0..3 {
        assert_eq!(next_notification(&socket).await, "WATCHDOG=1");
    }
    assert_eq!(daemon.stop().await, Some(0));
    loop {
        match &*next_notification(&socket).await {
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
async fn the_printed_service_names_this_program_and_the_given_files() {
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
async fn a_service_with_an_invalid_configuration_is_not_installed_but_its_status_is_shown() {
    let folder = Folder::new();
    let (code, _, why) = service(&folder, &["install"], "nonsense = 1\n");
    assert!(code == Some(2) && why.contains("nonsense"), "{why}");
    let (code, text, why) = service(&folder, &["status"], "nonsense = 1\n");
    assert!(code == Some(1) && text.starts_with("not installed"), "{text} {why}");
}

#[cfg(target_os = "linux")]
#[actix_rt::test]
async fn without_systemd_nothing_is_installed() {
    let folder = Folder::new();
    let (code, _, why) = service(&folder, &["install"], "");
    assert!(code == Some(1) && why.contains("systemctl was not found"), "{why}");
    assert!(!folder.path().join(".config/systemd").exists());
}
