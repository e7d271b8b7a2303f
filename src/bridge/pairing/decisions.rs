//! The operator's decisions about waiting and paired clients, one at a time.

use super::{
    super::{
        connection::{CloseUnauthorized, Connection, PairingApproved},
        hub::BridgeHub,
    },
    Pairing, PairingDecision, PairingStatus, Pairings, random,
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
    /// No client with this id waits or is paired.
    #[error("no client with this id waits for pairing or is paired")]
    UnknownClient,
    /// The code is not the one that the client shows.
    #[error("the code is not the one that the client shows")]
    WrongCode,
    /// The client disconnected before it received its key; it is not paired.
    #[error("the client disconnected before it received its key; it is not paired")]
    ClientLeft,
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key can be generated.
    #[error("the system provides no random numbers")]
    NoRandom,
}

impl Pairings {
    /// Runs `work` after the decisions before it. It runs in a task of its own: a caller that is dropped in between must not
    /// separate the write from the notification.
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

    async fn approve(&self, waiting: WaitingClient<Addr<Connection>>) -> Result<Pairing, PairingError> {
        let row = PairingRow {
            client_id: waiting.client_id.clone(),
            origin: Arc::clone(&waiting.origin),
            client_secret: random::secret().map_err(|_| PairingError::NoRandom)?,
            requested_at: waiting.requested_at,
            approved_at: self.shared.clock.now_ms(),
        };
        let written = row.clone();
        self.shared.store.transact(move |conn| store::pairings::write(conn, &written)).await?;
        let paired = self.shared.state.lock().pair(waiting.place, row.clone());
        let Some((approved, rivals)) = paired else { return Err(self.revert(&row.client_id).await) };
        self.dismiss(rivals, PairingStatus::Left);
        if !approved.to.send(PairingApproved { client_secret: row.client_secret.clone() }).await.unwrap_or(false) {
            return Err(self.revert(&row.client_id).await);
        }
        let view = Pairing::paired(&row, PairingStatus::Paired);
        tracing::info!(client.id = %row.client_id, origin = %row.origin, "paired a client");
        self.publish(view.clone());
        Ok(view)
    }

    /// Removes a pairing whose key was not delivered.
    async fn revert(&self, client_id: &ClientId) -> PairingError {
        self.shared.state.lock().unpair(client_id);
        let client_id = client_id.clone();
        match self.shared.store.run(move |conn| store::pairings::forget(conn, &client_id)).await {
            Ok(_) => PairingError::ClientLeft,
            Err(error) => error.into(),
        }
    }
}

impl BridgeHub {
    /// Returns all paired and waiting clients, the latest request first.
    pub fn pairings(&self) -> Vec<Pairing> {
        self.pairing().shared.state.lock().list()
    }

    /// Applies the operator's decision about a waiting client.
    ///
    /// # Errors
    ///
    /// Nothing was decided. A wrong code is counted; after `bridge.pairing_attempts` of them the client is disconnected.
    pub async fn decide(&self, client_id: ClientId, decision: PairingDecision) -> Result<Pairing, PairingError> {
        let decide = async move |pairings: Pairings| {
            let outcome = pairings.shared.state.lock().decide(&client_id, &decision);
            match outcome {
                DecisionOutcome::NotWaiting => Err(PairingError::UnknownClient),
                DecisionOutcome::Approved(waiting) => pairings.approve(waiting).await,
                DecisionOutcome::WrongCode(removed) => {
                    tracing::warn!(client.id = %client_id, disconnected = removed.len(), "wrong pairing code");
                    pairings.dismiss(removed, PairingStatus::Left);
                    Err(PairingError::WrongCode)
                }
                DecisionOutcome::Rejected(removed) => {
                    let view = removed.first().map(|waiting| waiting.view(PairingStatus::Rejected));
                    tracing::info!(client.id = %client_id, "rejected a client");
                    pairings.dismiss(removed, PairingStatus::Rejected);
                    view.ok_or(PairingError::UnknownClient)
                }
            }
        };
        self.pairing().run_serialized(decide).await
    }

    /// Removes a paired or waiting client and closes its connection.
    pub async fn forget(&self, client_id: ClientId) -> Result<Pairing, PairingError> {
        let hub = self.clone();
        let forget = async move |pairings: Pairings| {
            let known = pairings.shared.state.lock().paired(&client_id).is_some();
            if known {
                let id = client_id.clone();
                pairings.shared.store.run(move |conn| store::pairings::forget(conn, &id)).await?;
            }
            let row = pairings.shared.state.lock().unpair(&client_id);
            let waiting = pairings.shared.state.lock().remove_waiting(&client_id);
            let view = match &row {
                Some(row) => Pairing::paired(row, PairingStatus::Forgotten),
                None => waiting.first().ok_or(PairingError::UnknownClient)?.view(PairingStatus::Forgotten),
            };
            pairings.dismiss(waiting, PairingStatus::Left);
            if row.is_some() {
                tracing::info!(client.id = %client_id, "removed a pairing");
                pairings.publish(view.clone());
                // A client that is being established checks again whether it is still paired.
                let connected = hub.directory().get(&client_id).map(|link| link.to.clone());
                if let Some(connection) = connected {
                    connection.do_send(CloseUnauthorized); // bounded: by the decisions in progress
                }
            }
            Ok(view)
        };
        self.pairing().run_serialized(forget).await
    }
}
