//! Entry point of the instruction center: takes messages in, applies decisions, shows batches. [`InstructionCenter`]
//! runs them.

use super::{
    batch_rate::BatchRateLimiter,
    center::{BatchResult, CheckQueue, InstructionCenter, InstructionServices},
    confinement::SandboxLevels,
    decision::{DecisionError, OperatorDecision},
    events::BatchChanged,
    ingest::{IngestError, IngestedBatch, MessageSubmission},
    settings::InstructionSettings,
};
use crate::{
    bridge::{FinalMessageSink, ReceivedFinalMessage},
    clock::Clock,
    events::EventBus,
    host::settings::SandboxLevel,
    runs::retry_until_committed,
    state_folder::instructions_enabled,
    store::{
        Store, StoreError,
        batches::{self, BatchSummary},
    },
    system::SystemControl,
    telemetry::metrics,
};
use actix::prelude::*;
use parking_lot::Mutex;
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Most messages that are processed at once, because the stages occupy a CPU.
const STAGES_AT_ONCE: usize = 2;

/// Dependencies of the instruction center.
#[derive(Debug)]
pub struct InstructionParts {
    /// Section `instructions`.
    pub settings: InstructionSettings,
    /// The sandbox of the operator's own commands.
    pub operator_sandbox: SandboxLevel,
    /// The state folder, which records whether instructions are enabled.
    pub state_dir: PathBuf,
    /// Store of batches and keys.
    pub store: Store,
    /// Pause before a failed write is repeated.
    pub retry: Duration,
    /// Mode of the system, which decides whether live batches run.
    pub system: SystemControl,
    /// Bus for the batches' events.
    pub events: EventBus,
    /// Wall clock.
    pub clock: Clock,
    /// Metrics of batches.
    pub metrics: metrics::InstructionMetrics,
}

/// Handle to the instruction center. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InstructionHub {
    pub(super) shared: Arc<InstructionShared>,
}

#[derive(Debug)]
pub(super) struct InstructionShared {
    pub(super) setup: InstructionParts,
    pub(super) batch_rate: Mutex<BatchRateLimiter>,
    pub(super) stages: Semaphore,
    /// Bounds the observed messages that wait for processing.
    unread: Arc<Semaphore>,
    /// Serializes the processing of observed messages.
    reading: tokio::sync::Mutex<()>,
    center: Mutex<Option<RunningCenter>>,
    /// Deliveries in progress, by platform and conversation.
    pub(super) delivering: Mutex<HashMap<(String, String), usize>>,
    /// Cancelled when no further instruction may begin.
    pub(super) stopping: CancellationToken,
    /// Tracks running batches and deliveries.
    pub(super) under_way: TaskTracker,
}

#[derive(Debug)]
struct RunningCenter {
    services: InstructionServices,
    arbiter: ArbiterHandle,
    center: Addr<InstructionCenter>,
}

impl InstructionHub {
    /// Creates a center that accepts messages but runs nothing yet.
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

    /// Starts running on the calling arbiter: batches left running by an earlier process become `interrupted`, queued
    /// ones continue.
    pub fn start(&self, services: InstructionServices) {
        let arbiter = Arbiter::current();
        let center = InstructionCenter::new(Arc::clone(&self.shared), services.clone()).start();
        *self.shared.center.lock() = Some(RunningCenter { services, arbiter, center });
    }

    /// Returns the settings.
    pub fn settings(&self) -> &InstructionSettings {
        &self.shared.setup.settings
    }

    /// Returns whether instructions are enabled. They are disabled when the record of past runs was lost, until a person
    /// enables them.
    pub fn is_enabled(&self) -> bool {
        self.shared.is_enabled()
    }

    /// Ingests a message: its instructions are stored before they run.
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

    /// Applies a person's decision to a waiting batch.
    pub async fn decide(&self, batch_id: &str, word: OperatorDecision) -> Result<BatchSummary, DecisionError> {
        let (hub, batch_id) = (self.clone(), batch_id.to_owned());
        let decided = async move {
            let decided = hub.shared.decide(&batch_id, word).await;
            hub.check_queue(CheckQueue { waiter: None, expires: false });
            decided
        };
        detached(decided).await
    }

    /// Prevents further instructions from beginning.
    pub fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.under_way.close();
    }

    /// Waits until everything in progress has ended and is recorded.
    pub async fn stopped(&self) {
        self.shared.under_way.wait().await;
    }

    /// Makes the center check its queue, restarting a center that died.
    fn check_queue(&self, look: CheckQueue) {
        let mut running = self.shared.center.lock();
        let Some(running) = &mut *running else { return };
        if !running.center.connected() {
            tracing::error!("the instruction center died and is started again");
            let (shared, services) = (Arc::clone(&self.shared), running.services.clone());
            running.center =
                InstructionCenter::start_in_arbiter(&running.arbiter, |_| InstructionCenter::new(shared, services));
        }
        running.center.do_send(look); // bounded: by the batches that may wait, and by callers
    }
}

impl FinalMessageSink for InstructionHub {
    fn on_final_message(&self, seen: ReceivedFinalMessage) {
        let settings = self.settings();
        if !settings.live || self.shared.stopping.is_cancelled() || !self.shared.is_enabled() {
            return;
        }
        let Ok(unread) = Arc::clone(&self.shared.unread).try_acquire_owned() else {
            let (platform, message) = (seen.platform, seen.assistant_message_id);
            tracing::warn!(platform, message.id = message, "too many messages are waiting: this one is not processed");
            return;
        };
        let hub = self.clone();
        actix_rt::spawn(async move {
            let _unread = unread;
            // Processed one at a time, in the order of observation.
            let _turn = hub.shared.reading.lock().await;
            let (platform, message) = (seen.platform.clone(), seen.assistant_message_id.clone());
            let submission = MessageSubmission::live(seen);
            while let Err(refused) = hub.submit(submission.clone()).await {
                tracing::warn!(platform, message.id = message, %refused, "the instructions of an observed message do not run");
                match refused {
                    // Nothing was decided yet, so the message waits until the store can be written.
                    IngestError::Store(error) if error != StoreError::Gone => sleep(hub.shared.setup.retry).await,
                    _ => break,
                }
            }
        });
    }
}

/// Runs a future as a task of its own, so that it completes even if the caller stops waiting.
async fn detached<T: 'static, E: From<StoreError> + 'static>(
    work: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E> {
    actix_rt::spawn(work).await.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
}

/// An ingested message.
#[derive(Debug)]
pub struct SubmittedMessage {
    /// The resulting batch.
    pub taken: IngestedBatch,
    /// Receives the result for a waiting caller; closed if the service stops first.
    pub ran: Option<oneshot::Receiver<BatchResult>>,
}

impl InstructionShared {
    /// Returns whether instructions are enabled. They are disabled after the database was lost, until a person enables them.
    pub(super) fn is_enabled(&self) -> bool {
        instructions_enabled(&self.setup.state_dir)
    }

    pub(super) fn levels(&self) -> SandboxLevels {
        SandboxLevels { operator: self.setup.operator_sandbox, model: self.setup.settings.sandbox }
    }

    /// Retries a change until it is committed; logs the first failure.
    pub(super) async fn retry_until_committed<T, F>(
        &self,
        mut failed: impl FnMut(&StoreError),
        change: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut crate::store::SqliteConnection) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let mut is_logged = false;
        let failed = |error: &StoreError| {
            if !std::mem::replace(&mut is_logged, true) {
                tracing::error!(%error, "instructions stop until the store can be written again");
                failed(error);
            }
        };
        retry_until_committed(&self.setup.store, self.setup.retry, failed, change).await
    }

    /// Publishes and counts the status of a batch.
    pub(super) fn publish_status(&self, row: &BatchSummary) {
        self.setup.metrics.entered(&row.status);
        self.publish(row);
    }

    pub(super) fn publish(&self, row: &BatchSummary) {
        self.setup.events.publish("instruction", BatchChanged::of(row, self.setup.clock.now_ms()));
    }

    /// Reads a batch, then publishes and counts its status.
    pub(super) async fn publish_status_of(&self, batch_id: &str) {
        if let Some(row) = self.row(batch_id).await {
            self.publish_status(&row);
        }
    }

    pub(super) async fn row(&self, batch_id: &str) -> Option<BatchSummary> {
        let name = batch_id.to_owned();
        let read = self.setup.store.run(move |conn| batches::one(conn, &name)).await;
        read.ok().flatten().map(|batch| batch.row)
    }
}
