//! What the operator decides about those who wait and those who are paired, one decision at a time.

use super::{
    super::{
        connection::{Approved, Connection, TurnAway},
        hub::Hub,
    },
    Decision, PairingView, Pairings, Standing,
    desk::{Verdict, Waiting},
    draw,
};
use crate::{
    ids::ClientId,
    store::{self, StoreError, Unavailable, pairings::PairingRow},
};
use actix::Addr;
use std::sync::Arc;

/// Why a decision changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// Nobody of that name waits, or none is paired.
    #[error("there is no such client")]
    Unknown,
    /// That is not the code that the client shows.
    #[error("the code is not the one that the client shows")]
    WrongCode,
    /// The client went away before it got its key; it is as unknown as before.
    #[error("the client went away before it could be told")]
    Left,
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
    async fn in_turn<T: 'static>(
        &self,
        work: impl AsyncFnOnce(Pairings) -> Result<T, Undecided> + 'static,
    ) -> Result<T, Undecided> {
        let busy = |_| StoreError::from(Unavailable::Busy);
        let room = Arc::clone(&self.shared.room).try_acquire_owned().map_err(busy)?;
        let pairings = self.clone();
        let work = actix_rt::spawn(async move {
            let _room = room;
            let shared = Arc::clone(&pairings.shared);
            let _turn = shared.deciding.lock().await;
            work(pairings).await
        });
        work.await.unwrap_or(Err(StoreError::Panicked.into()))
    }

    async fn approve(&self, waiting: Waiting<Addr<Connection>>) -> Result<PairingView, Undecided> {
        let row = PairingRow {
            client_id: waiting.client_id.clone(),
            origin: Arc::clone(&waiting.origin),
            client_secret: draw::secret().map_err(|_| Undecided::NoRandom)?,
            requested_at: waiting.requested_at,
            approved_at: self.shared.clock.now_ms(),
        };
        let written = row.clone();
        self.shared.store.transact(move |conn| store::pairings::write(conn, &written)).await?;
        let paired = self.desk().pair(waiting.place, row.clone());
        let Some((approved, rivals)) = paired else { return Err(self.take_back(&row.client_id).await) };
        self.turn_away(rivals, Standing::Left);
        if !approved.to.send(Approved { client_secret: row.client_secret.clone() }).await.unwrap_or(false) {
            return Err(self.take_back(&row.client_id).await);
        }
        let view = PairingView::paired(&row, Standing::Paired);
        tracing::info!(client.id = %row.client_id, origin = %row.origin, "a client was paired");
        self.tell(view.clone());
        Ok(view)
    }

    /// A key that nobody got opens nothing; the client asks anew.
    async fn take_back(&self, client_id: &ClientId) -> Undecided {
        self.desk().unpair(client_id);
        let client_id = client_id.clone();
        match self.shared.store.run(move |conn| store::pairings::forget(conn, &client_id)).await {
            Ok(_) => Undecided::Left,
            Err(error) => error.into(),
        }
    }
}

impl Hub {
    /// Everybody who is paired or waits for it, who asked last first.
    pub fn pairings(&self) -> Vec<PairingView> {
        self.door().desk().list()
    }

    /// The operator decides about a client that waits.
    ///
    /// # Errors
    ///
    /// Nothing was decided. A wrong code counts, the last one that may be given turns the client away.
    pub async fn decide(&self, client_id: ClientId, decision: Decision) -> Result<PairingView, Undecided> {
        let decide = async move |pairings: Pairings| {
            let verdict = pairings.desk().decide(&client_id, &decision);
            match verdict {
                Verdict::Nobody => Err(Undecided::Unknown),
                Verdict::Approved(waiting) => pairings.approve(waiting).await,
                Verdict::Wrong(gone) => {
                    tracing::warn!(client.id = %client_id, turned_away = gone.len(), "a wrong code for pairing");
                    pairings.turn_away(gone, Standing::Left);
                    Err(Undecided::WrongCode)
                }
                Verdict::Rejected(gone) => {
                    let view = gone.first().map(|waiting| waiting.view(Standing::Rejected));
                    tracing::info!(client.id = %client_id, "a client was rejected");
                    pairings.turn_away(gone, Standing::Rejected);
                    view.ok_or(Undecided::Unknown)
                }
            }
        };
        self.door().in_turn(decide).await
    }

    /// Forgets a client and closes it, be it paired or waiting.
    ///
    /// # Errors
    ///
    /// Nobody of that name is known, or the store cannot be written.
    pub async fn forget(&self, client_id: ClientId) -> Result<PairingView, Undecided> {
        let hub = self.clone();
        let forget = async move |pairings: Pairings| {
            let known = pairings.desk().paired(&client_id).is_some();
            if known {
                let id = client_id.clone();
                pairings.shared.store.run(move |conn| store::pairings::forget(conn, &id)).await?;
            }
            let row = pairings.desk().unpair(&client_id);
            let waiting = pairings.desk().turn_away_all(&client_id);
            let view = match &row {
                Some(row) => PairingView::paired(row, Standing::Forgotten),
                None => waiting.first().ok_or(Undecided::Unknown)?.view(Standing::Forgotten),
            };
            pairings.turn_away(waiting, Standing::Left);
            if row.is_some() {
                tracing::info!(client.id = %client_id, "a pairing was forgotten");
                pairings.tell(view.clone());
                // Whoever enters meanwhile looks again whether it is known.
                let connected = hub.directory().get(&client_id).map(|link| link.to.clone());
                if let Some(connection) = connected {
                    connection.do_send(TurnAway); // bounded: by the decisions under way
                }
            }
            Ok(view)
        };
        self.door().in_turn(forget).await
    }
}
