//! Opens the database: every check comes before the first write, so that a refused file stays as it was.
//!
//! ```text
//! none: build it ─┐
//! file ───────────┴─► busy timeout ─► SQLite new enough? ours? whole? not newer? ─► WAL, FULL ─► migrations
//! ```

use crate::trusted::{self, TrustError};
use diesel::{connection::SimpleConnection, prelude::*, sql_types, sqlite::Sqlite};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use rustix::fs::{Access, access};
use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Table in which diesel records applied migrations.
const APPLIED: &str = "__diesel_schema_migrations";

/// The first SQLite without the WAL-reset bug.
///
/// From 3.7.0 to 3.51.2 a checkpoint that raced with a commit that reset the log could believe that frames were
/// in the database which were not, and so lose them (<https://sqlite.org/wal.html#walresetbug>). The bundled SQLite
/// is newer; a build that was linked against the system's is what this catches.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Largest file that is checked completely at the start, which takes about a millisecond.
const CHECKED_WHOLE_BYTES: u64 = 512 * 1024;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The linked SQLite may lose committed rows.
    #[error("sqlite {found} has the WAL-reset bug, 3.51.3 or newer is needed")]
    OldSqlite {
        /// Version of the linked SQLite.
        found: String,
    },
    /// The file cannot be created or accessed.
    #[error("database {} cannot be opened: {reason}", path.display())]
    Unreachable {
        /// The database's file.
        path: PathBuf,
        /// Error of the system or of SQLite.
        reason: String,
    },
    /// Others may change or read it, or put another in its place.
    #[error("database {} is not opened: {reason}", path.display())]
    Distrusted {
        /// The database's file.
        path: PathBuf,
        /// Who, and what mends that.
        reason: TrustError,
    },
    /// The file may be read and not written.
    #[error("database {} may not be written", path.display())]
    ReadOnly {
        /// The database's file.
        path: PathBuf,
    },
    /// The file is damaged or not a SQLite database.
    #[error(
        "database {} is corrupt and was left as it is: {reason}; repair it, or have `serve --new-store` move it aside",
        path.display()
    )]
    Corrupt {
        /// The database's file.
        path: PathBuf,
        /// Error of SQLite.
        reason: String,
    },
    /// A newer version of this program has written the database.
    #[error(
        "database {} was written by a newer version (it has migration {migration}) and was left as it is",
        path.display()
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The first migration that is unknown here.
        migration: String,
    },
    /// A SQLite database of another program.
    #[error("database {} belongs to another program (it has table {table}) and was left as it is", path.display())]
    Foreign {
        /// The database's file.
        path: PathBuf,
        /// One of its tables.
        table: String,
    },
    /// A migration failed; it was rolled back.
    #[error("database {} cannot be brought up to date: {reason}", path.display())]
    Migration {
        /// The database's file.
        path: PathBuf,
        /// Error of SQLite.
        reason: String,
    },
}

/// Opens the database at `path` (or `:memory:`), makes it when there is none, and brings it up to date.
pub(super) fn connect(path: &Path, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    check_trust(path)?;
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path != Path::new(":memory:") => create(path)?,
        found => size(path, found)?,
    };
    bring_up(path, size, busy_timeout_ms)
}

/// Opens a database again that was there before. One that is gone is never made anew under a running daemon: what it
/// held, the keys of instructions among it, must not be forgotten silently.
pub(super) fn reconnect(path: &Path, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    check_trust(path)?;
    bring_up(path, size(path, fs::metadata(path))?, busy_timeout_ms)
}

/// Checks that no other user can have written the database at `path` or its log, or can do so while it is in use.
fn check_trust(path: &Path) -> Result<(), OpenError> {
    if path == Path::new(":memory:") {
        return Ok(());
    }
    trusted::check_database(path).map_err(|reason| match reason {
        TrustError::Io(_) | TrustError::NotUsable { .. } => unreachable(path, reason),
        reason => OpenError::Distrusted { path: path.into(), reason },
    })
}

fn size(path: &Path, found: io::Result<fs::Metadata>) -> Result<u64, OpenError> {
    match found {
        Ok(file) => Ok(file.len()),
        Err(_) if path == Path::new(":memory:") => Ok(0),
        Err(error) => Err(unreachable(path, error)),
    }
}

fn bring_up(path: &Path, size: u64, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    // SQLite opens what it may not write all the same, and says so at the first write. To open the file here would take
    // away the locks of every other connection of this process.
    if path != Path::new(":memory:") && access(path, Access::WRITE_OK).is_err() {
        return Err(OpenError::ReadOnly { path: path.into() });
    }
    let mut conn = establish(path)?;
    let state = examine(&mut conn, size, busy_timeout_ms).map_err(|error| failed(path, &error))?;
    let pending = match state {
        DatabaseState::OldSqlite(found) => return Err(OpenError::OldSqlite { found }),
        DatabaseState::Fresh => true,
        DatabaseState::Foreign(table) => return Err(OpenError::Foreign { path: path.into(), table }),
        DatabaseState::Damaged(reason) => return Err(OpenError::Corrupt { path: path.into(), reason }),
        DatabaseState::Migrated(applied) => {
            let known = known_migrations().map_err(|reason| OpenError::Migration { path: path.into(), reason })?;
            if let Some(migration) = applied.iter().find(|version| !known.contains(version)) {
                return Err(OpenError::Newer { path: path.into(), migration: migration.clone() });
            }
            applied.len() < known.len()
        }
    };
    conn.batch_execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        .map_err(|error| failed(path, &error))?;
    if pending {
        migrate(&mut conn).map_err(|reason| OpenError::Migration { path: path.into(), reason })?;
    }
    Ok(conn)
}

/// Returns whether the database is damaged anywhere.
pub(super) fn is_damaged(path: &Path) -> Result<bool, OpenError> {
    check_trust(path)?;
    // Without limits, the whole file is checked.
    match examine(&mut establish(path)?, 0, 0).map_err(|error| failed(path, &error)) {
        Ok(state) => Ok(matches!(state, DatabaseState::Damaged(_))),
        Err(OpenError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens the database once more, only to read; the writer has checked it.
pub(super) fn reader(path: &Path, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    // A reader takes part in the log, so it may write there; but it must not make a file that is gone.
    again(path, "rw", busy_timeout_ms)
}

/// Opens the database to look at it from outside, whether a daemon has it open or not. It never writes the file.
pub(super) fn observer(path: &Path, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    check_trust(path)?;
    let mut conn = again(path, "ro", busy_timeout_ms)?;
    let tables = texts(&mut conn, "SELECT name AS text FROM sqlite_schema WHERE name = 'audit_chain'");
    match tables.map_err(|error| failed(path, &error))?.as_slice() {
        [] => Err(unreachable(path, "it has no audit trail; a daemon of this version has not used it yet")),
        _ => Ok(conn),
    }
}

fn again(path: &Path, mode: &str, busy_timeout_ms: u64) -> Result<SqliteConnection, OpenError> {
    let absolute = std::path::absolute(path).map_err(|error| unreachable(path, error))?;
    let uri = url::Url::from_file_path(absolute).map_err(|()| unreachable(path, "the path has no URI"))?;
    let conn = SqliteConnection::establish(&format!("{uri}?mode={mode}"));
    let mut conn = conn.map_err(|error| unreachable(path, error))?;
    conn.batch_execute(&format!("PRAGMA busy_timeout={busy_timeout_ms}; PRAGMA query_only=ON;"))
        .map_err(|error| failed(path, &error))?;
    Ok(conn)
}

/// Creates an empty database with all tables, readable by its owner only (SQLite gives the log the same mode).
///
/// It is built under another name, synced and renamed, so that a power failure never leaves a partial database, and
/// SQLite's seven syncs become one.
fn create(path: &Path) -> Result<u64, OpenError> {
    let beside = |suffix| PathBuf::from([path.as_os_str(), OsStr::new(suffix)].into_iter().collect::<OsString>());
    let in_system = |error| unreachable(path, error);
    let draft = beside(".new");
    // SQLite would replay a log without its database into the new one.
    for leftover in [&draft, &beside("-wal"), &beside("-shm"), &beside("-journal")] {
        fs::remove_file(leftover).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(in_system(error)),
        })?;
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(in_system)?;
    let mut conn = establish(&draft)?;
    conn.batch_execute("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL;").map_err(|error| failed(path, &error))?;
    migrate(&mut conn).map_err(|reason| OpenError::Migration { path: path.into(), reason })?;
    drop(conn); // moves the log into the file
    file.sync_all().map_err(in_system)?;
    fs::rename(&draft, path).map_err(in_system)?;
    Ok(file.metadata().map_err(in_system)?.len())
}

fn establish(path: &Path) -> Result<SqliteConnection, OpenError> {
    let text = path.to_str().ok_or_else(|| unreachable(path, "the path is not UTF-8"))?;
    // A path that looks like a URI must not be parsed as one.
    let uri = text.starts_with("file:") || text.starts_with("sqlite:");
    let location = if uri { format!("./{text}") } else { text.to_owned() };
    SqliteConnection::establish(&location).map_err(|error| unreachable(path, error))
}

/// A database for the tests of repositories, with all tables.
#[cfg(test)]
pub(crate) fn memory() -> SqliteConnection {
    connect(Path::new(":memory:"), 0).expect("a database in memory opens")
}

/// The content of a database before any change.
enum DatabaseState {
    OldSqlite(String),
    Fresh,
    Migrated(Vec<String>),
    Foreign(String),
    Damaged(String),
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

/// Reads enough to know whose database this is and that it is one.
///
/// Reading the schema makes SQLite check the header's magic and format, that the file is as long as the header says
/// (a truncated file fails here) and that every definition parses. A small file is then checked whole. `quick_check`
/// of a big one would take seconds, so that there only the first page of each table is visited: enough for a file
/// that was overwritten; a damaged page deeper inside shows as an error of the operation that meets it.
fn examine(conn: &mut SqliteConnection, size: u64, busy_timeout_ms: u64) -> QueryResult<DatabaseState> {
    conn.batch_execute(&format!("PRAGMA busy_timeout={busy_timeout_ms}"))?;
    let sqlite = texts(conn, "SELECT sqlite_version() AS text")?.concat();
    if version(&sqlite) < OLDEST_SQLITE {
        return Ok(DatabaseState::OldSqlite(sqlite));
    }
    let tables = texts(conn, "SELECT name AS text FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    if !tables.iter().any(|table| table == APPLIED) {
        return Ok(tables.into_iter().next().map_or(DatabaseState::Fresh, DatabaseState::Foreign));
    }
    if size <= CHECKED_WHOLE_BYTES {
        let faults = texts(conn, "SELECT quick_check AS text FROM pragma_quick_check")?;
        if let Some(fault) = faults.into_iter().find(|fault| fault != "ok") {
            return Ok(DatabaseState::Damaged(fault));
        }
    } else {
        let visits: Vec<_> =
            tables.iter().map(|table| format!("SELECT 1 FROM \"{}\" LIMIT 1", table.replace('"', "\"\""))).collect();
        conn.batch_execute(&visits.join(";"))?;
    }
    Ok(DatabaseState::Migrated(texts(conn, &format!("SELECT version AS text FROM {APPLIED}"))?))
}

fn texts(conn: &mut SqliteConnection, query: &str) -> QueryResult<Vec<String>> {
    Ok(diesel::sql_query(query).load::<TextRow>(conn)?.into_iter().map(|row| row.text).collect())
}

fn known_migrations() -> Result<Vec<String>, String> {
    let all = diesel::migration::MigrationSource::<Sqlite>::migrations(&MIGRATIONS);
    let all = all.map_err(|error| error.to_string())?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// All pending migrations in one transaction: one commit for a fresh database, and never half of an update.
fn migrate(conn: &mut SqliteConnection) -> Result<(), String> {
    let mut failure = String::new();
    let done = conn.immediate_transaction(|conn| match conn.run_pending_migrations(MIGRATIONS) {
        Ok(_) => {
            crate::failpoints::point("migration");
            Ok(())
        }
        Err(error) => {
            failure = error.to_string();
            Err(diesel::result::Error::RollbackTransaction)
        }
    });
    done.map_err(|error| if failure.is_empty() { error.to_string() } else { failure })
}

fn version(text: &str) -> (u32, u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    (part(), part(), part())
}

fn unreachable(path: &Path, reason: impl ToString) -> OpenError {
    OpenError::Unreachable { path: path.into(), reason: reason.to_string() }
}

fn failed(path: &Path, error: &diesel::result::Error) -> OpenError {
    let reason = error.to_string();
    // diesel keeps SQLite's text and drops its code: these two are SQLITE_CORRUPT (also as "malformed database
    // schema (…)") and SQLITE_NOTADB.
    if reason.contains("malformed") || reason.contains("file is not a database") {
        OpenError::Corrupt { path: path.into(), reason }
    } else {
        unreachable(path, reason)
    }
}
