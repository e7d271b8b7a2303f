//! Reader threads with connections of their own, so that a slow read never delays the writer.

#[cfg(test)]
mod tests;

use super::{StoreError, StoreSettings, open, worker::ConnectionWorker, worker::RunOperation};
use actix::prelude::*;
use diesel::SqliteConnection;
use parking_lot::Mutex;
use std::{convert::Infallible, path::Path, sync::Arc};
use tokio::sync::{Semaphore, mpsc};

/// Handle to the reader threads.
#[derive(Clone)]
pub(super) struct ReaderPool {
    /// Taken on close; the threads end when the last address is dropped.
    pool: Arc<Mutex<Option<ReaderThreads>>>,
    room: Arc<Semaphore>,
    max_operations: u32,
    /// Permits for long reads: one less than there are threads, at least one.
    lists: Arc<Semaphore>,
    max_lists: u32,
}

struct ReaderThreads {
    workers: Addr<ConnectionWorker>,
    /// Closed when every thread has closed its connection.
    ended: mpsc::Receiver<Infallible>,
}

impl ReaderPool {
    /// Starts the threads; each opens its connection on first use.
    pub(super) fn start(path: &Path, settings: &StoreSettings, max_operations: u32) -> Self {
        let (path, busy_timeout_ms) = (path.to_owned(), settings.busy_timeout_ms);
        let (alive, ended) = mpsc::channel(1);
        let workers = SyncArbiter::start(settings.readers.max(1), move || {
            ConnectionWorker::new(None, open::reader, path.clone(), busy_timeout_ms).reporting(alive.clone())
        });
        let room = Arc::new(Semaphore::new(max_operations as usize));
        let max_lists = u32::try_from(settings.readers.saturating_sub(1).max(1)).unwrap_or(u32::MAX);
        let lists = Arc::new(Semaphore::new(max_lists as usize));
        ReaderPool {
            pool: Arc::new(Mutex::new(Some(ReaderThreads { workers, ended }))),
            room,
            max_operations,
            lists,
            max_lists,
        }
    }

    /// Runs a read that may take long; one thread stays free of them.
    pub(super) async fn list<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = Arc::clone(&self.lists).acquire_owned().await.map_err(|_| StoreError::Gone)?;
        // The permit moves into the operation: an operation that has begun continues after the caller stops waiting.
        self.run(move |conn| {
            let _place = place;
            operation(conn)
        })
        .await
    }

    /// Runs a short read.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| StoreError::Gone)?;
        let workers = self.pool.lock().as_ref().map(|pool| pool.workers.clone()).ok_or(StoreError::Gone)?;
        workers.send(RunOperation::new(operation, place)).await.map_err(|_| StoreError::Gone)?
    }

    /// Waits for earlier reads, then until every connection is closed.
    pub(super) async fn close(&self) {
        // Both semaphores are fair: holding all permits means that all earlier reads are done.
        let Ok(lists) = self.lists.acquire_many(self.max_lists).await else { return };
        let Ok(all) = self.room.acquire_many(self.max_operations).await else { return };
        let pool = self.pool.lock().take();
        self.lists.close();
        self.room.close();
        drop((lists, all));
        if let Some(ReaderThreads { workers, mut ended }) = pool {
            drop(workers);
            let _ = ended.recv().await; // nothing is ever sent
        }
    }
}
