//! What files do, and that no path leads out of the roots, whatever changes while it is walked.

use super::{place::Bounds, *};
use crate::host::{
    outcome::{Refusal, Stopped},
    roots::Roots,
    sandbox::OwnFolder,
};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

/// Rounds of the race.
const ROUNDS: usize = 10_000;
const SECRET: &str = "SECRET";

/// Ends the race also when a round fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A root and what lies beside it.
struct Scene {
    folder: OwnFolder,
}

impl Scene {
    fn new() -> Self {
        let scene = Scene { folder: OwnFolder::new(&std::env::temp_dir()).unwrap() };
        for folder in ["root/dir", "outside", "root-evil"] {
            fs::create_dir_all(scene.at(folder)).unwrap();
        }
        for (file, text) in
            [("root/file", "inside"), ("root/dir/file", "inside"), ("outside/file", SECRET), ("root-evil/file", SECRET)]
        {
            fs::write(scene.at(file), text).unwrap();
        }
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn link(&self, target: impl AsRef<Path>, link: &str) {
        symlink(target, self.at(link)).unwrap();
    }

    fn within(&self, bounds: Bounds) -> Files {
        Files { readable: bounds.clone(), writable: bounds, own: Own::default(), base: self.at("root") }
    }

    fn rooted(&self) -> Files {
        self.within(Bounds::Beneath(Roots::open(&[self.at("root")]), Vec::new()))
    }

    fn open(&self) -> Files {
        self.within(Bounds::Everywhere)
    }
}

fn to_read(path: impl AsRef<Path>) -> FilesRead {
    let path = path.as_ref().display().to_string();
    FilesRead { path, cwd: None, encoding: Encoding::Utf8, offset: 0, max_bytes: READ_BYTES_DEFAULT }
}

fn to_write(path: impl AsRef<Path>, content: &str) -> FilesWrite {
    FilesWrite {
        path: path.as_ref().display().to_string(),
        cwd: None,
        content: content.to_owned(),
        encoding: Encoding::Utf8,
        overwrite: false,
        create_parents: false,
        mode: None,
    }
}

fn over(path: impl AsRef<Path>, content: &str) -> FilesWrite {
    FilesWrite { overwrite: true, create_parents: true, ..to_write(path, content) }
}

fn code<R: std::fmt::Debug>(done: Result<R, Stopped>) -> ProblemCode {
    match done {
        Err(Stopped::Failed(problem)) => problem.code,
        other => panic!("{other:?}"),
    }
}

fn is_outside<R: std::fmt::Debug>(done: &Result<R, Stopped>) -> bool {
    matches!(done, Err(Stopped::Refused(Refusal::OutsideRoots { .. })))
}

#[test]
fn a_part_of_a_file_is_whole_characters() {
    let scene = Scene::new();
    let path = scene.at("root/text");
    fs::write(&path, "aüb").unwrap();
    let part = |offset, max_bytes| scene.open().read(&FilesRead { offset, max_bytes, ..to_read(&path) });
    let content = |offset, max_bytes| part(offset, max_bytes).map(|read| (read.content, read.truncated)).unwrap();
    assert_eq!(content(0, 4), ("aüb".into(), false));
    assert_eq!(content(0, 3), ("aü".into(), true));
    assert_eq!(content(0, 2), ("a".into(), true));
    assert_eq!(content(3, 1), ("b".into(), false));
    assert_eq!(content(9, 1), (String::new(), false));
    assert_eq!(code(part(2, 9)), ProblemCode::NotUtf8);
    assert_eq!(code(part(1, 1)), ProblemCode::NotUtf8);
    let whole = part(0, 4).unwrap();
    assert_eq!((whole.size_bytes, whole.path), (4, path.display().to_string()));
    let base64 = scene.open().read(&FilesRead { encoding: Encoding::Base64, offset: 2, ..to_read(&path) });
    assert_eq!(base64.unwrap().content, "vGI=");
}

#[test]
fn what_is_no_file_is_not_read_and_not_replaced() {
    let scene = Scene::new();
    mknodat(CWD, scene.at("root/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    scene.link("loop", "root/loop");
    for files in [scene.open(), scene.rooted()] {
        for (path, expected) in [
            ("fifo", ProblemCode::NotRegularFile),
            ("loop", ProblemCode::NotRegularFile),
            ("dir", ProblemCode::IsDirectory),
            ("missing", ProblemCode::NotFound),
            ("file/below", ProblemCode::NotFound),
        ] {
            assert_eq!(code(files.read(&to_read(path))), expected, "{path}");
        }
        for (path, expected) in [
            ("fifo", ProblemCode::NotRegularFile),
            ("loop", ProblemCode::NotRegularFile),
            ("dir", ProblemCode::IsDirectory),
            ("dir/", ProblemCode::IsDirectory),
            ("dir/..", ProblemCode::IsDirectory),
            (".", ProblemCode::IsDirectory),
        ] {
            assert_eq!(code(files.write(&over(path, "x"))), expected, "{path}");
        }
        assert_eq!(code(files.write(&to_write("a/b", "x"))), ProblemCode::NotFound);
        assert_eq!(code(files.write(&to_write("file", "x"))), ProblemCode::AlreadyExists);
    }
    assert_eq!(fs::read_to_string(scene.at("root/file")).unwrap(), "inside");
}

#[test]
fn a_write_takes_the_place_of_a_file_and_leaves_nothing_else() {
    let scene = Scene::new();
    let (files, path) = (scene.rooted(), scene.at("root/file"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let written = files.write(&over("file", "new")).unwrap();
    assert_eq!(written, WriteResult { path: path.display().to_string(), created: false, bytes_written: 3 });
    let after = fs::metadata(&path).unwrap();
    assert!(after.ino() != before && after.mode() & 0o7777 == 0o604, "another file with the same permissions");
    files.write(&FilesWrite { mode: Some(0o4711), ..over("a/b/c", "deep") }).unwrap();
    assert_eq!(fs::metadata(scene.at("root/a/b/c")).unwrap().mode() & 0o7777, 0o4711);
    files.write(&FilesWrite { encoding: Encoding::Base64, ..over("bytes", "AP8B") }).unwrap();
    assert_eq!(fs::read(scene.at("root/bytes")).unwrap(), b"\x00\xff\x01");
    let names: Vec<_> = fs::read_dir(scene.at("root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".baa")), "{names:?}");
}

#[test]
fn a_link_is_followed_to_the_file_that_is_then_replaced() {
    let scene = Scene::new();
    scene.link("dir/file", "root/link");
    scene.link(scene.at("root/dir"), "root/absolute");
    scene.link("dir/new", "root/dangling");
    for files in [scene.open(), scene.rooted()] {
        assert_eq!(files.read(&to_read("link")).unwrap().content, "inside");
        assert_eq!(
            files.read(&to_read("absolute/file")).unwrap().path,
            scene.at("root/dir/file").display().to_string()
        );
        assert!(!files.write(&over("link", "inside")).unwrap().created);
        let made = files.write(&over("dangling", "inside")).unwrap();
        assert_eq!(made.path, scene.at("root/dir/new").display().to_string());
        for link in ["link", "absolute", "dangling"] {
            assert!(fs::symlink_metadata(scene.at("root").join(link)).unwrap().is_symlink(), "{link}");
        }
    }
}

#[test]
fn no_spelling_leads_out_of_the_roots() {
    let scene = Scene::new();
    scene.link(scene.at("outside"), "root/link-dir");
    scene.link("../outside/file", "root/link-file");
    scene.link(scene.at("outside/new"), "root/dangling");
    scene.link("/proc/self/root", "root/magic");
    let files = scene.rooted();
    let absolute = scene.at("outside/file").display().to_string();
    let evil = scene.at("root-evil/file").display().to_string();
    let out = format!("{}/../outside/file", scene.at("root").display());
    for path in [
        "../outside/file",
        "dir/../../outside/file",
        "link-dir/file",
        "link-file",
        "dir/../link-dir/../outside/file",
        "/etc/passwd",
        "/",
        "..",
        "dangling",
        "../missing",
        absolute.as_str(),
        evil.as_str(),
        out.as_str(),
    ] {
        let read = files.read(&to_read(path));
        assert!(is_outside(&read), "{path}: {read:?}");
        let written = files.write(&over(path, "x"));
        assert!(is_outside(&written), "{path}: {written:?}");
    }
    let magic = files.read(&to_read(format!("magic{absolute}")));
    assert!(magic.is_err(), "{magic:?}");
    assert!(files.write(&over(format!("magic{absolute}"), "x")).is_err());
    for file in ["outside/file", "root-evil/file"] {
        assert_eq!(fs::read_to_string(scene.at(file)).unwrap(), SECRET);
    }
    assert!(!scene.at("outside/new").exists() && !scene.at("missing").exists());
}

#[test]
fn a_link_swapped_in_a_loop_never_leads_out() {
    let scene = Scene::new();
    scene.link(scene.at("outside"), "root/swap");
    scene.link("../outside", "root/swap2");
    let (files, done) = (scene.rooted(), AtomicBool::new(false));
    let (mut inside, mut refused) = (0_usize, 0_usize);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, links) = (scene.at("root/dir"), [scene.at("root/swap"), scene.at("root/swap2")]);
            // The folder and a link change places, over and over.
            for link in links.iter().cycle().take_while(|_| !done.load(Relaxed)) {
                renameat_with(CWD, &dir, CWD, link, RenameFlags::EXCHANGE).unwrap();
                renameat_with(CWD, &dir, CWD, link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _ends = Ends(&done);
        for round in 0..ROUNDS {
            match files.read(&to_read("dir/file")) {
                Ok(read) => {
                    assert_ne!(read.content, SECRET, "round {round}");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
            // What was written lies in the folder inside, wherever that stood; it is checked at the end.
            let _ = files.write(&over(if round % 2 == 0 { "dir/file" } else { "dir/made/new" }, "inside"));
        }
    });
    assert!(inside > 0 && refused > 0, "the race took place: {inside} inside, {refused} refused");
    assert_eq!(fs::read_to_string(scene.at("outside/file")).unwrap(), SECRET);
    let names: Vec<_> = fs::read_dir(scene.at("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"], "nothing was made outside");
}

#[test]
fn what_is_the_daemons_own_is_not_to_be_had_under_any_name() {
    let scene = Scene::new();
    scene.link(scene.at("outside"), "root/link");
    fs::hard_link(scene.at("outside/file"), scene.at("root/hard")).unwrap();
    let own = Own::new([scene.at("outside"), scene.at("elsewhere/token")], []);
    fs::create_dir(scene.at("elsewhere")).unwrap();
    let files = Files { own, ..scene.open() };
    for path in ["../outside/file", "link/file", "hard"] {
        assert_eq!(code(files.read(&to_read(path))), ProblemCode::PermissionDenied, "{path}");
    }
    for path in ["../outside/file", "../outside/new", "../outside/a/b", "link/new", "hard", "../elsewhere/token"] {
        assert_eq!(code(files.write(&over(path, "x"))), ProblemCode::PermissionDenied, "{path}");
    }
    assert!(!scene.at("outside/a").exists() && !scene.at("elsewhere/token").exists());
    assert_eq!(files.write(&over("../elsewhere/other", "x")).unwrap().bytes_written, 1);
}
