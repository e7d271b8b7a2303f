//! A person's word about a batch that waits for one.

use super::{confinement::OtherSandbox, hub::Shared, record};
use crate::store::{
    StoreError,
    batches::{self, BatchRow},
};

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Whether it may run.
    pub approve: bool,
    /// The digest of what was shown, where the person's program tells.
    pub digest: Option<String>,
    /// Whose word, as the trail names them.
    pub by: &'static str,
    /// Why.
    pub reason: Option<String>,
}

/// Why a person's word has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// There is no such batch.
    #[error("there is no such batch")]
    NotFound,
    /// The batch does not wait for a word any more.
    #[error("the batch is {} and waits for no decision", .0.name())]
    Stale(batches::Status),
    /// What would run is not what was shown.
    #[error("the batch is not what was shown: look at it again")]
    Differs,
    /// What would run is confined by something else than what was shown.
    #[error("{0}: reject it, and have it said anew")]
    Confined(#[from] OtherSandbox),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Shared {
    /// Makes a decision, or says why it is none.
    pub(super) async fn decide(&self, batch_id: &str, word: Word) -> Result<BatchRow, Undecided> {
        let (name, now) = (batch_id.to_owned(), self.setup.clock.now_ms());
        let levels = self.levels();
        let decide = move |conn: &mut _| {
            let Some(batch) = batches::one(conn, &name)? else { return Ok(Err(Undecided::NotFound)) };
            // Worked out anew from what would run: a row that somebody changed is not what was shown.
            let digest = record::digest(&name, &batch.row.message.assistant_message_id, &batch.plan);
            if word.approve && word.digest.as_ref().is_some_and(|shown| *shown != digest) {
                return Ok(Err(Undecided::Differs));
            }
            let waits = batch.row.status == batches::Status::PendingApproval.name();
            if word.approve
                && waits
                && let Err(other) = levels.of_kept(&batch.row, &batch.plan)
            {
                return Ok(Err(other.into()));
            }
            let approval = match word.approve {
                true => batches::Approval::Given { digest: &digest },
                false => batches::Approval::Refused,
            };
            let decision = batches::Decision { approval, by: word.by, reason: word.reason.as_deref() };
            Ok(match batches::decide(conn, &name, &decision, now)? {
                batches::Decided::Made => Ok(()),
                batches::Decided::Differs => Err(Undecided::Differs),
                batches::Decided::Stale(status) => Err(Undecided::Stale(status)),
            }
            .and_then(|()| batches::one(conn, &name)?.map(|batch| batch.row).ok_or(Undecided::NotFound)))
        };
        let decided = self.setup.store.transact(decide).await?;
        match &decided {
            Ok(row) => self.tell(row),
            Err(Undecided::Stale(batches::Status::Expired)) => self.tell_of(batch_id).await,
            Err(_) => {}
        }
        decided
    }
}
