//! The write-behind: rows that the request path records without waiting.
//!
//! A row costs its sender one lock and a push. The first row wakes the writer, which waits for `store.write_behind_ms` to
//! collect more, and writes all of them in few transactions. Rows that cannot be written are kept, within a bound, and
//! retried with a growing delay.
//!
//! ```text
//!             row                     timer, flush
//! idle ─────────────► delaying ────────────────────► writing ──► idle (queue is empty)
//!                        ▲                             │  │
//!                        └─ new rows, or it failed ────┘  └─► writing (the next chunk)
//! ```
//!
//! A new kind of row is a variant of `PendingRow`: its key, its weight, how rows merge, and how one is written.

mod pending_row;
mod row_queue;
mod writer;

#[cfg(test)]
mod tests;

use super::{
    Store, StoreError, StoreSettings,
    logins::{LoginLimits, LoginRow},
    messages::MessageRow,
    policy::{TargetRow, WindowRow},
    requests::JournalEntry,
};
use crate::store::settings::LoginStateSettings;
use actix::prelude::*;
use parking_lot::Mutex;
use pending_row::PendingRow;
use row_queue::{RowQueue, RowQueueLimits};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};
use tracing::warn;
use writer::{FlushRows, WakeWriter, WriteBehindWriter};

/// First retry delay while closing, when time is short.
const CLOSING_RETRY_DELAY_MIN: Duration = Duration::from_millis(10);
/// Longest retry delay while closing.
const CLOSING_RETRY_DELAY_MAX: Duration = Duration::from_millis(200);
/// Time that a reader waits for pending rows: many times the duration of a write, but short for people when writing fails.
const READ_FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// Handle to the write-behind. Cheap to clone.
#[derive(Clone)]
pub struct WriteBehind {
    shared: Arc<WriteBehindShared>,
    writer: Addr<WriteBehindWriter>,
}

struct WriteBehindShared {
    queue: Mutex<RowQueue>,
    bounds: RowQueueLimits,
    /// Returns whether the last write succeeded.
    healthy: AtomicBool,
}

impl WriteBehindShared {}

impl std::fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

impl WriteBehind {
    /// Starts the writer on the current arbiter. When all handles are dropped it writes what is pending and ends.
    pub fn start(store: Store, settings: &StoreSettings, login_state: &LoginStateSettings) -> Self {
        assert!(settings.max_pending_rows > 0, "a queue without room would lose every row");
        let bounds = RowQueueLimits {
            rows: settings.max_pending_rows,
            bytes: settings.max_pending_bytes,
            limits: LoginLimits::from(login_state),
        };
        let shared = Arc::new(WriteBehindShared {
            queue: Mutex::new(RowQueue::new(bounds)),
            bounds,
            healthy: AtomicBool::new(true),
        });
        let writer =
            WriteBehindWriter::new(store, Arc::clone(&shared), Duration::from_millis(settings.write_behind_ms));
        WriteBehind { shared, writer: writer.start() }
    }

    /// Enqueues a journal row; it replaces an earlier version of the same request.
    pub fn request(&self, row: JournalEntry) {
        self.push(row.into());
    }

    /// Enqueues a login row; it is merged with a pending row of the same login.
    pub fn login(&self, mut row: LoginRow) {
        row.bound(&self.shared.bounds.limits);
        self.push(row.into());
    }

    /// Enqueues a final message; a message that is already pending is written once.
    pub fn message(&self, row: MessageRow) {
        self.push(row.into());
    }

    /// Enqueues the state of a policy target; it replaces a pending row of the same target.
    ///
    /// Policy rows are evicted last, after all other rows.
    pub fn policy_target(&self, row: TargetRow) {
        self.push(row.into());
    }

    /// Enqueues the changes of a dispatch window; they are merged with a pending row of the same platform. Evicted last
    /// as well.
    pub fn policy_window(&self, row: WindowRow) {
        debug_assert!(row.dispatches.is_sorted_by(|one, next| one.number < next.number), "ascending: {row:?}");
        self.push(row.into());
    }

    fn push(&self, row: PendingRow) {
        let pushed = self.shared.queue.lock().push(row);
        if pushed.wake {
            // At most one is pending: the queue stays awake until the writer has emptied it.
            self.writer.do_send(WakeWriter);
        }
        if pushed.overflowed {
            warn!(
                store.max_pending_rows = self.shared.bounds.rows,
                store.max_pending_bytes = self.shared.bounds.bytes,
                "too many rows wait to be written, the oldest are dropped"
            );
        }
        if let Some((kind, bytes)) = pushed.oversized {
            let max_pending_bytes = self.shared.bounds.bytes;
            warn!(
                kind,
                bytes,
                store.max_pending_bytes = max_pending_bytes,
                "a row larger than all that may wait is dropped"
            );
        }
    }

    /// Waits until every row recorded before is in the store.
    ///
    /// Fails with the first attempt that fails; the rows are kept and tried again.
    pub async fn flush(&self) -> Result<(), StoreError> {
        if self.shared.queue.lock().is_at_rest() {
            return Ok(());
        }
        self.writer.send(FlushRows).await.map_err(|_| StoreError::Gone)?
    }

    /// Writes pending rows before the caller reads. Waits at most `READ_FLUSH_TIMEOUT`: failing writes do not prevent
    /// reading what is stored.
    pub async fn flush_for_reading(&self) {
        if self.healthy() {
            // A failed flush does not prevent reading what is stored.
            let _ = timeout(READ_FLUSH_TIMEOUT, self.flush()).await;
        }
    }

    /// Returns whether the last write succeeded.
    pub fn healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Relaxed) && self.writer.connected()
    }

    /// Returns whether the writer is alive; a panic ends it.
    pub fn is_there(&self) -> bool {
        self.writer.connected()
    }

    /// Returns the number of rows lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.queue.lock().lost()
    }

    /// Returns the number of pending rows, without those being written.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().len()
    }

    /// Writes what waits, at shutdown, and tries again until it is written; the caller bounds the time and closes the
    /// store afterwards.
    ///
    /// # Errors
    ///
    /// The store is gone; everything else may pass.
    pub async fn close(&self) -> Result<(), StoreError> {
        let mut failures = 0_u32;
        loop {
            match self.flush().await {
                Ok(()) => return Ok(()),
                Err(StoreError::Gone) => return Err(StoreError::Gone),
                Err(error) => {
                    if failures == 0 {
                        warn!(%error, rows = self.waiting(), "the last rows cannot be written yet");
                    }
                    sleep(backoff_delay(CLOSING_RETRY_DELAY_MIN, failures, CLOSING_RETRY_DELAY_MAX)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

fn backoff_delay(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(longest)
}
