//! Pairing: who may be a Firefox of this daemon. A handle over the desk and the table behind it; the connection asks it
//! at the door, the operator decides through [`Hub`].
//!
//! A pairing is written before the client gets its key, and gone from the table before anybody is told that it is
//! forgotten: what was said outlives a crash. Decisions are made one at a time.

mod desk;
mod draw;

#[cfg(test)]
mod tests;

pub use desk::{Decision, PairingView, Standing};

use super::{
    connection::{Approved, Connection, TurnAway},
    hub::Hub,
    settings::Bridge,
};
use crate::{
    clock::{Clock, WallMs},
    events::Bus,
    ids::ClientId,
    secret::Secret,
    store::{self, Store, StoreError, Unavailable, pairings::PairingRow},
    wire::proof::{Nonces, Side, proof, proves},
};
use actix::Addr;
use desk::{Desk, Knock, Limits, Verdict, Waiting};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// What stands for the origin of a peer that is no browser.
pub(super) const NO_ORIGIN: &str = "none";

/// Decisions that may be under way; a store that does not answer must not gather them.
const DECISIONS_MAX: usize = 64;

/// The system has no random numbers, so nobody can be paired or proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(super) struct NoRandom;

impl From<getrandom::Error> for NoRandom {
    fn from(_: getrandom::Error) -> Self {
        NoRandom
    }
}

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

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pairings {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    events: Bus,
    clock: Clock,
    desk: Mutex<Desk<Addr<Connection>>>,
    /// Held from a decision until everybody concerned is told.
    deciding: tokio::sync::Mutex<()>,
    /// For the decisions that are under way or wait.
    room: Arc<Semaphore>,
}

/// What a `hello` comes to at the door.
#[derive(Debug)]
pub(super) enum Entrance {
    /// It has to prove itself.
    Prove(Prover),
    /// It is not let in.
    Refused,
    /// It waits for the operator.
    Wait(Place, Secret),
    /// Too many wait.
    Full,
}

/// A known client that has not proved itself yet.
#[derive(Debug)]
pub(super) struct Prover {
    client_id: ClientId,
    origin: Arc<str>,
    nonces: Nonces,
    /// The daemon's own proof, for the challenge.
    pub(super) proof: String,
}

impl Prover {
    /// The daemon's random value.
    pub(super) fn nonce(&self) -> &str {
        &self.nonces.server
    }
}

impl Pairings {
    /// The pairings of the store.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(store: Store, settings: &Bridge, events: Bus, clock: Clock) -> Result<Self, StoreError> {
        let limits = Limits {
            waiting_max: settings.max_unpaired,
            wrong_max: settings.pairing_attempts,
            code_ms: WallMs::try_from(settings.pairing_code_ms).unwrap_or(WallMs::MAX),
        };
        let desk = Mutex::new(Desk::new(limits, store.read(store::pairings::all).await?));
        let (deciding, room) = (tokio::sync::Mutex::new(()), Arc::new(Semaphore::new(DECISIONS_MAX)));
        Ok(Pairings { shared: Arc::new(Shared { store, events, clock, desk, deciding, room }) })
    }

    /// Somebody unproven says `hello`; `nonce`: its random value, which a known client must give.
    pub(super) fn knock(
        &self,
        client_id: &ClientId,
        origin: &Arc<str>,
        nonce: Option<&str>,
        to: Addr<Connection>,
    ) -> Result<Option<Entrance>, NoRandom> {
        let now = self.shared.clock.now_ms();
        let knock = self.desk().knock((client_id, origin), draw::code, now, to)?;
        Ok(Some(match knock {
            Knock::Known(secret) => {
                let Some(nonce) = nonce else { return Ok(None) };
                let nonces = Nonces { client: nonce.to_owned(), server: draw::nonce()? };
                let proof = proof(secret.expose(), Side::Server, &nonces);
                let (client_id, origin) = (client_id.clone(), Arc::clone(origin));
                Entrance::Prove(Prover { client_id, origin, nonces, proof })
            }
            Knock::Elsewhere => Entrance::Refused,
            Knock::Full => Entrance::Full,
            Knock::Waits(place) => {
                let place = Place { pairings: self.clone(), place };
                let Some(code) = place.code() else { return Ok(Some(Entrance::Refused)) };
                if let Some(view) = place.view() {
                    tracing::info!(client.id = %view.client_id, origin = %view.origin, "a client waits for pairing");
                    self.tell(view);
                }
                Entrance::Wait(place, code)
            }
        }))
    }

    /// Whether a client has proved itself; it must still be known.
    pub(super) fn is_proved(&self, prover: &Prover, given: &str) -> bool {
        let secret = self.desk().secret_of(&prover.client_id, &prover.origin);
        secret.is_some_and(|secret| proves(given, secret.expose(), Side::Client, &prover.nonces))
    }

    /// Whether a client of that name is paired with that origin.
    pub(super) fn knows(&self, client_id: &ClientId, origin: &str) -> bool {
        self.desk().secret_of(client_id, origin).is_some()
    }

    /// Whether anybody waits under that name.
    pub(super) fn has_waiting(&self, client_id: &ClientId) -> bool {
        self.desk().has_waiting(client_id)
    }

    fn desk(&self) -> MutexGuard<'_, Desk<Addr<Connection>>> {
        // Nothing panics between two changes of the desk, so what a panicking thread left is whole.
        self.shared.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, view: PairingView) {
        #[derive(Serialize)]
        struct Told {
            #[serde(flatten)]
            view: PairingView,
            at: WallMs,
        }
        self.shared.events.publish("pairing", Told { view, at: self.shared.clock.now_ms() });
    }

    fn turn_away(&self, who: Vec<Waiting<Addr<Connection>>>, status: Standing) {
        for waiting in who {
            self.tell(waiting.view(status));
            waiting.to.do_send(TurnAway); // bounded: once a connection
        }
    }

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

/// A place among those who wait, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    pairings: Pairings,
    place: u64,
}

impl Place {
    /// The code to show; nothing when the operator has decided already.
    pub(super) fn code(&self) -> Option<Secret> {
        self.pairings.desk().code_at(self.place)
    }

    /// Another code, when the old one is too old.
    pub(super) fn renew(&self) -> Result<Option<Secret>, NoRandom> {
        let now = self.pairings.shared.clock.now_ms();
        let renewed = self.pairings.desk().renew(self.place, draw::code, now)?;
        let Some(view) = renewed else { return Ok(None) };
        self.pairings.tell(view);
        Ok(self.code())
    }

    fn view(&self) -> Option<PairingView> {
        let desk = self.pairings.desk();
        desk.at(self.place).map(|waiting| waiting.view(Standing::Waiting))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.pairings.desk().leave(self.place);
        if let Some(waiting) = left {
            self.pairings.tell(waiting.view(Standing::Left));
        }
    }
}
