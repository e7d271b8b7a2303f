//! Ingestion of a message: runs all stages, reserves the keys and stores the batch in one transaction, so that the keys
//! of everything that runs later are stored first.

use super::{
    extract::{MESSAGE_BYTES_MAX, extract, is_result_only},
    hub::InstructionShared,
    initial_status::{BatchContext, InitialStatus, initial_status, title},
    normalize::AssistantMessage,
    planned_batch::PlannedBatch,
    rejection::Rejection,
    screen::{InstructionAuthority, ObservedMessage, is_allowed},
    stored_plan::{self, PlannedInstruction},
};
use crate::{
    bridge::ReceivedFinalMessage,
    clock::WallMs,
    store::{
        SqliteConnection, StoreError,
        batches::{self, BatchMessage, BatchOrigin, BatchStatus, BatchSummary, BatchWork, NewBatch},
        dedupe_keys,
    },
};
use std::sync::Arc;
use tokio::time::Instant;

/// A message with its origin and authority.
#[derive(Clone, Debug)]
pub struct MessageSubmission {
    of: BatchMessage,
    /// Shared, because it may be long.
    text: Arc<str>,
    origin: BatchOrigin,
    authority: InstructionAuthority,
    /// Whether the owner of the observing client is known.
    has_verified_owner: bool,
    dry_run: bool,
}

impl MessageSubmission {
    /// Creates a submission for an observed message.
    pub fn live(seen: ReceivedFinalMessage) -> Self {
        let of = BatchMessage {
            platform: seen.platform,
            conversation_id: seen.conversation_id,
            assistant_message_id: seen.assistant_message_id,
            client_id: Some(seen.client_id.as_str().to_owned()),
        };
        let (text, has_verified_owner) = (seen.raw_text, seen.has_verified_owner);
        let authority = InstructionAuthority::Model;
        MessageSubmission { of, text, origin: BatchOrigin::Live, authority, has_verified_owner, dry_run: false }
    }

    /// Creates a submission for a message from the operator.
    pub fn from_operator(message: AssistantMessage, require_approval: bool, dry_run: bool) -> Self {
        let AssistantMessage { platform, conversation_id, assistant_message_id, text } = message;
        let of = BatchMessage { platform, conversation_id, assistant_message_id, client_id: None };
        let authority = if require_approval { InstructionAuthority::Model } else { InstructionAuthority::Operator };
        MessageSubmission {
            of,
            text: text.into(),
            origin: BatchOrigin::Http,
            authority,
            has_verified_owner: true,
            dry_run,
        }
    }

    /// Whether a caller waits for the result.
    pub(super) fn has_waiting_caller(&self) -> bool {
        self.origin == BatchOrigin::Http
    }

    fn message(&self) -> AssistantMessage {
        let BatchMessage { platform, conversation_id, assistant_message_id, .. } = self.of.clone();
        AssistantMessage { platform, conversation_id, assistant_message_id, text: self.text.to_string() }
    }
}

/// The batch of an ingested message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestedBatch {
    /// Id of the batch; a dry run stores nothing under it.
    pub batch_id: String,
    /// Initial status.
    pub status: BatchStatus,
    /// Instructions, as JSON.
    pub plan: String,
}

/// Why nothing of a message runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// A stage rejected the message.
    #[error("{rejection}")]
    Rejected {
        /// The batch that records the rejection; absent after a dry run.
        batch_id: Option<String>,
        /// The rejection.
        rejection: Rejection,
    },
    /// The record of past runs was lost.
    #[error(
        "instructions are disabled because the record of past runs was lost: enable them with `baa-conductor instructions enable`"
    )]
    Off,
    /// The limit of waiting batches is reached.
    #[error("{0} batches are waiting for approval or execution, the maximum: decide about some, or try again later")]
    Crowded(usize),
    /// The batch cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InstructionShared {
    pub(super) async fn ingest(self: &Arc<Self>, submission: MessageSubmission) -> Result<IngestedBatch, IngestError> {
        if !submission.dry_run && !self.is_enabled() {
            return Err(IngestError::Off);
        }
        let settings = &self.setup.settings;
        let observed = ObservedMessage {
            platform: &submission.of.platform,
            client_id: submission.of.client_id.as_deref().unwrap_or_default(),
            conversation_id: submission.of.conversation_id.as_deref(),
        };
        let is_allowed = submission.has_verified_owner && is_allowed(&settings.allow, observed);
        if submission.origin == BatchOrigin::Live && !is_allowed {
            return self.store_without_instructions(&submission, BatchStatus::NotAllowed).await;
        }
        match self.run_stages(&submission).await {
            Ok(batch) if batch.instructions().is_empty() => {
                self.store_without_instructions(&submission, BatchStatus::NoInstructions).await
            }
            Ok(batch) => self.store_batch(submission, batch).await,
            Err(rejection) => self.store_rejection(&submission, rejection).await,
        }
    }

    /// Runs all stages on another thread, because the worst message takes noticeable CPU time.
    async fn run_stages(self: &Arc<Self>, submission: &MessageSubmission) -> Result<PlannedBatch, Rejection> {
        let _turn = self.stages.acquire().await;
        let (shared, submission) = (Arc::clone(self), submission.clone());
        let stages = actix_rt::task::spawn_blocking(move || {
            if is_result_only(&submission.text) {
                return Ok(PlannedBatch::default());
            }
            if submission.text.len() > MESSAGE_BYTES_MAX {
                return extract(&submission.text).map(|_| PlannedBatch::default()); // without a copy of it
            }
            PlannedBatch::plan(&submission.message(), &shared.setup.settings, submission.authority)
        });
        stages.await.unwrap_or_else(|_| Err(Rejection::failed()))
    }

    /// Records a message without instructions to run; an observed message that is reported again is recorded once.
    async fn store_without_instructions(
        &self,
        submission: &MessageSubmission,
        status: BatchStatus,
    ) -> Result<IngestedBatch, IngestError> {
        let batch_id = batches::new_id();
        let taken = IngestedBatch { batch_id: batch_id.clone(), status, plan: "[]".to_owned() };
        if submission.dry_run {
            return Ok(taken);
        }
        let new = self.new_batch(submission, batch_id, InitialStatus { status, reason: None });
        let (live, now) = (submission.origin == BatchOrigin::Live, self.setup.clock.now_ms());
        let note = move |conn: &mut _| {
            let known = if live { of_message(conn, &new.message)? } else { None };
            match known.filter(|row| row.status == status.name()) {
                Some(known) => Ok((known, false)),
                None => {
                    batches::create(conn, &new, now)?;
                    Ok((find(conn, &new.batch_id)?, true))
                }
            }
        };
        let (row, is_new) = self.setup.store.transact(note).await?;
        if is_new {
            self.publish_status(&row);
        }
        Ok(IngestedBatch { batch_id: row.batch_id, ..taken })
    }

    async fn store_rejection(
        &self,
        submission: &MessageSubmission,
        rejection: Rejection,
    ) -> Result<IngestedBatch, IngestError> {
        if submission.dry_run {
            return Err(IngestError::Rejected { batch_id: None, rejection });
        }
        let batch_id = batches::new_id();
        let mut new =
            self.new_batch(submission, batch_id.clone(), InitialStatus { status: BatchStatus::Rejected, reason: None });
        new.reason = Some(rejection.message.clone());
        new.rejection = serde_json::to_string(&rejection).ok();
        new.work = Some(BatchWork { title: title(&submission.of.platform, &[]), tools: Vec::new() });
        let (live, now) = (submission.origin == BatchOrigin::Live, self.setup.clock.now_ms());
        let note = move |conn: &mut _| {
            // A rejected message that is reported again is not recorded again.
            let known = if live { of_message(conn, &new.message)? } else { None };
            if known.is_some_and(|row| row.status == BatchStatus::Rejected.name() && row.approval.reason == new.reason)
            {
                return Ok(None);
            }
            batches::create(conn, &new, now)?;
            find(conn, &new.batch_id).map(Some)
        };
        if let Some(row) = self.setup.store.transact(note).await? {
            self.publish_status(&row);
        }
        Err(IngestError::Rejected { batch_id: Some(batch_id), rejection })
    }

    /// Reserves the keys and stores the batch, in one transaction.
    async fn store_batch(
        &self,
        submission: MessageSubmission,
        batch: PlannedBatch,
    ) -> Result<IngestedBatch, IngestError> {
        let live = submission.origin == BatchOrigin::Live;
        let too_many = live && self.batch_rate.lock().is_full(Instant::now());
        let circumstances = BatchContext { dry_run: submission.dry_run, too_many };
        let unset = InitialStatus { status: BatchStatus::Planned, reason: None };
        let new = self.new_batch(&submission, batches::new_id(), unset);
        let settings = &self.setup.settings;
        let confinement = self.levels().of(submission.authority, live);
        let (most, now) = (settings.max_waiting, self.setup.clock.now_ms());
        let expires_at = now.saturating_add(WallMs::try_from(settings.approval_ttl_ms).unwrap_or(WallMs::MAX));
        let keep = move |conn: &mut _| {
            let owners = owners(conn, &batch)?;
            let instructions = batch.instructions().iter().zip(&owners);
            let shown: Vec<_> = instructions
                .map(|(routed, owner)| PlannedInstruction::new(routed, owner.as_deref(), confinement))
                .collect();
            let beginning = initial_status(&shown, circumstances);
            let new = NewBatch { plan: stored_plan::write(&shown), ..new };
            let taken =
                IngestedBatch { batch_id: new.batch_id.clone(), status: beginning.status, plan: new.plan.clone() };
            match beginning.status {
                BatchStatus::Planned => return Ok(Ok((taken, None))),
                // Known instructions that a client reports again leave no record.
                BatchStatus::DuplicateOnly if live => return Ok(Ok((taken, None))),
                BatchStatus::DuplicateOnly => {}
                _ if batches::waiting(conn)? >= i64::try_from(most).unwrap_or(i64::MAX) => return Ok(Err(most)),
                _ => {}
            }
            let fresh = || shown.iter().filter(|one| one.duplicate_of.is_none()).map(|one| one.instruction);
            let wanted: Vec<_> = fresh().map(|one| one.dedupe_key.as_str()).collect();
            let reserved = dedupe_keys::reserve(conn, &new.batch_id, &wanted, now)?;
            debug_assert!(reserved.duplicates.is_empty(), "the place in the message is part of a key");
            let tools: Vec<_> = fresh().map(|one| one.tool.clone()).collect();
            let new = NewBatch {
                status: beginning.status,
                reason: beginning.reason.map(str::to_owned),
                expires_at: (beginning.status == BatchStatus::PendingApproval).then_some(expires_at),
                digest: Some(stored_plan::digest(&new.batch_id, &new.message.assistant_message_id, &new.plan)),
                work: Some(BatchWork { title: title(&new.message.platform, &tools), tools }),
                ..new
            };
            batches::create(conn, &new, now)?;
            Ok(Ok((taken, Some(find(conn, &new.batch_id)?))))
        };
        let (taken, row) = self.setup.store.transact(keep).await?.map_err(IngestError::Crowded)?;
        if row.is_none() {
            self.setup.metrics.entered(taken.status.name());
        }
        if live && taken.status != BatchStatus::DuplicateOnly {
            self.batch_rate.lock().count(Instant::now());
        }
        if let Some(row) = row {
            self.publish_status(&row);
        }
        Ok(taken)
    }

    fn new_batch(&self, submission: &MessageSubmission, batch_id: String, beginning: InitialStatus) -> NewBatch {
        NewBatch {
            batch_id,
            status: beginning.status,
            origin: submission.origin,
            message: submission.of.clone(),
            reason: beginning.reason.map(str::to_owned),
            expires_at: None,
            digest: None,
            plan: "[]".to_owned(),
            rejection: None,
            work: None,
        }
    }
}

/// Returns, for each instruction, the batch that already contains it.
fn owners(conn: &mut SqliteConnection, batch: &PlannedBatch) -> Result<Vec<Option<String>>, StoreError> {
    let keys = batch.instructions().iter().map(|routed| routed.screened.instruction.dedupe_key.as_str());
    keys.map(|key| dedupe_keys::owner(conn, key)).collect()
}

fn of_message(conn: &mut SqliteConnection, of: &BatchMessage) -> Result<Option<BatchSummary>, StoreError> {
    batches::of_message(conn, &of.platform, of.conversation_id.as_deref(), &of.assistant_message_id)
}

fn find(conn: &mut SqliteConnection, batch_id: &str) -> Result<BatchSummary, StoreError> {
    batches::one(conn, batch_id)?.map(|batch| batch.row).ok_or(StoreError::NotFound)
}
