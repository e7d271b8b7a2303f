//! The Firefox extension, as the daemon serves it and as the command writes it.

use crate::support::{Daemon, daemon::Folder};
use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read},
    process::{Command, Output},
};
use zip::ZipArchive;

const PATH: &str = "/extension.xpi";

/// Returns the texts of the files in a zip by name.
fn unzipped(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut found = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        found.insert(file.name().unwrap().into_owned(), String::from_utf8_lossy(&bytes).into_owned());
    }
    found
}

fn setting(ws_url: &str) -> String {
    format!("export const DAEMON_WS = \"{ws_url}\";\n")
}

#[actix_rt::test]
async fn the_extension_is_handed_out_with_this_daemons_address() {
    let daemon = Daemon::start("").await;
    let answer = daemon.caller().with("x-request-id", "mine-1").get(PATH).await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "application/x-xpinstall"),
        ("content-disposition", "attachment; filename=\"baa-conductor.xpi\""),
        ("cache-control", "no-store"),
        ("x-request-id", "mine-1"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let files = unzipped(&answer.body);
    let manifest: serde_json::Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["version"], baa_conductor::VERSION);
    assert!(files["config.js"].contains(&setting(&daemon.ws_url())), "{}", files["config.js"]);
    assert_eq!(daemon.caller().get(PATH).await.body, answer.body, "the same each time");
    let head = daemon.caller().send("HEAD", PATH, None).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/x-xpinstall")));
}

#[actix_rt::test]
async fn without_trust_the_token_is_asked_for() {
    let daemon = Daemon::start("auth.local_trust = \"none\"").await;
    assert_eq!(daemon.caller().get(PATH).await.error(), (401, "unauthorized".into()));
    let answer = daemon.caller().bearer(&daemon.token()).get(PATH).await;
    assert!(answer.status == 200 && answer.body.starts_with(b"PK"));
}

#[actix_rt::test]
async fn another_site_cannot_fetch_it() {
    let daemon = Daemon::start("").await;
    let answer = daemon.caller().with("sec-fetch-site", "cross-site").get(PATH).await;
    assert_eq!(answer.error(), (403, "origin_not_allowed".into()));
}

/// Runs `baa-conductor extension` with `out` beside the state folder.
fn written(folder: &Folder, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.arg("extension").arg(folder.state().with_file_name("out")).arg("--state-dir").arg(folder.state());
    let home = folder.state().with_file_name("home");
    command.args(options).env_clear().env("HOME", home).output().unwrap()
}

#[actix_rt::test]
async fn the_command_writes_the_extension_for_the_daemon_that_runs() {
    let daemon = Daemon::start("").await;
    let folder = daemon.folder();
    let output = written(folder, &[]);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    let out = folder.state().with_file_name("out");
    assert!(stdout.contains(&daemon.ws_url()) && stdout.contains(&format!("{}\n", out.display())), "{stdout}");
    let config = fs::read_to_string(out.join("config.js")).unwrap();
    assert!(config.contains(&setting(&daemon.ws_url())), "{config}");
    assert_eq!(fs::read(out.join("baa-conductor.xpi")).unwrap(), daemon.caller().get(PATH).await.body);
}

#[actix_rt::test]
async fn without_a_daemon_the_command_asks_the_configuration() {
    let folder = Folder::new();
    let refused = written(&folder, &["--listen", "127.0.0.1:0"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("port 0") && refused.stdout.is_empty(), "{stderr}");
    let out = folder.state().with_file_name("out");
    assert!(!out.exists());

    assert!(written(&folder, &["--listen", "127.0.0.1:4321"]).status.success());
    assert!(fs::read_to_string(out.join("config.js")).unwrap().contains(&setting("ws://127.0.0.1:4321/ws/firefox")));
    assert!(!folder.state().exists(), "a client command makes no state folder");

    fs::remove_file(out.join("manifest.json")).unwrap();
    let refused = written(&folder, &["--listen", "127.0.0.1:4321"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not an earlier output"));
}
