//! The write-behind: what the request path records and nobody waits for.
//!
//! A row costs its sender one lock and a push. The writer is woken by the first row, rests for
//! `store.write_behind_ms`, so that others may come, and writes all of them in few transactions. What cannot be
//! written is kept, within a bound, and tried again with a growing pause.
//!
//! ```text
//!             row                     timer, flush
//! asleep ───────────► resting ─────────────────────► writing ──► asleep (nothing waits)
//!                        ▲                             │  │
//!                        └─ more came, or it failed ───┘  └─► writing (the next chunk)
//! ```
//!
//! A new kind of row is a variant of `Row`: its key, its weight, what it takes over, and how it is written.

mod queue;
mod row;

#[cfg(test)]
mod tests;

use super::{
    Store, StoreError, StoreSettings,
    logins::{Limits, LoginRow},
    messages::MessageRow,
    requests::RequestRow,
};
use crate::bridge::settings::LoginState;
use actix::prelude::*;
use queue::{Bounds, Queue};
use row::{Refused, Row};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

/// Most rows of one transaction, so that others get their turn at the writer within a few milliseconds.
const CHUNK_ROWS: usize = 1_000;
/// Most bytes of one transaction, for the same reason: a row may bring hundreds of endpoints or a long text.
const CHUNK_BYTES: usize = 1 << 20;
/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The same at the end, when time is short.
const FIRST_PAUSE_CLOSING: Duration = Duration::from_millis(10);
/// See [`FIRST_PAUSE_CLOSING`].
const LONGEST_PAUSE_CLOSING: Duration = Duration::from_millis(200);
/// How long a reader waits for what is on its way into the store: many times what writing takes, and short enough for
/// people when nothing can be written.
const READERS_WAIT: Duration = Duration::from_millis(200);

/// The handle of the write-behind.
#[derive(Clone)]
pub struct Later {
    shared: Arc<Shared>,
    writer: Addr<Writer>,
}

struct Shared {
    queue: Mutex<Queue>,
    bounds: Bounds,
    /// Whether the last attempt to write worked.
    healthy: AtomicBool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}

impl Later {
    /// Starts the writer on the current arbiter. When all handles are gone it still writes what waits, then ends.
    pub fn start(store: Store, settings: &StoreSettings, login_state: &LoginState) -> Self {
        assert!(settings.max_pending_rows > 0, "a queue without room would lose every row");
        let bounds = Bounds {
            rows: settings.max_pending_rows,
            bytes: settings.max_pending_bytes,
            limits: Limits::from(login_state),
        };
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::new(bounds)), bounds, healthy: AtomicBool::new(true) });
        let writer = Writer {
            store,
            shared: Arc::clone(&shared),
            write_behind: Duration::from_millis(settings.write_behind_ms),
            step: Step::Asleep,
            chunk: Vec::new(),
            goal: 0,
            flushes: Vec::new(),
            failures: 0,
        };
        Later { shared, writer: writer.start() }
    }

    /// Records a row of the journal; it replaces the older version of the same request.
    pub fn request(&self, row: RequestRow) {
        self.push(row.into());
    }

    /// Records what was told of a login; it takes the place of an older row that still waits, and its other parts.
    pub fn login(&self, mut row: LoginRow) {
        row.bound(&self.shared.bounds.limits);
        self.push(row.into());
    }

    /// Records a final message; the same message that still waits is not written twice.
    pub fn message(&self, row: MessageRow) {
        self.push(row.into());
    }

    fn push(&self, row: Row) {
        let pushed = self.shared.queue().push(row);
        if pushed.wake {
            // At most one is under way: the queue stays awake until the writer has emptied it.
            self.writer.do_send(Wake);
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
        if self.shared.queue().is_at_rest() {
            return Ok(());
        }
        self.writer.send(Flush).await.map_err(|_| StoreError::Gone)?
    }

    /// Has what was recorded written before the caller reads. Waits only a moment: what cannot be written must not keep
    /// from reading, which then shows what the store has.
    pub async fn flush_for_reading(&self) {
        if self.healthy() {
            // Whoever reads does not mind why.
            let _ = timeout(READERS_WAIT, self.flush()).await;
        }
    }

    /// Whether the last attempt to write worked.
    pub fn healthy(&self) -> bool {
        self.shared.healthy.load(Ordering::Relaxed) && self.writer.connected()
    }

    /// How many rows were lost since the start, for the metrics.
    pub fn lost(&self) -> u64 {
        self.shared.queue().lost()
    }

    /// How many rows wait to be written, those in hand not counted.
    pub fn waiting(&self) -> usize {
        self.shared.queue().len()
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
                    sleep(grown(FIRST_PAUSE_CLOSING, failures, LONGEST_PAUSE_CLOSING)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

/// Moves rows from the queue to the store.
struct Writer {
    store: Store,
    shared: Arc<Shared>,
    write_behind: Duration,
    step: Step,
    /// The chunk's vector between two uses.
    chunk: Vec<Row>,
    /// The number of the last row that is to be written before the next rest.
    goal: u64,
    /// Who waits for which row.
    flushes: Vec<(u64, oneshot::Sender<Result<(), StoreError>>)>,
    /// Attempts that failed since the last one that worked.
    failures: u32,
}

enum Step {
    Asleep,
    Resting(SpawnHandle),
    Writing,
}

impl Actor for Writer {
    type Context = Context<Self>;
}

/// The queue is no longer empty.
#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

impl Handler<Wake> for Writer {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        if let Step::Asleep = self.step {
            self.rest(self.write_behind, ctx);
        }
    }
}

/// Asks that everything recorded before be written now.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
struct Flush;

impl Handler<Flush> for Writer {
    type Result = ResponseFuture<Result<(), StoreError>>;

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) -> Self::Result {
        let goal = self.shared.queue().newest();
        let (done, outcome) = oneshot::channel();
        self.flushes.push((goal, done));
        match self.step {
            Step::Writing => self.goal = goal,
            Step::Asleep => self.write(ctx),
            Step::Resting(timer) => {
                ctx.cancel_future(timer);
                self.write(ctx);
            }
        }
        Box::pin(async { outcome.await.unwrap_or(Err(StoreError::Gone)) })
    }
}

impl Writer {
    fn rest(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.step = Step::Resting(ctx.run_later(pause, Self::write));
    }

    /// Begins with everything that waits now; what comes meanwhile is for the next time.
    fn write(&mut self, ctx: &mut Context<Self>) {
        self.goal = self.shared.queue().newest();
        self.write_chunk(ctx);
    }

    fn write_chunk(&mut self, ctx: &mut Context<Self>) {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.shared.queue().take(&mut chunk, CHUNK_ROWS, CHUNK_BYTES);
        let rows = chunk.len();
        self.step = Step::Writing;
        let (store, limits) = (self.store.clone(), self.shared.bounds.limits);
        let attempt = async move {
            // The rows come back with the outcome; only a panic loses them.
            let written = store.run(move |conn| {
                let outcome = row::write_what_can_be(conn, &chunk, &limits);
                if outcome.is_ok() {
                    chunk.clear();
                }
                Ok((chunk, outcome))
            });
            written.await.unwrap_or_else(|error| (Vec::new(), Err(error)))
        };
        ctx.spawn(attempt.into_actor(self).map(move |(chunk, outcome), writer, ctx| {
            writer.chunk = chunk;
            match outcome {
                Ok(refused) => writer.written(&refused, ctx),
                Err(error) => writer.failed(rows, error, ctx),
            }
        }));
    }

    fn written(&mut self, refused: &Refused, ctx: &mut Context<Self>) {
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
        } else if queue.rest() {
            queue::shrink(&mut self.chunk);
            self.step = Step::Asleep;
        } else {
            drop(queue);
            self.rest(self.write_behind, ctx);
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
            self.step = Step::Asleep;
            return;
        }
        self.rest(pause(self.failures), ctx);
        self.failures = self.failures.saturating_add(1);
    }
}

/// How long to wait after as many failures as there were before this one.
fn pause(failures: u32) -> Duration {
    grown(FIRST_PAUSE, failures, LONGEST_PAUSE)
}

fn grown(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(longest)
}
