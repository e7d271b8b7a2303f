//! The door to the instruction center: takes messages in, decides, shows. A handle over shared state; the order of what
//! runs is [`InstructionCenter`]'s.

use super::{
    batch_rate::BatchRateLimiter,
    center::{BatchResult, CheckQueue, InstructionCenter, InstructionServices},
    confinement::Levels,
    decision::{DecisionError, OperatorDecision},
    events::BatchChanged,
    ingest::{IngestError, IngestedBatch, MessageSubmission},
    settings::InstructionSettings,
};
use crate::{
    bridge::{FinalMessages, Seen},
    clock::Clock,
    events::EventBus,
    host::settings::Sandbox,
    runs::retry_until_committed,
    state_folder::instructions_enabled,
    store::{
        Store, StoreError,
        batches::{self, BatchRow},
    },
    system::SystemControl,
    telemetry::metrics,
};
use actix::prelude::*;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Messages whose stages are worked out at once: that is work for a processor.
const STAGES_AT_ONCE: usize = 2;

/// What the center is made of.
#[derive(Debug)]
pub struct InstructionParts {
    /// Its section.
    pub settings: InstructionSettings,
    /// What confines the operator's own commands.
    pub operator_sandbox: Sandbox,
    /// Where it stands whether instructions may run at all.
    pub state_dir: PathBuf,
    /// Where batches and keys are kept.
    pub store: Store,
    /// Until a change that must be made is tried again.
    pub retry: Duration,
    /// The mode, which decides whether live batches run.
    pub system: SystemControl,
    /// Where changes are told.
    pub events: EventBus,
    /// Wall time.
    pub clock: Clock,
    /// Where batches are counted.
    pub metrics: metrics::Instructions,
}

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InstructionHub {
    pub(super) shared: Arc<InstructionShared>,
}

#[derive(Debug)]
pub(super) struct InstructionShared {
    pub(super) setup: InstructionParts,
    pub(super) batch_rate: Mutex<BatchRateLimiter>,
    pub(super) stages: Semaphore,
    /// For observed messages that wait to be looked at.
    unread: Arc<Semaphore>,
    /// Held by the one that is.
    reading: tokio::sync::Mutex<()>,
    center: Mutex<Option<RunningCenter>>,
    /// Deliveries under way, by platform and conversation.
    pub(super) delivering: Mutex<HashMap<(String, String), usize>>,
    /// Cancelled: no further instruction begins.
    pub(super) stopping: CancellationToken,
    /// What runs, and what is on its way back into a conversation.
    pub(super) under_way: TaskTracker,
}

#[derive(Debug)]
struct RunningCenter {
    services: InstructionServices,
    arbiter: ArbiterHandle,
    center: Addr<InstructionCenter>,
}

impl InstructionHub {
    /// A center that does not run yet: it takes messages in.
    pub fn new(setup: InstructionParts) -> Self {
        let settings = &setup.settings;
        InstructionHub {
            shared: Arc::new(InstructionShared {
                batch_rate: Mutex::new(BatchRateLimiter::new(settings.max_live_batches_per_minute)),
                stages: Semaphore::new(STAGES_AT_ONCE),
                reading: tokio::sync::Mutex::default(),
                unread: Arc::new(Semaphore::new(settings.max_unread_messages)),
                center: Mutex::default(),
                delivering: Mutex::default(),
                stopping: CancellationToken::new(),
                under_way: TaskTracker::new(),
                setup,
            }),
        }
    }

    /// Lets it run, on the calling arbiter: what an earlier process left running is `interrupted`, what waits goes on.
    pub fn start(&self, services: InstructionServices) {
        let arbiter = Arbiter::current();
        let center = InstructionCenter::new(Arc::clone(&self.shared), services.clone()).start();
        *self.center() = Some(RunningCenter { services, arbiter, center });
    }

    /// Its settings.
    pub fn settings(&self) -> &InstructionSettings {
        &self.shared.setup.settings
    }

    /// Whether instructions may run at all: not where it is not known what had run, until a person enables them.
    pub fn is_enabled(&self) -> bool {
        self.shared.is_enabled()
    }

    /// Takes a message in: what is to be run is kept, and will be.
    ///
    /// # Errors
    ///
    /// Nothing of it will run, and why.
    pub async fn submit(&self, submission: MessageSubmission) -> Result<SubmittedMessage, IngestError> {
        let hub = self.clone();
        let submitted = async move {
            let waits = submission.has_waiting_caller();
            let taken = hub.shared.ingest(submission).await?;
            let mut ran = None;
            match taken.status {
                batches::BatchStatus::Queued => {
                    let (waiter, answer) = oneshot::channel();
                    ran = waits.then_some(answer);
                    let waiter = waits.then(|| (taken.batch_id.clone(), waiter));
                    hub.check_queue(CheckQueue { waiter, expires: false });
                }
                batches::BatchStatus::PendingApproval => hub.check_queue(CheckQueue { waiter: None, expires: true }),
                _ => {}
            }
            Ok(SubmittedMessage { taken, ran })
        };
        detached(submitted).await
    }

    /// A person's word on a batch that waits for it.
    ///
    /// # Errors
    ///
    /// It has no effect, and why.
    pub async fn decide(&self, batch_id: &str, word: OperatorDecision) -> Result<BatchRow, DecisionError> {
        let (hub, batch_id) = (self.clone(), batch_id.to_owned());
        let decided = async move {
            let decided = hub.shared.decide(&batch_id, word).await;
            hub.check_queue(CheckQueue { waiter: None, expires: false });
            decided
        };
        detached(decided).await
    }

    /// No instruction begins any more.
    pub fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.under_way.close();
    }

    /// Waits until what was under way has been written down.
    pub async fn stopped(&self) {
        self.shared.under_way.wait().await;
    }

    /// Has the center look for something to do. One that died is replaced.
    fn check_queue(&self, look: CheckQueue) {
        let mut running = self.center();
        let Some(running) = &mut *running else { return };
        if !running.center.connected() {
            tracing::error!("the instruction center died and is started again");
            let (shared, services) = (Arc::clone(&self.shared), running.services.clone());
            running.center =
                InstructionCenter::start_in_arbiter(&running.arbiter, |_| InstructionCenter::new(shared, services));
        }
        running.center.do_send(look); // bounded: by the batches that may wait, and by callers
    }

    fn center(&self) -> MutexGuard<'_, Option<RunningCenter>> {
        // Whole at any time: a panic leaves what was there before.
        self.shared.center.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FinalMessages for InstructionHub {
    fn seen(&self, seen: Seen) {
        let settings = self.settings();
        if !settings.live || self.shared.stopping.is_cancelled() || !self.shared.is_enabled() {
            return;
        }
        let Ok(unread) = Arc::clone(&self.shared.unread).try_acquire_owned() else {
            let (platform, message) = (seen.platform, seen.assistant_message_id);
            tracing::warn!(platform, message.id = message, "too many messages wait: this one is not looked at");
            return;
        };
        let hub = self.clone();
        actix_rt::spawn(async move {
            let _unread = unread;
            // One after the other, in the order in which they were seen.
            let _turn = hub.shared.reading.lock().await;
            let (platform, message) = (seen.platform.clone(), seen.assistant_message_id.clone());
            let submission = MessageSubmission::live(seen);
            while let Err(refused) = hub.submit(submission.clone()).await {
                tracing::warn!(platform, message.id = message, %refused, "nothing of an observed message runs");
                match refused {
                    // Nothing was decided yet: it waits until the store can be written again.
                    IngestError::Store(error) if error != StoreError::Gone => sleep(hub.shared.setup.retry).await,
                    _ => break,
                }
            }
        });
    }
}

/// Does something to its end, also when who asked for it leaves: what was written must be acted on.
async fn detached<T: 'static, E: From<StoreError> + 'static>(
    work: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E> {
    actix_rt::spawn(work).await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
}

/// A message that was taken in.
#[derive(Debug)]
pub struct SubmittedMessage {
    /// What was decided about it.
    pub taken: IngestedBatch,
    /// What comes of it, for whoever waits; nothing when the service stops first.
    pub ran: Option<oneshot::Receiver<BatchResult>>,
}

impl InstructionShared {
    /// Whether instructions may run at all: not after a database was lost, until a person says so.
    pub(super) fn is_enabled(&self) -> bool {
        instructions_enabled(&self.setup.state_dir)
    }

    /// The sandboxes that are in force.
    pub(super) fn levels(&self) -> Levels {
        Levels { operator: self.setup.operator_sandbox, model: self.setup.settings.sandbox }
    }

    /// Makes a change that must be made; says once that it cannot be.
    pub(super) async fn retry_until_committed<T, F>(
        &self,
        mut failed: impl FnMut(&StoreError),
        change: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut crate::store::SqliteConnection) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let mut told = false;
        let failed = |error: &StoreError| {
            if !std::mem::replace(&mut told, true) {
                tracing::error!(%error, "instructions stop until the store can be written again");
                failed(error);
            }
        };
        retry_until_committed(&self.setup.store, self.setup.retry, failed, change).await
    }

    /// Tells that a batch entered the status that it has, and counts it.
    pub(super) fn publish_status(&self, row: &BatchRow) {
        self.setup.metrics.entered(&row.status);
        self.publish(row);
    }

    /// Tells how a batch stands.
    pub(super) fn publish(&self, row: &BatchRow) {
        self.setup.events.publish("instruction", BatchChanged::of(row, self.setup.clock.now_ms()));
    }

    /// Tells and counts one that is read first.
    pub(super) async fn publish_status_of(&self, batch_id: &str) {
        if let Some(row) = self.row(batch_id).await {
            self.publish_status(&row);
        }
    }

    /// A batch as it stands, where it can be read.
    pub(super) async fn row(&self, batch_id: &str) -> Option<BatchRow> {
        let name = batch_id.to_owned();
        let read = self.setup.store.run(move |conn| batches::one(conn, &name)).await;
        read.ok().flatten().map(|batch| batch.row)
    }
}
