//! The one who owns the order: what was taken in runs one batch after the other, the oldest first.
//!
//! ```text
//! idle ◄───────── nothing is queued ─────────┐
//!   └── Look, mode changed, start ──► running ┘ (looks once more when asked meanwhile)
//! ```
//!
//! What is queued stands in the store, so that this holds nothing that must not be lost: only who waits for which batch,
//! and when the next approval expires.

use super::{
    execution::{Execute, Execution},
    hub::Shared,
    runner::Runner,
};
use crate::{
    faults,
    platforms::registry::Registry,
    relay,
    store::{StoreError, batches},
};
use actix::prelude::*;
use futures_util::{FutureExt, stream};
use std::{collections::HashMap, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Longest time between two looks at what expires: a clock may be set meanwhile.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);
/// Batches that expire in one transaction.
const EXPIRE_AT_ONCE: usize = 100;

/// What the center calls.
#[derive(Clone)]
pub struct Outside {
    /// Who carries instructions out.
    pub execute: Arc<dyn Execute>,
    /// By which results go back into a conversation.
    pub relay: relay::Hub,
    /// The platforms.
    pub registry: Arc<Registry>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}

/// What becomes of a batch, for whoever waits for it.
pub type Told = Result<Vec<Execution>, StoreError>;

/// See the module.
#[derive(Debug)]
pub(super) struct Center {
    shared: Arc<Shared>,
    outside: Outside,
    turn: Turn,
    /// Who waits, by the name of the batch.
    waiters: HashMap<String, oneshot::Sender<Told>>,
    /// When approvals are looked at next.
    expiry: Option<SpawnHandle>,
    expiring: Turn,
}

/// Whether something is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Idle,
    Running,
    /// Something came since it last looked.
    LooksAgain,
}

impl Center {
    pub(super) fn new(shared: Arc<Shared>, outside: Outside) -> Self {
        Center { shared, outside, turn: Turn::Idle, waiters: HashMap::new(), expiry: None, expiring: Turn::Idle }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.shared.stopping.is_cancelled() {
            return;
        }
        if self.turn != Turn::Idle {
            self.turn = Turn::LooksAgain;
            return;
        }
        self.turn = Turn::Running;
        let runner = Runner::new(Arc::clone(&self.shared), self.outside.clone(), ctx.address());
        // Counted, so that a stop waits for it, and whole, so that what panics costs one batch.
        let run = self.shared.under_way.track_future(AssertUnwindSafe(runner.run()).catch_unwind());
        ctx.spawn(run.into_actor(self).map(|ended, this, ctx| {
            let again = std::mem::replace(&mut this.turn, Turn::Idle) == Turn::LooksAgain;
            if this.shared.stopping.is_cancelled() {
                return ctx.address().do_send(Over); // bounded: once; behind what the runner has told
            }
            if ended.is_err() {
                tracing::error!("an instruction panicked: its batch is interrupted");
                return this.recover(ctx);
            }
            if again {
                this.look(ctx);
            }
        }));
    }

    /// Ends what runs by the store and by nobody's hand, then looks for more.
    fn recover(&mut self, ctx: &mut Context<Self>) {
        self.turn = Turn::Running;
        let shared = Arc::clone(&self.shared);
        let recovered = async move {
            let now = shared.setup.clock.now_ms();
            let abandon = move |conn: &mut _| {
                let running = batches::running(conn)?;
                for batch_id in &running {
                    batches::abandon(conn, batch_id, "nobody went on with it", now)?;
                }
                Ok(running)
            };
            let abandoned = shared.insist(|_| (), abandon).await;
            for batch_id in abandoned.iter().flatten() {
                tracing::warn!(batch.id = batch_id, "a batch was interrupted");
                shared.tell_of(batch_id).await;
            }
            abandoned
        };
        ctx.spawn(recovered.into_actor(self).map(|abandoned, this, ctx| {
            // Who waits for one of them learns from the end of the line to look at the store.
            match abandoned {
                Ok(abandoned) => this.waiters.retain(|batch_id, _| !abandoned.contains(batch_id)),
                Err(error) => {
                    tracing::error!(%error, "what nobody goes on with cannot be ended");
                    this.waiters.clear();
                }
            }
            this.turn = Turn::Idle;
            this.look(ctx);
        }));
    }

    /// Expires what is due, and comes back when the next is.
    fn expire(&mut self, ctx: &mut Context<Self>) {
        if self.expiring != Turn::Idle {
            self.expiring = Turn::LooksAgain;
            return;
        }
        self.expiring = Turn::Running;
        if let Some(earlier) = self.expiry.take() {
            ctx.cancel_future(earlier);
        }
        let shared = Arc::clone(&self.shared);
        let expired = async move {
            let now = shared.setup.clock.now_ms();
            let expire = move |conn: &mut _| {
                let expired = batches::expire_approvals(conn, now, EXPIRE_AT_ONCE)?;
                Ok((expired, batches::next_expiry(conn)?))
            };
            let (expired, next) = shared.setup.store.transact(expire).await.ok()?;
            for batch_id in expired {
                shared.tell_of(&batch_id).await;
            }
            next.map(|next| Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)))
        };
        ctx.spawn(expired.into_actor(self).map(|next, this, ctx| {
            if std::mem::replace(&mut this.expiring, Turn::Idle) == Turn::LooksAgain {
                return this.expire(ctx);
            }
            let pause = next.unwrap_or(LOOK_AT_CLOCK).clamp(Duration::from_millis(1), LOOK_AT_CLOCK);
            this.expiry = Some(ctx.run_later(pause, Self::expire));
        }));
    }
}

impl Actor for Center {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let changes = stream::unfold(self.shared.setup.system.watch(), async |mut mode| {
            mode.changed().await.ok()?;
            Some(((), mode))
        });
        ctx.spawn(changes.into_actor(self).map(|(), this, ctx| this.look(ctx)).finish());
        let stopping = self.shared.stopping.clone();
        // Who waits for a batch that does not begin any more is told by the end of the line; who waits for the one that
        // runs, when it has ended.
        ctx.spawn(async move { stopping.cancelled().await }.into_actor(self).map(|(), this, _| {
            if this.turn == Turn::Idle {
                this.waiters.clear();
            }
        }));
        self.recover(ctx);
        self.expire(ctx);
    }
}

/// There may be something to run, or to expire.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Look {
    /// Who waits for which batch.
    pub(super) waiter: Option<(String, oneshot::Sender<Told>)>,
    /// Whether there is something new that expires.
    pub(super) expires: bool,
}

impl Handler<Look> for Center {
    type Result = ();

    fn handle(&mut self, look: Look, ctx: &mut Self::Context) {
        faults::point("center");
        let expires = look.expires;
        if let Some((batch_id, waiter)) = look.waiter.filter(|_| !self.shared.stopping.is_cancelled()) {
            self.waiters.retain(|_, waiter| !waiter.is_closed());
            self.waiters.insert(batch_id, waiter);
        }
        self.look(ctx);
        if expires {
            self.expire(ctx);
        }
    }
}

/// Nothing runs any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Over;

impl Handler<Over> for Center {
    type Result = ();

    fn handle(&mut self, _: Over, _: &mut Self::Context) {
        self.waiters.clear();
    }
}

/// A batch has come to its end, or cannot go on for now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Ended {
    pub(super) batch_id: String,
    pub(super) told: Told,
}

impl Handler<Ended> for Center {
    type Result = ();

    fn handle(&mut self, Ended { batch_id, told }: Ended, _: &mut Self::Context) {
        if let Some(waiter) = self.waiters.remove(&batch_id) {
            // One that has gone does not want to know.
            let _ = waiter.send(told);
        }
    }
}
