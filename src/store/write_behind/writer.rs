//! The writer actor: moves pending rows to the store and retries failed writes.

use super::{
    WriteBehindShared, backoff_delay, pending_row,
    pending_row::{PendingRow, RejectedRows},
    row_queue,
};
use crate::{
    failpoints,
    store::{Store, StoreError},
};
use actix::prelude::*;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// Most rows in one transaction, so that other writes wait only some milliseconds.
const CHUNK_ROWS: usize = 1_000;
/// Most bytes in one transaction, for the same reason.
const CHUNK_BYTES: usize = 1 << 20;
/// Delay after the first failure; doubled with each further one.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// Longest delay between two attempts.
pub(super) const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// Moves pending rows to the store.
pub(super) struct WriteBehindWriter {
    store: Store,
    shared: Arc<WriteBehindShared>,
    write_behind: Duration,
    step: WriterState,
    /// Memory for the next chunk.
    chunk: Vec<PendingRow>,
    /// Number of the last row to write before the next delay.
    goal: u64,
    /// Waiting flushes, by the row number they wait for.
    flushes: Vec<(u64, oneshot::Sender<Result<(), StoreError>>)>,
    /// Failed attempts since the last success.
    failures: u32,
}

enum WriterState {
    Idle,
    Delaying(SpawnHandle),
    Writing,
}

impl Actor for WriteBehindWriter {
    type Context = Context<Self>;
}

/// Wakes the writer after a push to an empty queue.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WakeWriter;

impl Handler<WakeWriter> for WriteBehindWriter {
    type Result = ();

    fn handle(&mut self, _: WakeWriter, ctx: &mut Self::Context) {
        if let WriterState::Idle = self.step {
            self.delay(self.write_behind, ctx);
        }
    }
}

/// Writes everything enqueued before.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(super) struct FlushRows;

impl Handler<FlushRows> for WriteBehindWriter {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: FlushRows, ctx: &mut Self::Context) -> Self::Result {
        let goal = self.shared.queue.lock().newest();
        let (done, outcome) = oneshot::channel();
        self.flushes.push((goal, done));
        match self.step {
            WriterState::Writing => self.goal = goal,
            WriterState::Idle => self.write(ctx),
            WriterState::Delaying(timer) => {
                ctx.cancel_future(timer);
                self.write(ctx);
            }
        }
        Box::pin(async { outcome.await.unwrap_or(Err(StoreError::Gone)) })
    }
}

impl WriteBehindWriter {
    pub(super) fn new(store: Store, shared: Arc<WriteBehindShared>, write_behind: Duration) -> Self {
        WriteBehindWriter {
            store,
            shared,
            write_behind,
            step: WriterState::Idle,
            chunk: Vec::new(),
            goal: 0,
            flushes: Vec::new(),
            failures: 0,
        }
    }

    fn delay(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.step = WriterState::Delaying(ctx.run_later(pause, Self::write));
    }

    /// Starts writing what is pending now; later rows wait for the next time.
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.goal = self.shared.queue.lock().newest();
        self.write_chunk(ctx);
    }

    fn write_chunk(&mut self, ctx: &mut Context<Self>) {
        failpoints::point("write behind");
        let mut chunk = std::mem::take(&mut self.chunk);
        self.shared.queue.lock().take(&mut chunk, CHUNK_ROWS, CHUNK_BYTES);
        let rows = chunk.len();
        self.step = WriterState::Writing;
        let (store, limits) = (self.store.clone(), self.shared.bounds.limits);
        let attempt = async move {
            // The rows come back with the outcome; only a panic loses them.
            let written = store.run(move |conn| {
                let outcome = pending_row::write_or_skip_rejected(conn, &chunk, &limits);
                if outcome.is_ok() {
                    chunk.clear();
                }
                Ok((chunk, outcome))
            });
            let (chunk, outcome) = written.await.unwrap_or_else(|error| (Vec::new(), Err(error)));
            if outcome.as_ref().is_err_and(StoreError::spoils_connection) {
                let _ = store.renew().await; // a store that is gone is found out by the next attempt
            }
            (chunk, outcome)
        };
        ctx.spawn(attempt.into_actor(self).map(move |(chunk, outcome), writer, ctx| {
            writer.chunk = chunk;
            match outcome {
                Ok(refused) => writer.written(&refused, ctx),
                Err(error) => writer.failed(rows, error, ctx),
            }
        }));
    }

    fn written(&mut self, refused: &RejectedRows, ctx: &mut Context<Self>) {
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue.lock();
        if let Some((kind, reason)) = &refused.first {
            queue.discard(refused.rows);
            error!(rows.lost = refused.rows, first = kind, reason, "rows that the database refuses are dropped");
        }
        let dropped = queue.succeed();
        let left = queue.left();
        let failures = std::mem::take(&mut self.failures);
        shared.healthy.store(true, Ordering::Relaxed);
        if failures > 0 || dropped > 0 {
            info!(failures, rows.dropped = dropped, "rows are written again");
        }
        for (_, done) in self.flushes.extract_if(.., |(goal, _)| *goal <= left) {
            let _ = done.send(Ok(())); // who no longer waits does not mind
        }
        if left < self.goal {
            drop(queue);
            self.write_chunk(ctx);
        } else if queue.try_sleep() {
            row_queue::shrink(&mut self.chunk);
            self.step = WriterState::Idle;
        } else {
            drop(queue);
            self.delay(self.write_behind, ctx);
        }
    }

    fn failed(&mut self, rows: usize, error: StoreError, ctx: &mut Context<Self>) {
        let gone = error == StoreError::Gone;
        self.shared.healthy.store(false, Ordering::Relaxed);
        let mut queue = self.shared.queue.lock();
        // After a panic or a closed store the chunk is lost; after a panic it would panic again.
        let lost = rows - self.chunk.len();
        queue.lose(lost);
        queue.put_back(&mut self.chunk);
        if gone {
            queue.give_up();
        }
        drop(queue);
        if self.failures == 0 {
            warn!(%error, rows.lost = lost, "rows cannot be written");
        }
        for (_, done) in self.flushes.drain(..) {
            let _ = done.send(Err(error.clone())); // who no longer waits does not mind
        }
        if gone {
            self.step = WriterState::Idle;
            return;
        }
        self.delay(retry_delay(self.failures), ctx);
        self.failures = self.failures.saturating_add(1);
    }
}

/// Returns the delay after `failures` earlier failures.
pub(super) fn retry_delay(failures: u32) -> Duration {
    backoff_delay(RETRY_DELAY_MIN, failures, RETRY_DELAY_MAX)
}
