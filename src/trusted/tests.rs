//! Files and folders that other users could change or read.

use super::*;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

struct TestFolder(PathBuf);

impl TestFolder {
    /// Creates a folder with mode 0755 in the system's folder for temporary files.
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("baa-trusted-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        chmod(&path, 0o755);
        TestFolder(path.canonicalize().unwrap())
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, "text").unwrap();
        chmod(&path, mode);
        path
    }

    fn folder(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        chmod(&path, mode);
        path
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_all_users_may_write_is_refused_with_the_command_that_corrects_it() {
    let folder = TestFolder::new("file");
    let path = folder.file("it's one", 0o646);
    let message = TrustedFile::open(&path).unwrap_err().to_string();
    let quoted = path.display().to_string().replace('\'', "'\\''");
    assert_eq!(
        message,
        format!("{} has mode 0646, so that others may change it; run `chmod go-w '{quoted}'`", path.display())
    );
    chmod(&path, 0o644);
    assert_eq!(TrustedFile::open(&path).unwrap().read().unwrap(), "text");
}

#[test]
fn a_folder_that_all_users_may_write_is_refused_unless_a_private_one_is_below_it() {
    let folder = TestFolder::new("folders");
    let open = folder.folder("open", 0o777);
    fs::write(open.join("file"), "text").unwrap();
    assert!(matches!(TrustedFile::open(&open.join("file")), Err(TrustError::Writable { by_all: true, .. })));
    let private = folder.folder("open/private", 0o700);
    fs::write(private.join("file"), "text").unwrap();
    assert!(TrustedFile::open(&private.join("file")).is_ok());
    chmod(&open, 0o1777);
    assert!(TrustedFile::open(&open.join("file")).is_ok(), "the sticky bit protects existing files");
    assert!(check_database(&open.join("new.db")).is_err(), "but not new ones");
    assert!(check_database(&private.join("new.db")).is_ok());
    assert!(check_folder(&open).is_err() && check_folder(&open.join("new")).is_ok());
}

#[test]
fn links_are_followed_and_every_folder_on_the_path_is_checked() {
    let folder = TestFolder::new("links");
    let (open, fine) = (folder.folder("open", 0o777), folder.folder("fine", 0o755));
    for place in [&open, &fine] {
        fs::write(place.join("file"), "text").unwrap();
    }
    for (name, target, passes) in [
        ("relative", "fine/file".to_owned(), true),
        ("absolute", fine.join("file").display().to_string(), true),
        ("up", "open/../fine/file".to_owned(), false),
        ("into the open", "open/file".to_owned(), false),
        ("loop", "loop".to_owned(), false),
        ("nowhere", "missing".to_owned(), false),
    ] {
        let link = folder.0.join(name);
        symlink(&target, &link).unwrap();
        assert_eq!(TrustedFile::open(&link).is_ok(), passes, "{name}");
    }
}

#[test]
fn a_file_that_others_can_read_is_not_secret_unless_a_folder_hides_it() {
    let folder = TestFolder::new("secret");
    let secrecy = |path: &Path| TrustedFile::open(path).unwrap().secrecy();
    assert!(matches!(secrecy(&folder.file("own", 0o600)), FileSecrecy::Private));
    assert!(matches!(secrecy(&folder.file("all", 0o644)), FileSecrecy::Open(_)));
    let closed = folder.folder("closed", 0o700);
    fs::write(closed.join("file"), "text").unwrap();
    chmod(&closed.join("file"), 0o644);
    assert!(matches!(secrecy(&closed.join("file")), FileSecrecy::Hidden(_)));
    assert!(check_database(&closed.join("file")).is_ok());
    assert!(check_database(&folder.file("db", 0o644)).unwrap_err().to_string().contains("chmod 600"));
    let database = folder.file("kept", 0o600);
    folder.file("kept-wal", 0o666);
    assert!(check_database(&database).unwrap_err().to_string().contains("kept-wal"));
}

#[test]
fn folders_missing_files_and_paths_below_files_are_refused() {
    let folder = TestFolder::new("none");
    assert!(matches!(TrustedFile::open(&folder.0), Err(TrustError::NotUsable { .. })));
    let missing = TrustedFile::open(&folder.0.join("a/b")).unwrap_err();
    assert!(matches!(missing, TrustError::Io(error) if error.kind() == io::ErrorKind::NotFound));
    let within = folder.file("file", 0o600).join("x");
    assert!(TrustedFile::open(&within).is_err());
}
