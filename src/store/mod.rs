//! What outlives the process: one SQLite file, one thread that writes it, some that read it, one file of functions per
//! table.
//!
//! ```text
//! store.run(|conn| …)      ─► room (semaphore) ─► Worker, one thread ─► SqliteConnection
//! later.request(row)       ─► queue ─► Writer ─► store.transact(…)
//! store.read(|conn| …)     ─► place (semaphore, readers - 1) ─┐
//! store.read_now(|conn| …) ───────────────────────────────────┴─► room (semaphore) ─► Worker, store.readers threads
//!                                                                 ─► SqliteConnection, query_only
//! ```
//!
//! What is run is run in the order it was sent. A read sees everything that was committed when it began; who wants to
//! see what waits in [`WriteBehind`] flushes first. The request path never waits here: it goes through [`WriteBehind`].

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
use readers::ReaderPool;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use worker::{CloseConnection, ConnectionWorker, RenewConnection, RunOperation};

pub use diesel::SqliteConnection;
pub use open::OpenError;
pub use retention::Retention;
pub use settings::StoreSettings;
pub use write_behind::WriteBehind;

#[cfg(test)]
pub(crate) use open::memory;

/// Why an operation gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is closed, or its thread died.
    #[error("store is not running")]
    Gone,
    /// The operation panicked; whether it had an effect depends on whether it ran in a transaction (then none).
    #[error("a store operation panicked")]
    Panicked,
    /// No such row.
    #[error("no such row")]
    NotFound,
    /// The database cannot be read or written now; the same operation may work later.
    #[error("store is unavailable: {0}")]
    Unavailable(#[from] Unavailable),
    /// The operation itself is at fault.
    #[error("database error: {0}")]
    Database(String),
}

/// What keeps the database from being read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Another process holds it for longer than `store.busy_timeout_ms`.
    #[error("database is locked")]
    Busy,
    /// The file may not be written.
    #[error("database is read-only")]
    ReadOnly,
    /// The disk is full.
    #[error("disk is full")]
    Full,
    /// The disk fails.
    #[error("disk error: {0}")]
    Disk(String),
    /// What is in the file is not what was written there.
    #[error("database is damaged: {0}")]
    Damaged(String),
    /// It had to be opened again and that failed.
    #[error("{0}")]
    NotOpen(String),
}

impl StoreError {
    /// Whether the connection itself is at fault: one that was opened while the file could not be written, or whose
    /// files the disk failed, stays so, whatever is mended meanwhile.
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

/// diesel drops SQLite's code and keeps its text, which has been the same for as long as WAL exists.
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

/// The handle that the rest of the daemon holds; hides the actor.
#[derive(Clone)]
pub struct Store {
    /// Taken by [`Store::close`]: the thread ends when the last address is gone.
    worker: Arc<Mutex<Option<Addr<ConnectionWorker>>>>,
    room: Arc<Semaphore>,
    max_operations: u32,
    /// Nothing for a database in memory, which is there for one connection alone.
    readers: Option<ReaderPool>,
    closed: CancellationToken,
    metrics: metrics::Store,
}

/// Reads something that is always there, to find out whether reading works.
pub fn ping(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    requests::last_id(conn).map(|_| ())
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and starts its thread; the caller's arbiter passes the operations on.
    ///
    /// The file is made with mode 0600 when there is none. One that is corrupt, newer or of another program is
    /// refused and left as it is.
    pub fn open(path: &Path, settings: &StoreSettings) -> Result<Self, OpenError> {
        assert!(settings.max_operations > 0, "a store without room would never run anything");
        let max_operations = settings.max_operations.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let busy_timeout_ms = settings.busy_timeout_ms;
        // The first writer takes the connection that was checked here, its successors open their own.
        let opened = Mutex::new(Some(open::connect(path, busy_timeout_ms)?));
        let file = path.to_owned();
        let worker = SyncArbiter::start(1, move || {
            let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
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
            metrics: metrics::Store::default(),
        })
    }

    /// The same store, its operations timed.
    #[must_use]
    pub fn timed(self, metrics: metrics::Store) -> Self {
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
        let worker = self.worker().clone().ok_or(StoreError::Gone)?;
        worker.send(RunOperation::new(operation, place)).await.map_err(|_| StoreError::Gone)?
    }

    /// Runs one operation on the writer's thread: a single statement that writes, or a read that belongs to it.
    ///
    /// A caller that stops waiting withdraws an operation that has not begun.
    pub async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.time("run", self.write(operation)).await
    }

    /// Runs one operation that only reads, on one snapshot of the database, beside the writer and other reads.
    ///
    /// It may take long: of several readers one is never busy with such.
    ///
    /// A caller that stops waiting withdraws an operation that has not begun.
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

    /// The same for a read that is over at once: it waits for no long one while there is more than one reader.
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

    /// Runs one operation in a transaction that is immediate, so that it never fails half-way for a lock.
    pub async fn transact<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.time("transact", self.write(|conn| worker::immediate(conn, operation))).await
    }

    /// Has the writer open the database anew before its next operation: for whoever was told that it cannot be written,
    /// and kept the error within a success.
    async fn renew(&self) -> Result<(), StoreError> {
        let _place = self.room.acquire().await.map_err(|_| StoreError::Gone)?;
        let worker = self.worker().clone().ok_or(StoreError::Gone)?;
        worker.send(RenewConnection).await.map_err(|_| StoreError::Gone)
    }

    /// Whether its thread is there. Waits for what was sent before; a store that was closed has ended in order.
    pub async fn is_there(&self) -> bool {
        self.run(|_| Ok(())).await != Err(StoreError::Gone) || self.closed.is_cancelled()
    }

    /// Waits for what was sent before, moves the log into the database, closes it and ends the threads.
    ///
    /// Every later operation is [`StoreError::Gone`]. Closing twice does no harm.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.closed.cancel();
        // The semaphore is fair: having all the room means that everything before is done.
        let read = async {
            if let Some(readers) = &self.readers {
                readers.close().await;
            }
        };
        let (all, ()) = futures_util::future::join(self.room.acquire_many(self.max_operations), read).await;
        let Ok(all) = all else { return Ok(()) };
        let worker = self.worker().take();
        self.room.close();
        drop(all);
        let Some(worker) = worker else { return Ok(()) };
        worker.send(CloseConnection).await.map_err(|_| StoreError::Gone)?
    }

    /// Ends when the store is being closed.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + 'static {
        self.closed.clone().cancelled_owned()
    }

    fn worker(&self) -> std::sync::MutexGuard<'_, Option<Addr<ConnectionWorker>>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
