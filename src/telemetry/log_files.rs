//! Daily log files that only their owner can read, regardless of the process's umask.
//!
//! The library that rotates the files creates them with the default mode. So each file is created here first, with mode
//! 0600, at the start and when a day begins; the modes of files of earlier versions are restricted at the start.

use crate::clock::{Clock, WallMs};
use chrono::DateTime;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, open};
use std::{
    error::Error,
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tracing_appender::rolling::{RollingFileAppender, Rotation};

/// Number of daily files that are kept.
const FILES_KEPT: usize = 7;
/// Start and end of the names of log files.
const PREFIX: &str = "conductor";
const SUFFIX: &str = "log";
/// Mode 0600.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const DAY_MS: WallMs = 86_400_000;

/// A writer to the current day's file in a folder.
pub(super) struct LogFiles<W = RollingFileAppender> {
    appender: W,
    folder: PathBuf,
    clock: Clock,
    /// Day of the latest file that was created, in days since 1970.
    day: WallMs,
}

impl LogFiles {
    /// Creates the folder and the file of the day, and restricts the modes of existing files.
    pub(super) fn open(folder: &Path, clock: Clock) -> Result<Self, Box<dyn Error + Send + Sync>> {
        // The appender creates the folder too, but first prints an error on stderr that it has none to clean up.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        restrict_existing(folder)?;
        let day = current_day(clock);
        create_log_file(folder, day)?;
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(PREFIX)
            .filename_suffix(SUFFIX)
            .max_log_files(FILES_KEPT)
            .build(folder)?;
        Ok(LogFiles { appender, folder: folder.to_owned(), clock, day })
    }
}

impl<W> LogFiles<W> {
    /// Creates the file of the current day, if a new day has begun.
    fn create_todays_file(&mut self) {
        let day = current_day(self.clock);
        // If this fails, the log line cannot be written either, so the error cannot be logged.
        if day != self.day && create_log_file(&self.folder, day).is_ok() {
            self.day = day;
        }
    }
}

impl<W: Write> Write for LogFiles<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.create_todays_file();
        let written = self.appender.write(bytes);
        // A new day may have begun during the write.
        self.create_todays_file();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.appender.flush()
    }
}

fn current_day(clock: Clock) -> WallMs {
    clock.now_ms().div_euclid(DAY_MS)
}

/// Creates the file of a day, or restricts the mode of the existing one.
fn create_log_file(folder: &Path, day: WallMs) -> io::Result<()> {
    let date = DateTime::from_timestamp_millis(day.saturating_mul(DAY_MS)).ok_or(io::ErrorKind::InvalidInput)?;
    let name = format!("{PREFIX}.{}.{SUFFIX}", date.format("%Y-%m-%d"));
    let how = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fchmod(open(folder.join(name), how, PRIVATE)?, PRIVATE)?)
}

/// Restricts the modes of all log files in a folder.
fn restrict_existing(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // A link, or a file that this user cannot open, is not a log file of the daemon.
        let Ok(file) = open(entry.path(), how, Mode::empty()) else { continue };
        let found = fstat(&file)?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if is_file && Mode::from_raw_mode(found.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            fchmod(&file, PRIVATE)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct TestFolder(PathBuf);

    impl TestFolder {
        fn new() -> Self {
            TestFolder(std::env::temp_dir().join(format!("baa-logs-{}", crate::ids::RequestId::generate())))
        }

        fn modes(&self) -> BTreeMap<String, u32> {
            let mode = |path: PathBuf| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
            let entries = fs::read_dir(&self.0).unwrap().flatten();
            entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(entry.path()))).collect()
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_created_file_is_the_one_that_is_written() {
        let folder = TestFolder::new();
        let mut files = LogFiles::open(&folder.0, Clock::System).unwrap();
        files.write_all(b"a line\n").unwrap();
        files.flush().unwrap();
        let modes = folder.modes();
        // Two files, if the test runs over midnight.
        assert!(modes.values().all(|mode| *mode == 0o600) && (1..=2).contains(&modes.len()), "{modes:?}");
        let all: String = modes.keys().map(|name| fs::read_to_string(folder.0.join(name)).unwrap()).collect();
        assert_eq!(all, "a line\n");
        assert_eq!(fs::metadata(&folder.0).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn existing_log_files_are_restricted_and_other_files_are_unchanged() {
        let folder = TestFolder::new();
        fs::create_dir(&folder.0).unwrap();
        for name in ["conductor.2020-01-01.log", "other"] {
            fs::write(folder.0.join(name), "x").unwrap();
            fs::set_permissions(folder.0.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        std::os::unix::fs::symlink("other", folder.0.join("conductor.2020-01-02.log")).unwrap();
        restrict_existing(&folder.0).unwrap();
        let modes = folder.modes();
        assert_eq!((modes["conductor.2020-01-01.log"], modes["other"]), (0o600, 0o644));
    }

    #[test]
    fn the_file_of_the_next_day_is_created() {
        let folder = TestFolder::new();
        fs::create_dir(&folder.0).unwrap();
        let mut files =
            LogFiles { appender: Vec::new(), folder: folder.0.clone(), clock: Clock::starting_at(DAY_MS), day: 0 };
        files.write_all(b"x").unwrap();
        assert_eq!(folder.modes(), BTreeMap::from([("conductor.1970-01-02.log".to_owned(), 0o600)]));
        assert_eq!((files.day, files.appender.as_slice()), (1, &b"x"[..]));
    }
}
