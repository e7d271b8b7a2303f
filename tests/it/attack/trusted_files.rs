//! Files that control the daemon: owner, write access to them and their folders, read access to a token in them. A refusal
//! has the file, the reason and the command that corrects it.

use crate::support::{
    Daemon, Folder, automatic,
    daemon::exit_code,
    handled, until,
    users::{Home, OWNER, STRANGER, has_other_users},
};
use rustix::fs::{Gid, Uid, chown};
use serde_json::json;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const OTHER: u32 = 61_002;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, user: u32, group: u32) {
    chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group))).unwrap();
}

/// Returns exit code and output of a refused start.
pub(super) async fn refused(mut command: Command, log: &Path) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(fs::File::create(log).unwrap()).spawn().unwrap();
    let code = exit_code(&mut child).await;
    assert_eq!(std::io::read_to_string(child.stdout.take().unwrap()).unwrap(), "", "nothing is ready");
    (code, fs::read_to_string(log).unwrap())
}

/// Runs `serve` with another configuration file.
fn serve(folder: &Folder, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.arg("serve").arg("--config").arg(config).arg("--state-dir").arg(folder.state());
    command.env_clear().env("HOME", folder.path()).stdin(Stdio::null());
    command
}

const PLAIN: &str = "server.listen = \"127.0.0.1:0\"\n";
const TOKEN: &str = "server.listen = \"127.0.0.1:0\"\nauth.token = \"0123456789abcdef0123456789abcdef\"\n";

/// Creates a folder within the test's folder, with a configuration in it.
fn configured(folder: &Folder, name: &str, text: &str) -> (PathBuf, PathBuf) {
    let place = folder.path().join(name);
    fs::create_dir(&place).unwrap();
    let config = place.join("conductor.toml");
    fs::write(&config, text).unwrap();
    (place, config)
}

#[actix_rt::test]
async fn a_configuration_that_others_may_change_is_refused() {
    if !has_other_users() {
        return;
    }
    let folder = Folder::new();
    type Prepare = fn(&Path, &Path);
    let cases: [(&str, &str, Prepare, &[&str]); 9] = [
        ("written by all", PLAIN, |_, file| chmod(file, 0o666), &["conductor.toml", "chmod go-w"]),
        (
            "written by a group",
            PLAIN,
            |_, file| {
                give(file, 0, OTHER);
                chmod(file, 0o664);
            },
            &["conductor.toml", "chmod g-w"],
        ),
        ("another's", PLAIN, |_, file| give(file, OTHER, OTHER), &["belongs to user 61002", "chown"]),
        ("in a folder of all", PLAIN, |place, _| chmod(place, 0o777), &["chmod go-w"]),
        ("in a folder of another", PLAIN, |place, _| give(place, OTHER, OTHER), &["belongs to user 61002"]),
        (
            "behind a link of another",
            PLAIN,
            |place, file| {
                fs::rename(file, place.join("real")).unwrap();
                symlink(place.join("real"), file).unwrap();
                rustix::fs::chownat(
                    rustix::fs::CWD,
                    file,
                    Some(Uid::from_raw(OTHER)),
                    None,
                    rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
                )
                .unwrap();
            },
            &["belongs to user 61002"],
        ),
        (
            "behind an own link that leads to a folder of all",
            PLAIN,
            |place, file| {
                let open = place.join("open");
                fs::create_dir(&open).unwrap();
                chmod(&open, 0o777);
                fs::rename(file, open.join("real")).unwrap();
                symlink("open/real", file).unwrap();
            },
            &["open", "chmod go-w"],
        ),
        ("a token for all to read", TOKEN, |_, file| chmod(file, 0o644), &["auth.token", "chmod 600"]),
        (
            "a token for a group to read",
            TOKEN,
            |_, file| {
                give(file, 0, OTHER);
                chmod(file, 0o640);
            },
            &["auth.token", "chmod 600"],
        ),
    ];
    for (number, (what, text, prepare, parts)) in cases.into_iter().enumerate() {
        let (place, config) = configured(&folder, &format!("case-{number}"), text);
        prepare(&place, &config);
        let (code, said) = refused(serve(&folder, &config), &folder.path().join("said")).await;
        assert_eq!(code, Some(2), "{what}: {said}");
        for part in parts {
            assert!(said.contains(part), "{what}: {part}: {said}");
        }
        assert!(!said.contains("0123456789abcdef"), "{what}: {said}");
        assert!(!folder.state().exists(), "{what}: nothing was made");
        let doctor = Command::new(env!("CARGO_BIN_EXE_baa-conductor"))
            .args(["doctor", "--no-fetch", "--config"])
            .arg(&config)
            .arg("--state-dir")
            .arg(folder.state())
            .env_clear()
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(doctor.status.code() == Some(1) && found.contains(parts[0]), "{what}: {found}");
    }
}

#[actix_rt::test]
async fn usual_ways_to_keep_a_configuration_are_fine() {
    type Prepare = fn(&Path, &Path);
    let cases: [(&str, &str, Prepare, Option<&str>); 6] = [
        ("readable", PLAIN, |_, file| chmod(file, 0o644), None),
        ("with a private group", PLAIN, |_, file| chmod(file, 0o664), None),
        (
            "a link of one's own",
            PLAIN,
            |place, file| {
                fs::create_dir(place.join("dotfiles")).unwrap();
                fs::rename(file, place.join("dotfiles/real")).unwrap();
                symlink("dotfiles/real", file).unwrap();
            },
            None,
        ),
        (
            "a folder that is a link",
            PLAIN,
            |place, file| {
                fs::create_dir(place.join("dotfiles")).unwrap();
                fs::rename(file, place.join("dotfiles/conductor.toml")).unwrap();
                let real = place.with_extension("real");
                fs::rename(place, &real).unwrap();
                symlink(real.join("dotfiles"), place).unwrap();
            },
            None,
        ),
        ("a private token", TOKEN, |_, file| chmod(file, 0o600), None),
        (
            "a token that a private folder hides",
            TOKEN,
            |place, file| {
                chmod(file, 0o644);
                chmod(place, 0o700);
            },
            Some("chmod 600"),
        ),
    ];
    for (number, (what, text, prepare, warned)) in cases.into_iter().enumerate() {
        let folder = Folder::new();
        let (place, config) = configured(&folder, &format!("case-{number}"), text);
        prepare(&place, &config);
        let command = serve(&folder, &config);
        let daemon = Daemon::spawn(folder, command).await;
        assert_eq!(daemon.caller().get("/readyz").await.status, 200, "{what}");
        let said = daemon.stderr();
        assert_eq!(said.contains("chmod"), warned.is_some(), "{what}: {said}");
        assert!(warned.is_none_or(|part| said.contains(part)), "{what}: {said}");
    }
}

#[actix_rt::test]
async fn a_configuration_may_come_through_a_pipe() {
    let folder = Folder::new();
    let mut command = serve(&folder, Path::new("/dev/stdin"));
    let (read, write) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut &write, PLAIN.as_bytes()).unwrap();
    drop(write);
    command.stdin(read);
    let daemon = Daemon::spawn(folder, command).await;
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
}

#[actix_rt::test]
async fn a_database_that_others_may_change_or_read_is_refused() {
    if !has_other_users() {
        return;
    }
    let mut daemon = Daemon::start("").await;
    assert_eq!(daemon.stop().await, Some(0));
    let folder = daemon.into_folder();
    let made = folder.state().join("conductor.db");
    type Prepare = fn(&Path, &Path);
    let cases: [(&str, Prepare, &[&str]); 7] = [
        ("written by all", |_, file| chmod(file, 0o666), &["chmod"]),
        ("read by all", |_, file| chmod(file, 0o644), &["chmod 600"]),
        ("another's", |_, file| give(file, OTHER, OTHER), &["belongs to user 61002"]),
        ("in a folder of all", |place, _| chmod(place, 0o777), &["chmod go-w"]),
        ("in a folder of another", |place, _| give(place, OTHER, OTHER), &["belongs to user 61002"]),
        (
            "with a log of another",
            |place, _| {
                let log = place.join("kept.db-wal");
                fs::write(&log, "").unwrap();
                give(&log, OTHER, OTHER);
            },
            &["kept.db-wal", "belongs to user 61002"],
        ),
        (
            "to be made in a folder of all, though a sticky one",
            |place, file| {
                fs::remove_file(file).unwrap();
                chmod(place, 0o1777);
            },
            &["chmod go-w"],
        ),
    ];
    for (number, (what, prepare, parts)) in cases.into_iter().enumerate() {
        let place = folder.path().join(format!("case-{number}"));
        fs::create_dir(&place).unwrap();
        let database = place.join("kept.db");
        fs::copy(&made, &database).unwrap();
        chmod(&database, 0o600);
        prepare(&place, &database);
        let before = fs::read(&database).ok();
        let command = folder.command(&format!("store.path = {database:?}"));
        let (code, said) = refused(command, &folder.path().join("said")).await;
        assert_eq!(code, Some(1), "{what}: {said}");
        for part in parts.iter().chain(&["kept.db"]) {
            assert!(said.contains(part), "{what}: {part}: {said}");
        }
        assert_eq!(fs::read(&database).ok(), before, "{what}: untouched");
    }
}

#[actix_rt::test]
async fn a_token_file_in_a_folder_of_others_is_refused() {
    if !has_other_users() {
        return;
    }
    let folder = Folder::new();
    let place = folder.path().join("open");
    fs::create_dir(&place).unwrap();
    let token = place.join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    chmod(&token, 0o600);
    chmod(&place, 0o777);
    let command = folder.command(&format!("auth.token_file = {token:?}"));
    let (code, said) = refused(command, &folder.path().join("said")).await;
    assert!(code == Some(1) && said.contains("chmod go-w"), "{said}");
}

#[actix_rt::test]
async fn the_extension_is_not_written_where_others_may_change_it() {
    if !has_other_users() {
        return;
    }
    let home = Home::new(OWNER);
    let binary = home.binary();
    let write = |target: &Path| {
        let mut command = OWNER.command(&binary);
        let done = command.arg("extension").arg(target).env_clear().env("HOME", home.path()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let within = |name: &str| {
        let path = home.path().join(name);
        fs::create_dir(&path).unwrap();
        home.give(&path);
        path
    };
    let (strangers, open, parent) = (within("strangers"), within("open"), within("parent"));
    give(&strangers, OTHER, OTHER);
    chmod(&strangers, 0o777);
    chmod(&open, 0o777);
    chmod(&parent, 0o777);
    for (target, reason) in
        [(&strangers, "belongs to user 61002"), (&open, "chmod go-w"), (&parent.join("new"), "chmod go-w")]
    {
        let (code, said) = write(target);
        assert!(code == Some(1) && said.contains(reason), "{target:?}: {said}");
        let left = fs::read_dir(target).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{target:?}: nothing was written");
    }
    let fine = within("fine");
    assert_eq!(write(&fine.join("new")), (Some(0), String::new()));
    assert!(fine.join("new/manifest.json").exists() && !STRANGER.reads(&strangers.join("manifest.json")));
}

#[actix_rt::test]
async fn the_daemons_own_files_are_more_than_a_list_of_names() {
    let folder = Folder::new();
    let place = folder.path().join("data");
    fs::create_dir(&place).unwrap();
    let database = place.join("kept.db");
    let settings =
        format!("host_ops.allow_root = true\nstore.path = {database:?}\nauth.token = \"{}\"", "t".repeat(40));
    let daemon = Daemon::start_in(folder, &settings).await;
    let caller = daemon.caller().bearer(&"t".repeat(40));
    let config = daemon.folder().path().join("conductor.toml");
    let (aside, new) = (place.join("kept.db.damaged-7"), place.join("kept.db.new"));
    fs::write(&aside, "pairing keys").unwrap();
    fs::hard_link(&config, place.join("hard")).unwrap();
    fs::hard_link(&aside, place.join("harder")).unwrap();
    symlink(&config, place.join("soft")).unwrap();
    fs::write(place.join("beside"), "fine").unwrap();
    let read = async |path: &Path| caller.post("/v1/files/read", &json!({"path": path})).await.data();
    for path in [&config, &aside, &place.join("hard"), &place.join("harder"), &place.join("soft"), &database] {
        let answer = read(path).await;
        assert_eq!(answer["error"]["code"], "permission_denied", "{path:?}: {answer}");
    }
    for path in [&config, &aside, &new, &database] {
        let body = json!({"path": path, "content": "x", "overwrite": true});
        let answer = caller.post("/v1/files/write", &body).await.data();
        assert_eq!(answer["error"]["code"], "permission_denied", "{path:?}: {answer}");
    }
    assert_eq!(read(&place.join("beside")).await["result"]["content"], "fine");
}

#[actix_rt::test]
async fn what_a_client_logs_stands_in_one_line() {
    let daemon = Daemon::start("log.filter = \"debug\"").await;
    let firefox = automatic(&daemon, "ff").await;
    let forged = "fine\n2026-01-01T00:00:00Z ERROR forged: the token was rotated\r\u{2028}\u{1b}[2Jmore";
    for level in ["info", "x\n2026 ERROR forged level"] {
        firefox.send_json(&json!({"type": "client_log", "level": level, "message": forged})).await.unwrap();
    }
    handled(&firefox).await;
    let both = async || (daemon.stderr().matches("the token was rotated").count() == 2).then(|| daemon.stderr());
    let said = until("both lines", both).await;
    for line in said.lines() {
        assert!(!line.trim_start().starts_with("2026-01-01T00:00:00Z") && !line.starts_with("2026 ERROR"), "{line}");
    }
    assert!(!said.contains('\u{2028}') && !said.contains("\u{1b}[2J"), "{said}");
}
