//! The instruction center actor: runs queued batches one at a time, the oldest first.
//!
//! ```text
//! idle ◄───────── nothing is queued ─────────┐
//!   └── CheckQueue, mode changed, start ──► running ┘ (checks again if asked in the meantime)
//! ```
//!
//! The queue is in the store, so the actor holds nothing that must not be lost: only the waiting callers and the timer
//! for the next approval to expire.

use super::{
    execution::{InstructionExecution, InstructionExecutor},
    hub::InstructionShared,
    runner::BatchRunner,
};
use crate::{
    failpoints,
    platforms::registry::PlatformRegistry,
    relay,
    store::{StoreError, batches},
};
use actix::prelude::*;
use futures_util::{FutureExt, stream};
use std::{collections::HashMap, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Longest time between two checks for expired approvals, because the clock may be set.
const EXPIRY_CHECK_MAX: Duration = Duration::from_secs(30);
/// Most batches that expire in one transaction.
const EXPIRE_BATCH_ROWS: usize = 100;

/// Services that the center uses.
#[derive(Clone)]
pub struct InstructionServices {
    /// Executes instructions.
    pub execute: Arc<dyn InstructionExecutor>,
    /// Sends results back into a conversation.
    pub relay: relay::RelayHub,
    /// Registered platforms.
    pub registry: Arc<PlatformRegistry>,
}

impl fmt::Debug for InstructionServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

/// Result of a batch, for a waiting caller.
pub type BatchResult = Result<Vec<InstructionExecution>, StoreError>;

/// Runs queued batches in order and expires approvals.
#[derive(Debug)]
pub(super) struct InstructionCenter {
    shared: Arc<InstructionShared>,
    services: InstructionServices,
    work: WorkState,
    /// Waiting callers, by batch.
    waiters: HashMap<String, oneshot::Sender<BatchResult>>,
    /// Timer of the next check for expired approvals.
    expiry: Option<SpawnHandle>,
    expiring: WorkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkState {
    Idle,
    Running,
    /// Running, and requested again in the meantime.
    RunAgain,
}

impl InstructionCenter {
    pub(super) fn new(shared: Arc<InstructionShared>, services: InstructionServices) -> Self {
        InstructionCenter {
            shared,
            services,
            work: WorkState::Idle,
            waiters: HashMap::new(),
            expiry: None,
            expiring: WorkState::Idle,
        }
    }

    fn check_queue(&mut self, ctx: &mut Context<Self>) {
        if self.shared.stopping.is_cancelled() {
            return;
        }
        if self.work != WorkState::Idle {
            self.work = WorkState::RunAgain;
            return;
        }
        self.work = WorkState::Running;
        let runner = BatchRunner::new(Arc::clone(&self.shared), self.services.clone(), ctx.address());
        // Tracked so that a stop waits for it; a panic is caught so that it costs one batch only.
        let run = self.shared.under_way.track_future(AssertUnwindSafe(runner.run()).catch_unwind());
        ctx.spawn(run.into_actor(self).map(|ended, this, ctx| {
            let again = std::mem::replace(&mut this.work, WorkState::Idle) == WorkState::RunAgain;
            if this.shared.stopping.is_cancelled() {
                return ctx.address().do_send(RunnerStopped); // bounded: once; behind what the runner has told
            }
            if ended.is_err() {
                tracing::error!("an instruction panicked: its batch is interrupted");
                return this.recover(ctx);
            }
            if again {
                this.check_queue(ctx);
            }
        }));
    }

    /// Interrupts batches that the store shows as running without a runner, then checks the queue.
    fn recover(&mut self, ctx: &mut Context<Self>) {
        self.work = WorkState::Running;
        let shared = Arc::clone(&self.shared);
        let recovered = async move {
            let now = shared.setup.clock.now_ms();
            let abandon = move |conn: &mut _| {
                let running = batches::running(conn)?;
                for batch_id in &running {
                    batches::abandon(conn, batch_id, "its runner stopped", now)?;
                }
                Ok(running)
            };
            let abandoned = shared.retry_until_committed(|_| (), abandon).await;
            for batch_id in abandoned.iter().flatten() {
                tracing::warn!(batch.id = batch_id, "a batch was interrupted");
                shared.publish_status_of(batch_id).await;
            }
            abandoned
        };
        ctx.spawn(recovered.into_actor(self).map(|abandoned, this, ctx| {
            // Their callers see the channel close and read the result from the store.
            match abandoned {
                Ok(abandoned) => this.waiters.retain(|batch_id, _| !abandoned.contains(batch_id)),
                Err(error) => {
                    tracing::error!(%error, "abandoned batches cannot be ended");
                    this.waiters.clear();
                }
            }
            this.work = WorkState::Idle;
            this.check_queue(ctx);
        }));
    }

    /// Expires approvals that are due and schedules the next check.
    fn expire(&mut self, ctx: &mut Context<Self>) {
        if self.expiring != WorkState::Idle {
            self.expiring = WorkState::RunAgain;
            return;
        }
        self.expiring = WorkState::Running;
        if let Some(earlier) = self.expiry.take() {
            ctx.cancel_future(earlier);
        }
        let shared = Arc::clone(&self.shared);
        let expired = async move {
            let now = shared.setup.clock.now_ms();
            let expire = move |conn: &mut _| {
                let expired = batches::expire_approvals(conn, now, EXPIRE_BATCH_ROWS)?;
                Ok((expired, batches::next_expiry(conn)?))
            };
            let (expired, next) = shared.setup.store.transact(expire).await.ok()?;
            for batch_id in expired {
                shared.publish_status_of(&batch_id).await;
            }
            next.map(|next| Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)))
        };
        ctx.spawn(expired.into_actor(self).map(|next, this, ctx| {
            if std::mem::replace(&mut this.expiring, WorkState::Idle) == WorkState::RunAgain {
                return this.expire(ctx);
            }
            let pause = next.unwrap_or(EXPIRY_CHECK_MAX).clamp(Duration::from_millis(1), EXPIRY_CHECK_MAX);
            this.expiry = Some(ctx.run_later(pause, Self::expire));
        }));
    }
}

impl Actor for InstructionCenter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let changes = stream::unfold(self.shared.setup.system.watch(), async |mut mode| {
            mode.changed().await.ok()?;
            Some(((), mode))
        });
        ctx.spawn(changes.into_actor(self).map(|(), this, ctx| this.check_queue(ctx)).finish());
        let stopping = self.shared.stopping.clone();
        // Callers of batches that will not begin see the channel close; the caller of the running batch waits for its
        // end.
        ctx.spawn(async move { stopping.cancelled().await }.into_actor(self).map(|(), this, _| {
            if this.work == WorkState::Idle {
                this.waiters.clear();
            }
        }));
        self.recover(ctx);
        self.expire(ctx);
    }
}

/// Checks for batches to run and, if needed, for approvals that expire.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct CheckQueue {
    /// Caller to be notified, with the batch.
    pub(super) waiter: Option<(String, oneshot::Sender<BatchResult>)>,
    /// Whether a batch with an expiring approval was added.
    pub(super) expires: bool,
}

impl Handler<CheckQueue> for InstructionCenter {
    type Result = ();

    fn handle(&mut self, look: CheckQueue, ctx: &mut Self::Context) {
        failpoints::point("center");
        let expires = look.expires;
        if let Some((batch_id, waiter)) = look.waiter.filter(|_| !self.shared.stopping.is_cancelled()) {
            self.waiters.retain(|_, waiter| !waiter.is_closed());
            self.waiters.insert(batch_id, waiter);
        }
        self.check_queue(ctx);
        if expires {
            self.expire(ctx);
        }
    }
}

/// The runner has stopped for good.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct RunnerStopped;

impl Handler<RunnerStopped> for InstructionCenter {
    type Result = ();

    fn handle(&mut self, _: RunnerStopped, _: &mut Self::Context) {
        self.waiters.clear();
    }
}

/// A batch has ended, or is stalled by a store error.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct BatchEnded {
    pub(super) batch_id: String,
    pub(super) result: BatchResult,
}

impl Handler<BatchEnded> for InstructionCenter {
    type Result = ();

    fn handle(&mut self, BatchEnded { batch_id, result }: BatchEnded, _: &mut Self::Context) {
        if let Some(waiter) = self.waiters.remove(&batch_id) {
            // The caller may be gone.
            let _ = waiter.send(result);
        }
    }
}
