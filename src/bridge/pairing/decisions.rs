//! What the operator decides about those who wait and those who are paired, one decision at a time.

use super::{
    super::{
        connection::{CloseUnauthorized, Connection, PairingApproved},
        hub::BridgeHub,
    },
    PairingDecision, PairingStatus, PairingView, Pairings, random,
    state::{DecisionOutcome, WaitingClient},
};
use crate::{
    ids::ClientId,
    store::{self, StoreError, Unavailable, pairings::PairingRow},
};
use actix::Addr;
use std::sync::Arc;

/// Why a decision changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// Nobody of that name waits, or none is paired.
    #[error("there is no such client")]
    UnknownClient,
    /// That is not the code that the client shows.
    #[error("the code is not the one that the client shows")]
    WrongCode,
    /// The client went away before it got its key; it is as unknown as before.
    #[error("the client went away before it could be told")]
    ClientLeft,
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key can be made.
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Pairings {
    /// Does `work` when it is its turn. On its own: a caller who leaves between the store and the telling would part the
    /// one from the other.
    async fn run_serialized<T: 'static>(
        &self,
        work: impl AsyncFnOnce(Pairings) -> Result<T, PairingError> + 'static,
    ) -> Result<T, PairingError> {
        let busy = |_| StoreError::from(Unavailable::Busy);
        let decision_permits = Arc::clone(&self.shared.decision_permits).try_acquire_owned().map_err(busy)?;
        let pairings = self.clone();
        let work = actix_rt::spawn(async move {
            let _permit = decision_permits;
            let shared = Arc::clone(&pairings.shared);
            let _turn = shared.decision_lock.lock().await;
            work(pairings).await
        });
        work.await.unwrap_or(Err(StoreError::Panicked.into()))
    }

    async fn approve(&self, waiting: WaitingClient<Addr<Connection>>) -> Result<PairingView, PairingError> {
        let row = PairingRow {
            client_id: waiting.client_id.clone(),
            origin: Arc::clone(&waiting.origin),
            client_secret: random::secret().map_err(|_| PairingError::NoRandom)?,
            requested_at: waiting.requested_at,
            approved_at: self.shared.clock.now_ms(),
        };
        let written = row.clone();
        self.shared.store.transact(move |conn| store::pairings::write(conn, &written)).await?;
        let paired = self.state().pair(waiting.place, row.clone());
        let Some((approved, rivals)) = paired else { return Err(self.revert(&row.client_id).await) };
        self.dismiss(rivals, PairingStatus::Left);
        if !approved.to.send(PairingApproved { client_secret: row.client_secret.clone() }).await.unwrap_or(false) {
            return Err(self.revert(&row.client_id).await);
        }
        let view = PairingView::paired(&row, PairingStatus::Paired);
        tracing::info!(client.id = %row.client_id, origin = %row.origin, "a client was paired");
        self.publish(view.clone());
        Ok(view)
    }

    /// A key that nobody got opens nothing; the client asks anew.
    async fn revert(&self, client_id: &ClientId) -> PairingError {
        self.state().unpair(client_id);
        let client_id = client_id.clone();
        match self.shared.store.run(move |conn| store::pairings::forget(conn, &client_id)).await {
            Ok(_) => PairingError::ClientLeft,
            Err(error) => error.into(),
        }
    }
}

impl BridgeHub {
    /// Everybody who is paired or waits for it, who asked last first.
    pub fn pairings(&self) -> Vec<PairingView> {
        self.pairing().state().list()
    }

    /// The operator decides about a client that waits.
    ///
    /// # Errors
    ///
    /// Nothing was decided. A wrong code counts, the last one that may be given turns the client away.
    pub async fn decide(&self, client_id: ClientId, decision: PairingDecision) -> Result<PairingView, PairingError> {
        let decide = async move |pairings: Pairings| {
            let outcome = pairings.state().decide(&client_id, &decision);
            match outcome {
                DecisionOutcome::NotWaiting => Err(PairingError::UnknownClient),
                DecisionOutcome::Approved(waiting) => pairings.approve(waiting).await,
                DecisionOutcome::WrongCode(removed) => {
                    tracing::warn!(client.id = %client_id, turned_away = removed.len(), "a wrong code for pairing");
                    pairings.dismiss(removed, PairingStatus::Left);
                    Err(PairingError::WrongCode)
                }
                DecisionOutcome::Rejected(removed) => {
                    let view = removed.first().map(|waiting| waiting.view(PairingStatus::Rejected));
                    tracing::info!(client.id = %client_id, "a client was rejected");
                    pairings.dismiss(removed, PairingStatus::Rejected);
                    view.ok_or(PairingError::UnknownClient)
                }
            }
        };
        self.pairing().run_serialized(decide).await
    }

    /// Forgets a client and closes it, be it paired or waiting.
    ///
    /// # Errors
    ///
    /// Nobody of that name is known, or the store cannot be written.
    pub async fn forget(&self, client_id: ClientId) -> Result<PairingView, PairingError> {
        let hub = self.clone();
        let forget = async move |pairings: Pairings| {
            let known = pairings.state().paired(&client_id).is_some();
            if known {
                let id = client_id.clone();
                pairings.shared.store.run(move |conn| store::pairings::forget(conn, &id)).await?;
            }
            let row = pairings.state().unpair(&client_id);
            let waiting = pairings.state().remove_waiting(&client_id);
            let view = match &row {
                Some(row) => PairingView::paired(row, PairingStatus::Forgotten),
                None => waiting.first().ok_or(PairingError::UnknownClient)?.view(PairingStatus::Forgotten),
            };
            pairings.dismiss(waiting, PairingStatus::Left);
            if row.is_some() {
                tracing::info!(client.id = %client_id, "a pairing was forgotten");
                pairings.publish(view.clone());
                // Whoever enters meanwhile looks again whether it is known.
                let connected = hub.directory().get(&client_id).map(|link| link.to.clone());
                if let Some(connection) = connected {
                    connection.do_send(CloseUnauthorized); // bounded: by the decisions under way
                }
            }
            Ok(view)
        };
        self.pairing().run_serialized(forget).await
    }
}
