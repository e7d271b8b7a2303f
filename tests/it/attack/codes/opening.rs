//! `baa-conductor open` seen by other users: its code is in no process's arguments and in no file that they can read.

use super::{begins, cookie, reads};
use crate::support::{
    Daemon, until,
    users::{Home, OWNER, STRANGER, has_other_users},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Stands for the program that opens pages: records its arguments and stays until it is released.
const OPENER: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$@\" > seen.new\nmv seen.new seen\nwhile ! [ -e release ]; do sleep 0.05; done\n";

/// An `open` of the daemon's owner that has opened its page.
struct Opened {
    child: Child,
    folder: PathBuf,
    /// The address that it printed.
    url: String,
    /// The arguments of the program that opens pages.
    given: Vec<String>,
}

impl Opened {
    async fn by_owner(daemon: &Daemon, home: &Path, arguments: &[&str]) -> Self {
        let folder = daemon.folder().path().join("openers");
        fs::create_dir_all(&folder).unwrap();
        for name in ["seen", "release"] {
            fs::remove_file(folder.join(name)).unwrap_or_default();
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let opener = folder.join("xdg-open");
        fs::write(&opener, OPENER).unwrap();
        fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = OWNER.command(daemon.folder().path().join("baa-conductor"));
        command.arg("open").args(arguments).arg("--state-dir").arg(daemon.folder().state()).current_dir(&folder);
        command.env_clear().env("HOME", home).env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let seen = folder.join("seen");
        let given = until("the program that opens pages", async || fs::read_to_string(&seen).ok()).await;
        let given = given.lines().map(str::to_owned).collect();
        Opened { child, folder, url: url.trim_end().to_owned(), given }
    }

    /// Releases the program that opens pages.
    fn release(&self) {
        fs::write(self.folder.join("release"), "").unwrap_or_default();
    }

    fn code(&self) -> &str {
        self.url.split_once("#code=").unwrap().1
    }

    /// Returns the path of the file that leads to the page.
    fn file(&self) -> &Path {
        let [file] = &self.given[..] else { panic!("one argument: {:?}", self.given) };
        Path::new(file)
    }

    async fn end(mut self) {
        self.release();
        let ended = until("the end of open", async || self.child.try_wait().unwrap()).await;
        assert!(ended.success());
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.release();
    }
}

/// Returns the arguments of every process, as any user may read them.
fn arguments_of_all() -> Vec<String> {
    STRANGER.makes(|| {
        let read = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok();
        let lines = fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(read);
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
    })
}

#[actix_rt::test]
async fn a_code_that_opens_the_page_stands_in_no_arguments_but_in_a_file_of_the_users_own() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("auth.session_code_ttl_ms = 3000").await;
    let home = daemon.folder().path().to_owned();
    let opened = Opened::by_owner(&daemon, &home, &[]).await;
    let all = arguments_of_all();
    assert!(all.iter().any(|line| line.contains("xdg-open")), "the program that opens pages is there: {all:?}");
    let shown: Vec<_> =
        all.iter().filter(|line| line.contains(opened.code()) || line.contains(&daemon.token())).collect();
    assert!(shown.is_empty(), "{shown:?}");

    let file = opened.file().to_owned();
    let found = fs::symlink_metadata(&file).unwrap();
    assert!(found.is_file() && found.mode() & 0o777 == 0o600, "{found:?}");
    assert!(!STRANGER.reads(&file) && OWNER.reads(&file));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(&opened.url), "{text}");
    let code = opened.code().to_owned();
    assert_eq!(begins(&daemon, STRANGER, &code).await.error().0, 403);
    let answer = begins(&daemon, OWNER, &code).await;
    assert_eq!(reads(&daemon, OWNER, &cookie(&answer)).await, 200, "{}", opened.url);
    opened.end().await;
    until("the end of the file", async || (!file.exists()).then_some(())).await;
}

/// Browsers installed as snaps can read neither the state folder nor any other whose name begins with a dot.
#[actix_rt::test]
async fn where_snaps_are_used_the_file_lies_where_they_can_read_it() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("auth.session_code_ttl_ms = 3000").await;
    let home = daemon.folder().path().join("home");
    for folder in [&home, &home.join("snap")] {
        fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(61_001), Some(61_001)).unwrap();
    }
    let opened = Opened::by_owner(&daemon, &home, &[]).await;
    let file = opened.file().to_owned();
    assert_eq!(file.parent(), Some(&*home), "{file:?}");
    assert!(!file.file_name().unwrap().to_string_lossy().starts_with('.'));
    assert_eq!(fs::symlink_metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(!STRANGER.reads(&file));
    opened.end().await;
    until("the end of the file", async || (!file.exists()).then_some(())).await;
}

/// What a killed `open` leaves behind.
#[actix_rt::test]
async fn what_an_earlier_one_left_behind_is_swept_and_what_is_not_its_own_stays() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("").await;
    let state = daemon.folder().state();
    let old = |name: &str| {
        let path = state.join(name);
        fs::write(&path, "left").unwrap();
        std::os::unix::fs::chown(&path, Some(61_001), Some(61_001)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        path
    };
    let (left, others) = (old("baa-conductor-open-0123456789abcdef.html"), old("notes.html"));
    let home = daemon.folder().path().to_owned();
    let opened = Opened::by_owner(&daemon, &home, &[]).await;
    assert!(!left.exists() && others.exists());
    assert!(opened.file().exists());
    opened.end().await;
}

#[actix_rt::test]
async fn print_opens_nothing_and_writes_nothing() {
    let daemon = Daemon::start("").await;
    let before = fs::read_dir(daemon.folder().state()).unwrap().count();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["open", "--print", "--state-dir"]).arg(daemon.folder().state());
    command.env_clear().env("HOME", daemon.folder().path());
    let told = actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(String::from_utf8(told.stdout).unwrap().contains("#code="));
    assert_eq!(fs::read_dir(daemon.folder().state()).unwrap().count(), before);
}
