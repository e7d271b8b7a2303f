//! Reading and writing files, and that no path leads out of the roots, also during concurrent renames.

use super::{resolve::PathBounds, *};
use crate::host::{
    outcome::{OperationFailure, OperationRefusal},
    roots::OpenRoots,
    sandbox::CommandFolder,
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

/// Stops the racing thread also when an assertion fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A root with a folder outside of it.
struct Fixture {
    folder: CommandFolder,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Fixture { folder: CommandFolder::new(&std::env::temp_dir()).unwrap() };
        for folder in ["root/dir", "outside", "root-evil"] {
            fs::create_dir_all(fixture.at(folder)).unwrap();
        }
        for (file, text) in
            [("root/file", "inside"), ("root/dir/file", "inside"), ("outside/file", SECRET), ("root-evil/file", SECRET)]
        {
            fs::write(fixture.at(file), text).unwrap();
        }
        fixture
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn link(&self, target: impl AsRef<Path>, link: &str) {
        symlink(target, self.at(link)).unwrap();
    }

    fn within(&self, bounds: PathBounds) -> FileAccess {
        FileAccess {
            readable: bounds.clone(),
            writable: bounds,
            protected: ProtectedFiles::default(),
            base: self.at("root"),
        }
    }

    fn rooted(&self) -> FileAccess {
        self.within(PathBounds::Beneath(OpenRoots::open(&[self.at("root")]), Vec::new()))
    }

    fn open(&self) -> FileAccess {
        self.within(PathBounds::Everywhere)
    }
}

fn to_read(path: impl AsRef<Path>) -> FileReadInput {
    let path = path.as_ref().display().to_string();
    FileReadInput { path, cwd: None, encoding: FileEncoding::Utf8, offset: 0, max_bytes: READ_BYTES_DEFAULT }
}

fn to_write(path: impl AsRef<Path>, content: &str) -> FileWriteInput {
    FileWriteInput {
        path: path.as_ref().display().to_string(),
        cwd: None,
        content: content.to_owned(),
        encoding: FileEncoding::Utf8,
        overwrite: false,
        create_parents: false,
        mode: None,
    }
}

fn over(path: impl AsRef<Path>, content: &str) -> FileWriteInput {
    FileWriteInput { overwrite: true, create_parents: true, ..to_write(path, content) }
}

fn code<R: std::fmt::Debug>(done: Result<R, OperationFailure>) -> OperationErrorCode {
    match done {
        Err(OperationFailure::Failed(problem)) => problem.code,
        other => panic!("{other:?}"),
    }
}

fn is_outside<R: std::fmt::Debug>(done: &Result<R, OperationFailure>) -> bool {
    matches!(done, Err(OperationFailure::Refused(OperationRefusal::OutsideRoots { .. })))
}

#[test]
fn a_part_of_a_file_is_whole_characters() {
    let fixture = Fixture::new();
    let path = fixture.at("root/text");
    fs::write(&path, "aüb").unwrap();
    let part = |offset, max_bytes| fixture.open().read(&FileReadInput { offset, max_bytes, ..to_read(&path) });
    let content = |offset, max_bytes| part(offset, max_bytes).map(|read| (read.content, read.truncated)).unwrap();
    assert_eq!(content(0, 4), ("aüb".into(), false));
    assert_eq!(content(0, 3), ("aü".into(), true));
    assert_eq!(content(0, 2), ("a".into(), true));
    assert_eq!(content(3, 1), ("b".into(), false));
    assert_eq!(content(9, 1), (String::new(), false));
    assert_eq!(code(part(2, 9)), OperationErrorCode::NotUtf8);
    assert_eq!(code(part(1, 1)), OperationErrorCode::NotUtf8);
    let whole = part(0, 4).unwrap();
    assert_eq!((whole.size_bytes, whole.path), (4, path.display().to_string()));
    let base64 = fixture.open().read(&FileReadInput { encoding: FileEncoding::Base64, offset: 2, ..to_read(&path) });
    assert_eq!(base64.unwrap().content, "vGI=");
}

#[test]
fn only_regular_files_are_read_and_replaced() {
    let fixture = Fixture::new();
    mknodat(CWD, fixture.at("root/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fixture.link("loop", "root/loop");
    for files in [fixture.open(), fixture.rooted()] {
        for (path, expected) in [
            ("fifo", OperationErrorCode::NotRegularFile),
            ("loop", OperationErrorCode::NotRegularFile),
            ("dir", OperationErrorCode::IsDirectory),
            ("missing", OperationErrorCode::NotFound),
            ("file/below", OperationErrorCode::NotFound),
        ] {
            assert_eq!(code(files.read(&to_read(path))), expected, "{path}");
        }
        for (path, expected) in [
            ("fifo", OperationErrorCode::NotRegularFile),
            ("loop", OperationErrorCode::NotRegularFile),
            ("dir", OperationErrorCode::IsDirectory),
            ("dir/", OperationErrorCode::IsDirectory),
            ("dir/..", OperationErrorCode::IsDirectory),
            (".", OperationErrorCode::IsDirectory),
        ] {
            assert_eq!(code(files.write(&over(path, "x"))), expected, "{path}");
        }
        assert_eq!(code(files.write(&to_write("a/b", "x"))), OperationErrorCode::NotFound);
        assert_eq!(code(files.write(&to_write("file", "x"))), OperationErrorCode::AlreadyExists);
    }
    assert_eq!(fs::read_to_string(fixture.at("root/file")).unwrap(), "inside");
}

#[test]
fn a_write_takes_the_place_of_a_file_and_leaves_nothing_else() {
    let fixture = Fixture::new();
    let (files, path) = (fixture.rooted(), fixture.at("root/file"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let written = files.write(&over("file", "new")).unwrap();
    assert_eq!(written, FileWriteResult { path: path.display().to_string(), created: false, bytes_written: 3 });
    let after = fs::metadata(&path).unwrap();
    assert!(after.ino() != before && after.mode() & 0o7777 == 0o604, "another file with the same permissions");
    files.write(&FileWriteInput { mode: Some(0o4711), ..over("a/b/c", "deep") }).unwrap();
    assert_eq!(fs::metadata(fixture.at("root/a/b/c")).unwrap().mode() & 0o7777, 0o4711);
    files.write(&FileWriteInput { encoding: FileEncoding::Base64, ..over("bytes", "AP8B") }).unwrap();
    assert_eq!(fs::read(fixture.at("root/bytes")).unwrap(), b"\x00\xff\x01");
    let names: Vec<_> = fs::read_dir(fixture.at("root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".baa")), "{names:?}");
}

#[test]
fn a_link_is_followed_to_the_file_that_is_then_replaced() {
    let fixture = Fixture::new();
    fixture.link("dir/file", "root/link");
    fixture.link(fixture.at("root/dir"), "root/absolute");
    fixture.link("dir/new", "root/dangling");
    for files in [fixture.open(), fixture.rooted()] {
        assert_eq!(files.read(&to_read("link")).unwrap().content, "inside");
        assert_eq!(
            files.read(&to_read("absolute/file")).unwrap().path,
            fixture.at("root/dir/file").display().to_string()
        );
        assert!(!files.write(&over("link", "inside")).unwrap().created);
        let made = files.write(&over("dangling", "inside")).unwrap();
        assert_eq!(made.path, fixture.at("root/dir/new").display().to_string());
        for link in ["link", "absolute", "dangling"] {
            assert!(fs::symlink_metadata(fixture.at("root").join(link)).unwrap().is_symlink(), "{link}");
        }
    }
}

#[test]
fn no_spelling_leads_out_of_the_roots() {
    let fixture = Fixture::new();
    fixture.link(fixture.at("outside"), "root/link-dir");
    fixture.link("../outside/file", "root/link-file");
    fixture.link(fixture.at("outside/new"), "root/dangling");
    fixture.link("/proc/self/root", "root/magic");
    let files = fixture.rooted();
    let absolute = fixture.at("outside/file").display().to_string();
    let evil = fixture.at("root-evil/file").display().to_string();
    let out = format!("{}/../outside/file", fixture.at("root").display());
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
        assert_eq!(fs::read_to_string(fixture.at(file)).unwrap(), SECRET);
    }
    assert!(!fixture.at("outside/new").exists() && !fixture.at("missing").exists());
}

#[test]
fn a_link_swapped_in_a_loop_never_leads_out() {
    let fixture = Fixture::new();
    fixture.link(fixture.at("outside"), "root/swap");
    fixture.link("../outside", "root/swap2");
    let (files, done) = (fixture.rooted(), AtomicBool::new(false));
    let (mut inside, mut refused) = (0_usize, 0_usize);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, links) = (fixture.at("root/dir"), [fixture.at("root/swap"), fixture.at("root/swap2")]);
            // Exchanges the folder and a link in a loop.
            for link in links.iter().cycle().take_while(|_| !done.load(Relaxed)) {
                renameat_with(CWD, &dir, CWD, link, RenameFlags::EXCHANGE).unwrap();
                renameat_with(CWD, &dir, CWD, link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = StopOnDrop(&done);
        for round in 0..ROUNDS {
            match files.read(&to_read("dir/file")) {
                Ok(read) => {
                    assert_ne!(read.content, SECRET, "round {round}");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
            // Where this wrote is checked at the end.
            let _ = files.write(&over(if round % 2 == 0 { "dir/file" } else { "dir/made/new" }, "inside"));
        }
    });
    assert!(inside > 0 && refused > 0, "the race took place: {inside} inside, {refused} refused");
    assert_eq!(fs::read_to_string(fixture.at("outside/file")).unwrap(), SECRET);
    let names: Vec<_> = fs::read_dir(fixture.at("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"], "nothing was made outside");
}

#[test]
fn protected_files_are_unreachable_under_any_name() {
    let fixture = Fixture::new();
    fixture.link(fixture.at("outside"), "root/link");
    fs::hard_link(fixture.at("outside/file"), fixture.at("root/hard")).unwrap();
    let protected = ProtectedFiles::new([fixture.at("outside"), fixture.at("elsewhere/token")], []);
    fs::create_dir(fixture.at("elsewhere")).unwrap();
    let files = FileAccess { protected, ..fixture.open() };
    for path in ["../outside/file", "link/file", "hard"] {
        assert_eq!(code(files.read(&to_read(path))), OperationErrorCode::PermissionDenied, "{path}");
    }
    for path in ["../outside/file", "../outside/new", "../outside/a/b", "link/new", "hard", "../elsewhere/token"] {
        assert_eq!(code(files.write(&over(path, "x"))), OperationErrorCode::PermissionDenied, "{path}");
    }
    assert!(!fixture.at("outside/a").exists() && !fixture.at("elsewhere/token").exists());
    assert_eq!(files.write(&over("../elsewhere/other", "x")).unwrap().bytes_written, 1);
}
