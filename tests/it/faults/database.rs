//! A database that cannot be written for a while: relaying continues, `/readyz` reports it, and the daemon recovers.

use super::{limit, readiness};
use crate::support::{Daemon, Folder, ask, ask_sse, automatic, daemon::exit_code, until};
use rustix::process::{Resource, geteuid};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const DATABASE: &str = "state/conductor.db";

/// Checks that buffered and streamed requests are relayed, and that none is recorded.
async fn relays_go_on(daemon: &Daemon, round: &str) {
    let caller = daemon.caller();
    for n in 0..3 {
        let id = format!("{round}-{n}");
        assert_eq!(caller.request(&ask(&id, "/echo")).await.data()["response"]["path"], "/echo", "{id}");
    }
    let end = caller.stream(&ask_sse(&format!("{round}-stream"), "/echo")).await.end().await;
    assert_eq!(end.event, "stream_end");
}

async fn is_unready(daemon: &Daemon) {
    let caller = daemon.caller();
    let found =
        until("the loss of readiness", async || Some(readiness(&caller).await).filter(|(status, ..)| *status != 200));
    let (status, code, reasons) = found.await;
    assert_eq!((status, code.as_str()), (503, "store_unavailable"));
    assert!(reasons.contains("cannot be written"), "{reasons}");
    assert_eq!(caller.get("/health").await.status, 200, "it serves all the same");
}

async fn recovers(daemon: &Daemon, round: &str) {
    let caller = daemon.caller();
    until("readiness", async || (readiness(&caller).await.0 == 200).then_some(())).await;
    for n in 0..3 {
        assert_eq!(caller.journal(&format!("{round}-{n}")).await["outcome"], "success", "what waited was written");
    }
}

#[actix_rt::test]
async fn files_that_may_not_grow() {
    let daemon = Daemon::start("").await;
    let _firefox = automatic(&daemon, "ff").await;
    relays_go_on(&daemon, "before").await;
    limit(&daemon, Resource::Fsize, Some(0));
    relays_go_on(&daemon, "meanwhile").await;
    is_unready(&daemon).await;
    relays_go_on(&daemon, "later").await;
    limit(&daemon, Resource::Fsize, None);
    recovers(&daemon, "meanwhile").await;
    recovers(&daemon, "later").await;
}

/// Starts `serve` with its folder on a small disk of its own; `None` if this user cannot mount one.
fn on_a_small_disk(folder: &Folder) -> Option<Command> {
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let plain = folder.command("host_ops.allow_root = true");
    let script = "mount -t tmpfs -o size=2m,mode=0700 none \"$1\" && shift && exec \"$@\"";
    let wrapped = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(&disk).args(program);
        command
    };
    if !wrapped(&["true"]).output().is_ok_and(|done| done.status.success()) {
        crate::support::skipped("this user may not make a mount of its own");
        return None;
    }
    let mut command = wrapped(&[]);
    command.arg(plain.get_program());
    for argument in plain.get_args() {
        let is_state = Path::new(argument) == folder.state();
        command.arg(if is_state { disk.join("state") } else { argument.into() });
    }
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", folder.path());
    Some(command)
}

#[actix_rt::test]
async fn a_disk_that_is_full() {
    let folder = Folder::new();
    let Some(mut command) = on_a_small_disk(&folder) else { return };
    let token = "0123456789abcdef0123456789abcdef";
    command.env("BAA_AUTH__TOKEN", token);
    let filler = folder.path().join("disk/filler");
    let daemon = Daemon::spawn(folder, command).await;
    let _firefox = automatic(&daemon, "ff").await;
    let caller = daemon.caller().bearer(token);
    relays_go_on(&daemon, "before").await;
    // Only the daemon and its commands see this disk; on a full one it starts no command.
    let flag = |name: &str| daemon.folder().path().join(name);
    let (full, enough) = (flag("full"), flag("enough"));
    let filler = filler.display();
    let command = format!(
        "cat /dev/zero > '{filler}'; touch '{}'; while [ ! -e '{}' ]; do sleep 0.05; done; rm '{filler}'",
        full.display(),
        enough.display()
    );
    let _running = caller.begin_at("/v1/exec", &serde_json::json!({"command": command})).await;
    until("a full disk", async || full.exists().then_some(())).await;
    relays_go_on(&daemon, "meanwhile").await;
    // The existing part of the log can be overwritten, but cannot grow.
    for n in 0..400 {
        caller.request(&ask(&format!("more-{n}"), "/echo")).await;
    }
    is_unready(&daemon).await;
    fs::write(&enough, "").unwrap();
    recovers(&daemon, "meanwhile").await;
    assert_eq!(caller.journal("more-399").await["outcome"], "success");
}

/// Returns the command without root's right to override file modes.
fn without_privileges(plain: &Command) -> Command {
    if !geteuid().is_root() {
        let mut same = Command::new(plain.get_program());
        same.args(plain.get_args());
        return same;
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-all", "--inh-caps", "-all", "--"])
        .arg(plain.get_program())
        .args(plain.get_args());
    command
}

#[actix_rt::test]
async fn one_that_may_not_be_written_at_the_start_is_named_and_left_alone() {
    let mut first = Daemon::start("").await;
    assert_eq!(first.stop().await, Some(0));
    let folder = first.into_folder();
    let file = folder.path().join(DATABASE);
    let before = fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let log = fs::File::create(folder.path().join("refused")).unwrap();
    let mut command = without_privileges(&folder.command(""));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).stderr(log);
    assert_eq!(exit_code(&mut command.spawn().unwrap()).await, Some(1));
    let said = fs::read_to_string(folder.path().join("refused")).unwrap();
    assert!(said.contains("conductor.db may not be written"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Daemon::start_in(folder, "").await;
}
