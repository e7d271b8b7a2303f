//! The state folder with its token, lock and announcement, with real files.

use super::*;
use std::os::unix::fs::symlink;

/// A temporary folder that is removed when dropped.
pub(super) struct Temporary(pub(super) PathBuf);

impl Temporary {
    pub(super) fn new() -> Self {
        let path = env::temp_dir().join(format!("baa-conductor-test-{}", crate::ids::RequestId::generate()));
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Temporary(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_folder_follows_xdg_home_and_the_system() {
    let at = |macos, xdg: Option<&str>, home: Option<&str>| {
        default_path(macos, |name| if name == "HOME" { home } else { xdg }.map(OsString::from))
    };
    let is = |path: &str| Some(PathBuf::from(path));
    assert_eq!(at(false, Some("/s"), Some("/h")), is("/s/baa-conductor"));
    assert_eq!(at(false, Some("s"), Some("/h")), is("/h/.local/state/baa-conductor"));
    assert_eq!(at(true, None, Some("/h")), is("/h/Library/Application Support/baa-conductor"));
    assert_eq!(at(false, None, None), None);
    assert!(locate(Some(Path::new("relative"))).unwrap().is_absolute());
}

#[test]
fn a_folder_is_created_private_or_restricted() {
    let temporary = Temporary::new();
    let folder = temporary.at("a/b");
    prepare(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    chmod(&folder, 0o755);
    prepare(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    fs::write(temporary.at("file"), "").unwrap();
    assert!(matches!(prepare(&temporary.at("file")), Err(StateError::NotAFolder { .. })));
}

#[test]
fn the_error_of_a_second_daemon_has_the_pid_of_the_first() {
    let temporary = Temporary::new();
    let first = StateFolder::open(&temporary.0).unwrap();
    let error = StateFolder::open(&temporary.0).unwrap_err();
    assert!(matches!(error, StateError::Taken { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()));
    drop(first);
    StateFolder::open(&temporary.0).unwrap();
    fs::remove_file(temporary.at("conductor.lock")).unwrap();
    symlink("elsewhere", temporary.at("conductor.lock")).unwrap();
    assert!(StateFolder::open(&temporary.0).is_err(), "a link is not followed");
}

#[test]
fn a_token_is_created_once() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = AuthSettings::default();
    assert_eq!(client_token(&temporary.0, &auth).unwrap(), None);
    let made = folder.token(&auth).unwrap();
    assert!(made.expose().len() == 64 && made.expose().bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(mode(&token_file(&temporary.0)), 0o600);
    assert_eq!(folder.token(&auth).unwrap(), made);
    assert_eq!(client_token(&temporary.0, &auth).unwrap(), Some(made.clone()));
    let rotated = rotate_token(&temporary.0).unwrap();
    assert!(rotated != made && folder.token(&auth).unwrap() == rotated);
}

#[test]
fn a_configured_token_takes_precedence_and_creates_no_file() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = AuthSettings { token: Some(Secret::new("mine")), ..AuthSettings::default() };
    assert_eq!(folder.token(&auth).unwrap().expose(), "mine");
    let path = temporary.at("elsewhere");
    fs::write(&path, "from-a-file-0123456789\n").unwrap();
    chmod(&path, 0o600);
    let auth = AuthSettings { token_file: Some(path), ..AuthSettings::default() };
    assert_eq!(folder.token(&auth).unwrap().expose(), "from-a-file-0123456789");
    assert!(!token_file(&temporary.0).exists());
}

#[test]
fn a_token_file_that_others_can_access_is_refused() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = AuthSettings::default();
    let path = token_file(&temporary.0);
    folder.token(&auth).unwrap();
    for loose in [0o640, 0o604, 0o620, 0o777] {
        chmod(&path, loose);
        let error = folder.token(&auth).unwrap_err().to_string();
        assert!(error.contains(&format!("{loose:04o}")), "{error}");
    }
    chmod(&path, 0o600);
    fs::rename(&path, temporary.at("real")).unwrap();
    symlink(temporary.at("real"), &path).unwrap();
    assert!(folder.token(&auth).unwrap_err().to_string().contains("symbolic link"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(folder.token(&auth).unwrap_err().to_string().contains("not a regular file"));
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "\n").unwrap();
    chmod(&path, 0o600);
    assert!(matches!(folder.token(&auth), Err(TokenError::Content { .. })), "an empty token is none");
}

#[test]
fn a_daemon_is_found_while_it_announces_itself() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    assert!(matches!(DaemonInfo::find(&temporary.0), Err(FindDaemonError::NotRunning(_))));
    let announcement = folder.announce("http://127.0.0.1:1", "ws://127.0.0.1:1/ws/firefox", 5).unwrap();
    let found = DaemonInfo::find(&temporary.0).unwrap();
    assert_eq!((found.pid, found.http.as_str(), found.started_at), (std::process::id(), "http://127.0.0.1:1", 5));
    assert_eq!(mode(&temporary.at("daemon.json")), 0o600);
    drop(announcement);
    assert!(!temporary.at("daemon.json").exists());
}

#[test]
fn the_announcement_of_another_daemon_is_not_removed() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let announcement = folder.announce("http://a", "ws://a", 1).unwrap();
    let other = folder.announce("http://b", "ws://b", 2).unwrap();
    drop(announcement);
    assert_eq!(DaemonInfo::find(&temporary.0).unwrap().http, "http://b");
    drop(other);
}

#[test]
fn the_announcement_of_a_killed_daemon_is_ignored() {
    let temporary = Temporary::new();
    let not_running = || matches!(DaemonInfo::find(&temporary.0), Err(FindDaemonError::NotRunning(_)));
    let folder = StateFolder::open(&temporary.0).unwrap();
    // The pid is that of a live process, like a reused one.
    std::mem::forget(folder.announce("http://a", "ws://a", 1).unwrap());
    assert_eq!(DaemonInfo::find(&temporary.0).unwrap().pid, std::process::id());
    drop(folder);
    assert!(temporary.at("daemon.json").exists() && not_running());
    let _next = StateFolder::open(&temporary.0).unwrap();
    assert!(not_running(), "the next daemon has the lock, but it is not this one");
    fs::remove_file(temporary.at("conductor.lock")).unwrap();
    assert!(not_running());
}

#[test]
fn a_lock_that_others_could_hold_is_not_trusted() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let _announcement = folder.announce("http://a", "ws://a", 1).unwrap();
    let path = temporary.at("conductor.lock");
    let reason = || DaemonInfo::find(&temporary.0).unwrap_err().to_string();
    chmod(&path, 0o644);
    assert!(reason().contains("conductor.lock has mode 0644"), "{}", reason());
    chmod(&path, 0o600);
    fs::rename(&path, temporary.at("real")).unwrap();
    symlink(temporary.at("real"), &path).unwrap();
    assert!(reason().contains("conductor.lock is a symbolic link"), "{}", reason());
}

#[test]
fn a_client_that_checks_the_lock_does_not_prevent_a_start() {
    let temporary = Temporary::new();
    drop(StateFolder::open(&temporary.0).unwrap());
    let open = || File::open(temporary.at("conductor.lock")).unwrap();
    let (file, client) = (open(), open());
    client.try_lock_shared().unwrap();
    let (mut client, mut pauses) = (Some(client), 0);
    let pause = || {
        pauses += 1;
        if pauses == 2 {
            client = None;
        }
    };
    lock::lock_with_retries(&file, pause).unwrap();
    assert_eq!(pauses, 2);
}
