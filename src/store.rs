//! The store: one SQLite file, one thread that writes it, several that read it, and one module of functions per table.
//!
//! ```text
//! store.run(|conn| …)      ─► room (semaphore) ─► ConnectionWorker, one thread ─► SqliteConnection
//! write_behind.request(…)  ─► RowQueue ─► WriteBehindWriter ─► store.transact(…)
//! store.read(|conn| …)     ─► place (semaphore, readers - 1) ─┐
//! store.read_now(|conn| …) ───────────────────────────────────┴─► room (semaphore) ─► ReaderPool, store.readers threads
//!                                                                 ─► SqliteConnection, query_only
//! ```
//!
//! Writes run in the order they were sent. A read sees everything that was committed when it began; to see pending rows,
//! flush [`WriteBehind`] first. The request path never waits for the store: it writes through [`WriteBehind`].

pub mod audit;
pub mod batches;
pub mod dedupe_keys;
pub mod identity;
pub mod logins;
pub mod messages;
mod open;
pub mod pairings;
pub mod policy;
pub mod quarantine;
mod query;
mod readers;
pub mod requests;
mod retention;
mod schema;
pub mod settings;
pub mod system;
pub mod tasks;
mod worker;
mod write_behind;

#[cfg(test)]
pub(crate) mod tests;

use crate::telemetry::metrics;
use actix::prelude::*;
use parking_lot::Mutex;
use readers::ReaderPool;
use std::{path::Path, sync::Arc};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use worker::{CloseConnection, ConnectionWorker, RenewConnection, RunOperation};

pub use diesel::SqliteConnection;
pub use open::OpenError;
pub use retention::Retention;
pub use settings::{LoginStateSettings, StoreSettings};
pub use write_behind::WriteBehind;

#[cfg(test)]
pub(crate) use open::memory;

/// Error of a store operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is closed, or its thread died.
    #[error("store is not running")]
    Gone,
    /// The operation panicked. Within a transaction it had no effect.
    #[error("a store operation panicked")]
    Panicked,
    /// The row does not exist.
    #[error("no such row")]
    NotFound,
    /// The database is temporarily unavailable; the operation may succeed later.
    #[error("store is unavailable: {0}")]
    Unavailable(#[from] Unavailable),
    /// The operation itself failed.
    #[error("database error: {0}")]
    Database(String),
}

/// Why the database is unavailable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Another process has locked it for longer than `store.busy_timeout_ms`.
    #[error("database is locked")]
    Busy,
    /// The file is read-only.
    #[error("database is read-only")]
    ReadOnly,
    /// The disk is full.
    #[error("disk is full")]
    Full,
    /// Reading or writing the disk failed.
    #[error("disk error: {0}")]
    Disk(String),
    /// The content of the file is damaged.
    #[error("database is damaged: {0}")]
    Damaged(String),
    /// Reopening the database failed.
    #[error("{0}")]
    NotOpen(String),
}

impl StoreError {
    /// Whether the connection has to be replaced: after these errors it keeps failing even when the cause is fixed.
    fn spoils_connection(&self) -> bool {
        matches!(self, StoreError::Unavailable(Unavailable::ReadOnly | Unavailable::Disk(_)))
    }
}

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::Error;
        match error {
            Error::NotFound => StoreError::NotFound,
            Error::RollbackErrorOnCommit { commit_error, .. } => (*commit_error).into(),
            error => classify(error.to_string()),
        }
    }
}

/// Derives the cause from SQLite's error text, because diesel drops the code. The texts are as old as WAL.
fn classify(text: String) -> StoreError {
    let starts = |prefix: &str| text.starts_with(prefix);
    if starts("database is locked") || starts("database table is locked") {
        Unavailable::Busy.into()
    } else if starts("attempt to write a readonly database") {
        Unavailable::ReadOnly.into()
    } else if starts("database or disk is full") {
        Unavailable::Full.into()
    } else if starts("disk I/O error") || starts("unable to open database file") {
        Unavailable::Disk(text).into()
    } else if [
        "database disk image is malformed",
        "malformed database schema",
        "file is not a database",
        "no such table",
    ]
    .into_iter()
    .any(starts)
    {
        Unavailable::Damaged(text).into()
    } else {
        StoreError::Database(text)
    }
}

/// Handle to the store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// Taken by [`Store::close`]; the thread ends when the last address is dropped.
    worker: Arc<Mutex<Option<Addr<ConnectionWorker>>>>,
    room: Arc<Semaphore>,
    max_operations: u32,
    /// Absent for an in-memory database, which exists for one connection only.
    readers: Option<ReaderPool>,
    closed: CancellationToken,
    metrics: metrics::StoreMetrics,
}

/// Reads a row that always exists, to check that reading works.
pub fn ping(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    requests::last_id(conn).map(|_| ())
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and starts its threads; operations are forwarded by the caller's arbiter.
    ///
    /// A missing file is created with mode 0600. A file that is corrupt, newer or of another program is rejected and
    /// left unchanged.
    pub fn open(path: &Path, settings: &StoreSettings) -> Result<Self, OpenError> {
        assert!(settings.max_operations > 0, "a store without room would never run anything");
        let max_operations = settings.max_operations.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let busy_timeout_ms = settings.busy_timeout_ms;
        // The first writer takes the connection that was checked here; its successors open their own.
        let opened = Mutex::new(Some(open::connect(path, busy_timeout_ms)?));
        let file = path.to_owned();
        let worker = SyncArbiter::start(1, move || {
            let opened = opened.lock().take();
            ConnectionWorker::new(opened, open::reconnect, file.clone(), busy_timeout_ms)
        });
        let room = Arc::new(Semaphore::new(max_operations));
        let max_operations = u32::try_from(max_operations).unwrap_or(u32::MAX);
        let on_disk = path != Path::new(":memory:");
        Ok(Store {
            worker: Arc::new(Mutex::new(Some(worker))),
            room,
            max_operations,
            readers: on_disk.then(|| ReaderPool::start(path, settings, max_operations)),
            closed: CancellationToken::new(),
            metrics: metrics::StoreMetrics::default(),
        })
    }

    /// Returns the store with timing metrics for its operations.
    #[must_use]
    pub fn timed(self, metrics: metrics::StoreMetrics) -> Self {
        Store { metrics, ..self }
    }

    async fn time<T>(&self, op: &'static str, operation: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let result = operation.await;
        self.metrics.ended(op, since.elapsed());
        result
    }

    async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| StoreError::Gone)?;
        let worker = self.worker.lock().clone().ok_or(StoreError::Gone)?;
        worker.send(RunOperation::new(operation, place)).await.map_err(|_| StoreError::Gone)?
    }

    /// Runs an operation on the writer's thread: a single writing statement, or a read that belongs to it.
    ///
    /// Dropping the future withdraws an operation that has not begun.
    pub async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.time("run", self.write(operation)).await
    }

    /// Runs a read-only operation on one snapshot of the database, in parallel with the writer and other reads.
    ///
    /// It may take long: with several readers, one is reserved for [`read_now`](Self::read_now).
    ///
    /// Dropping the future withdraws an operation that has not begun.
    pub async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let operation = |conn: &mut SqliteConnection| worker::snapshot(conn, operation);
        match &self.readers {
            Some(readers) => self.time("read", readers.list(operation)).await,
            None => self.time("read", self.write(operation)).await,
        }
    }

    /// Like [`read`](Self::read), for short operations: with several readers it never waits for a long one.
    pub async fn read_now<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let operation = |conn: &mut SqliteConnection| worker::snapshot(conn, operation);
        match &self.readers {
            Some(readers) => self.time("read_now", readers.run(operation)).await,
            None => self.time("read_now", self.write(operation)).await,
        }
    }

    /// Runs an operation in an immediate transaction, so that it never fails half-way because of a lock.
    pub async fn transact<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.time("transact", self.write(|conn| worker::immediate(conn, operation))).await
    }

    /// Makes the writer reopen the database before its next operation; for callers that handle the error of a failed
    /// write themselves.
    async fn renew(&self) -> Result<(), StoreError> {
        let _place = self.room.acquire().await.map_err(|_| StoreError::Gone)?;
        let worker = self.worker.lock().clone().ok_or(StoreError::Gone)?;
        worker.send(RenewConnection).await.map_err(|_| StoreError::Gone)
    }

    /// Whether the writer's thread is alive, after all earlier operations; true after an orderly close.
    pub async fn is_there(&self) -> bool {
        self.run(|_| Ok(())).await != Err(StoreError::Gone) || self.closed.is_cancelled()
    }

    /// Completes earlier operations, moves the log into the database, closes it and ends the threads.
    ///
    /// Later operations fail with [`StoreError::Gone`]. Closing twice is harmless.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.closed.cancel();
        // The semaphore is fair: holding all permits means that all earlier operations are done.
        let read = async {
            if let Some(readers) = &self.readers {
                readers.close().await;
            }
        };
        let (all, ()) = futures_util::future::join(self.room.acquire_many(self.max_operations), read).await;
        let Ok(all) = all else { return Ok(()) };
        let worker = self.worker.lock().take();
        self.room.close();
        drop(all);
        let Some(worker) = worker else { return Ok(()) };
        worker.send(CloseConnection).await.map_err(|_| StoreError::Gone)?
    }

    /// Completes when the store is being closed.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + 'static {
        self.closed.clone().cancelled_owned()
    }
}
