//! Removes trees of every shape, with folders that deny access at first.

use super::*;
use rustix::fs::{chmodat, mkdirat, symlinkat};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

struct Fixture(PathBuf);

impl Fixture {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("baa-removal-{}", crate::ids::RequestId::generate()));
        fs::create_dir(&path).unwrap();
        Fixture(path)
    }

    fn held(&self) -> HeldFolder {
        HeldFolder::open(&self.0).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Ok(held) = HeldFolder::open(&self.0) {
            held.remove(soon()).unwrap();
        }
    }
}

/// Creates nested folders with `mode`.
fn nested(at: &HeldFolder, depth: usize, mode: Mode) {
    let mut folder = at.folder.try_clone().unwrap();
    for _ in 0..depth {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        let deeper = openat(&folder, "d", FOLDER, Mode::empty()).unwrap();
        chmodat(&folder, "d", mode, AtFlags::empty()).unwrap();
        folder = deeper;
    }
}

#[test]
fn a_tree_goes_however_deep_and_closed_it_is() {
    for mode in [Mode::RWXU, Mode::empty(), Mode::RUSR] {
        let fixture = Fixture::new();
        let held = fixture.held();
        // Only root can create a folder in one without permissions.
        if mode == Mode::RWXU || geteuid().is_root() {
            nested(&held, 5_000, mode);
        } else {
            nested(&held, 1, mode);
        }
        assert_eq!(held.remove(soon()), Ok(()), "{mode:?}");
        assert!(!fixture.0.exists());
    }
}

#[test]
fn a_wide_tree_goes_as_well() {
    let fixture = Fixture::new();
    for n in 0..2_000 {
        fs::create_dir_all(fixture.0.join(format!("{n}/a/b"))).unwrap();
        fs::write(fixture.0.join(format!("{n}/f")), "x").unwrap();
    }
    assert_eq!(fixture.held().remove(soon()), Ok(()));
    assert!(!fixture.0.exists());
}

#[test]
fn links_are_removed_and_what_they_lead_to_stays_as_it_is() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let closed = other.0.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(other.0.join("kept"), "x").unwrap();
    fs::hard_link(other.0.join("kept"), fixture.0.join("hard")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let held = fixture.held();
    for (name, to) in [("a", &other.0), ("b", &closed)] {
        symlinkat(to, &held.folder, name).unwrap();
    }
    symlinkat("..", &held.folder, "up").unwrap();
    assert_eq!(held.remove(soon()), Ok(()));
    assert!(!fixture.0.exists() && other.0.join("kept").exists());
    assert_eq!(fs::metadata(&closed).unwrap().permissions().mode() & 0o777, 0o500);
}

#[test]
fn a_folder_that_was_moved_away_is_emptied_and_what_took_its_name_stays() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    fs::write(fixture.0.join("x"), "x").unwrap();
    let held = fixture.held();
    fs::rename(&fixture.0, other.0.join("moved")).unwrap();
    fs::create_dir(&fixture.0).unwrap();
    fs::write(fixture.0.join("kept"), "x").unwrap();
    assert_eq!(held.remove(soon()), Ok(()));
    assert!(fixture.0.join("kept").exists() && !other.0.join("moved/x").exists());
}

#[test]
fn it_ends_in_time_and_a_later_one_goes_on() {
    let fixture = Fixture::new();
    let held = fixture.held();
    nested(&held, 100, Mode::RWXU);
    assert_eq!(held.remove(Instant::now()), Err(RemovalError::TimedOut));
    assert!(held.is_there());
    assert_eq!(held.remove(soon()), Ok(()));
}

#[test]
fn names_that_the_walk_would_give_are_no_hindrance() {
    let fixture = Fixture::new();
    let held = fixture.held();
    nested(&held, 200, Mode::RWXU);
    for n in 0..4 {
        fs::create_dir_all(fixture.0.join(format!("deeper-{}-{n}/x", std::process::id()))).unwrap();
    }
    assert_eq!(held.remove(soon()), Ok(()));
    assert!(!fixture.0.exists());
}
