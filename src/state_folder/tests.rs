//! The folder, its token, its lock and its announcement, on real files.

use super::*;
use std::os::unix::fs::symlink;

/// A folder of this test's own, gone at its end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
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
        usual(macos, |name| if name == "HOME" { home } else { xdg }.map(OsString::from))
    };
    let is = |path: &str| Some(PathBuf::from(path));
    assert_eq!(at(false, Some("/s"), Some("/h")), is("/s/baa-conductor"));
    assert_eq!(at(false, Some("s"), Some("/h")), is("/h/.local/state/baa-conductor"));
    assert_eq!(at(true, None, Some("/h")), is("/h/Library/Application Support/baa-conductor"));
    assert_eq!(at(false, None, None), None);
    assert!(locate(Some(Path::new("relative"))).unwrap().is_absolute());
}

#[test]
fn a_folder_is_made_private_or_tightened() {
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
fn a_second_daemon_learns_the_first_ones_pid() {
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
fn a_token_is_made_once_and_kept() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = Auth::default();
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
fn a_configured_token_wins_and_makes_no_file() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = Auth { token: Some(Secret::new("mine")), ..Auth::default() };
    assert_eq!(folder.token(&auth).unwrap().expose(), "mine");
    let path = temporary.at("elsewhere");
    fs::write(&path, "from-a-file\n").unwrap();
    chmod(&path, 0o600);
    let auth = Auth { token_file: Some(path), ..Auth::default() };
    assert_eq!(folder.token(&auth).unwrap().expose(), "from-a-file");
    assert!(!token_file(&temporary.0).exists());
}

#[test]
fn a_token_file_that_others_could_touch_is_refused() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let auth = Auth::default();
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
    assert!(matches!(Daemon::find(&temporary.0), Err(FindError::NotRunning(_))));
    let announcement = folder.announce("http://127.0.0.1:1", "ws://127.0.0.1:1/ws/firefox", 5).unwrap();
    let found = Daemon::find(&temporary.0).unwrap();
    assert_eq!((found.pid, found.http.as_str(), found.started_at), (std::process::id(), "http://127.0.0.1:1", 5));
    assert_eq!(mode(&temporary.at("daemon.json")), 0o600);
    drop(announcement);
    assert!(!temporary.at("daemon.json").exists());
}

#[test]
fn anothers_announcement_stays_and_a_dead_ones_counts_for_nothing() {
    let temporary = Temporary::new();
    let folder = StateFolder::open(&temporary.0).unwrap();
    let announcement = folder.announce("http://a", "ws://a", 1).unwrap();
    let dead = Daemon { pid: i32::MAX as u32, http: "http://b".into(), ws: "ws://b".into(), started_at: 2 };
    std::mem::forget(Announcement::publish(&temporary.0, dead).unwrap());
    drop(announcement);
    assert!(temporary.at("daemon.json").exists());
    assert!(matches!(Daemon::find(&temporary.0), Err(FindError::NotRunning(_))));
}
