//! Decisions of a person about batches that need approval.

use super::{confinement::SandboxMismatch, hub::InstructionShared, stored_plan};
use crate::store::{
    StoreError,
    batches::{self, BatchSummary},
};

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorDecision {
    /// Whether the batch may run.
    pub approve: bool,
    /// Digest of the batch as it was shown, if the client sends it.
    pub digest: Option<String>,
    /// Origin of the decision, as named in the audit trail.
    pub by: &'static str,
    /// Reason given.
    pub reason: Option<String>,
}

/// Why a decision has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The batch does not exist.
    #[error("the batch does not exist")]
    NotFound,
    /// The batch does not wait for a decision.
    #[error("the batch is {} and waits for no decision", .0.name())]
    Stale(batches::BatchStatus),
    /// The batch differs from what was shown.
    #[error("the batch differs from what was shown: review it again")]
    Differs,
    /// The batch would run in another sandbox than the one that was shown.
    #[error("{0}: reject the batch, and have the model send it again")]
    Confined(#[from] SandboxMismatch),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InstructionShared {
    pub(super) async fn decide(&self, batch_id: &str, word: OperatorDecision) -> Result<BatchSummary, DecisionError> {
        let (name, now) = (batch_id.to_owned(), self.setup.clock.now_ms());
        let levels = self.levels();
        let decide = move |conn: &mut _| {
            let Some(batch) = batches::one(conn, &name)? else { return Ok(Err(DecisionError::NotFound)) };
            // Recomputed from what would run, so that a row changed behind the daemon's back does not match.
            let digest = stored_plan::digest(&name, &batch.row.message.assistant_message_id, &batch.plan);
            if word.approve && word.digest.as_ref().is_some_and(|shown| *shown != digest) {
                return Ok(Err(DecisionError::Differs));
            }
            let waits = batch.row.status == batches::BatchStatus::PendingApproval.name();
            if word.approve
                && waits
                && let Err(other) = levels.of_stored(&batch.row, &batch.plan)
            {
                return Ok(Err(other.into()));
            }
            let approval = match word.approve {
                true => batches::Approval::Given { digest: &digest },
                false => batches::Approval::Refused,
            };
            let decision = batches::ApprovalDecision { approval, by: word.by, reason: word.reason.as_deref() };
            Ok(match batches::decide(conn, &name, &decision, now)? {
                batches::DecisionOutcome::Made => Ok(()),
                batches::DecisionOutcome::Differs => Err(DecisionError::Differs),
                batches::DecisionOutcome::Stale(status) => Err(DecisionError::Stale(status)),
            }
            .and_then(|()| batches::one(conn, &name)?.map(|batch| batch.row).ok_or(DecisionError::NotFound)))
        };
        let decided = self.setup.store.transact(decide).await?;
        match &decided {
            Ok(row) => self.publish_status(row),
            Err(DecisionError::Stale(batches::BatchStatus::Expired)) => self.publish_status_of(batch_id).await,
            Err(_) => {}
        }
        decided
    }
}
