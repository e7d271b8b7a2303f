//! The writer: moves rows from the queue to the store, and tries again what could not be written.

use super::{
    WriteBehindShared, backoff_delay, pending_row,
    pending_row::{PendingRow, RejectedRows},
    row_queue,
};
use crate::{
    faults,
    store::{Store, StoreError},
};
use actix::prelude::*;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// Most rows of one transaction, so that others get their turn at the writer within a few milliseconds.
const CHUNK_ROWS: usize = 1_000;
/// Most bytes of one transaction, for the same reason: a row may bring hundreds of endpoints or a long text.
const CHUNK_BYTES: usize = 1 << 20;
/// The pause after the first failure; each further one doubles it.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
pub(super) const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// Moves rows from the queue to the store.
pub(super) struct WriteBehindWriter {
    store: Store,
    shared: Arc<WriteBehindShared>,
    write_behind: Duration,
    step: WriterState,
    /// The chunk's vector between two uses.
    chunk: Vec<PendingRow>,
    /// The number of the last row that is to be written before the next rest.
    goal: u64,
    /// Who waits for which row.
    flushes: Vec<(u64, oneshot::Sender<Result<(), StoreError>>)>,
    /// Attempts that failed since the last one that worked.
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

/// The queue is no longer empty.
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

/// Asks that everything recorded before be written now.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(super) struct FlushRows;

impl Handler<FlushRows> for WriteBehindWriter {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: FlushRows, ctx: &mut Self::Context) -> Self::Result {
        let goal = self.shared.queue().newest();
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

    /// Begins with everything that waits now; what comes meanwhile is for the next time.
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.goal = self.shared.queue().newest();
        self.write_chunk(ctx);
    }

    fn write_chunk(&mut self, ctx: &mut Context<Self>) {
        faults::point("write behind");
        let mut chunk = std::mem::take(&mut self.chunk);
        self.shared.queue().take(&mut chunk, CHUNK_ROWS, CHUNK_BYTES);
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
        let mut queue = shared.queue();
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
        let mut queue = self.shared.queue();
        // After a panic or the store's end the chunk is lost; trying the same rows again would panic again.
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

/// How long to wait after as many failures as there were before this one.
pub(super) fn retry_delay(failures: u32) -> Duration {
    backoff_delay(RETRY_DELAY_MIN, failures, RETRY_DELAY_MAX)
}
