//! Pairing: who may be a Firefox of this daemon. A handle over the desk and the table behind it; the connection asks it
//! at the door, the operator decides through [`Hub`](super::Hub).
//!
//! A pairing is written before the client gets its key, and gone from the table before anybody is told that it is
//! forgotten: what was said outlives a crash. Decisions are made one at a time.

mod deciding;
mod desk;
mod draw;

#[cfg(test)]
mod tests;

pub use deciding::Undecided;
pub use desk::{Decision, PairingView, Standing};

use super::{
    connection::{Connection, Handshake, TurnAway},
    settings::Bridge,
};
use crate::{
    clock::{Clock, WallMs},
    events::EventBus,
    ids::ClientId,
    secret::Secret,
    store::{self, Store, StoreError},
    telemetry::Sparing,
    wire::proof::{ProofSide, Transcript, proof, proves},
};
use actix::Addr;
use desk::{Desk, Knock, Limits, Waiting};
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

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pairings {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    events: EventBus,
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
    transcript: Transcript,
    /// The daemon's own proof, for the challenge.
    pub(super) proof: String,
}

impl Prover {
    /// The daemon's random value.
    pub(super) fn nonce(&self) -> &str {
        &self.transcript.server_nonce
    }
}

impl Pairings {
    /// The pairings of the store.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn open(store: Store, settings: &Bridge, events: EventBus, clock: Clock) -> Result<Self, StoreError> {
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
        handshake: &Handshake,
        nonce: Option<&str>,
        to: Addr<Connection>,
    ) -> Result<Option<Entrance>, NoRandom> {
        let Handshake { origin, address, .. } = handshake;
        let now = self.shared.clock.now_ms();
        let knock = self.desk().knock((client_id, origin), draw::code, now, to)?;
        Ok(Some(match knock {
            Knock::Known(secret) => {
                let Some(nonce) = nonce else { return Ok(None) };
                let (client_nonce, address) = (nonce.to_owned(), address.to_string());
                let transcript = Transcript { client_nonce, server_nonce: draw::nonce()?, address };
                let proof = proof(secret.expose(), ProofSide::Server, &transcript);
                let (client_id, origin) = (client_id.clone(), Arc::clone(origin));
                Entrance::Prove(Prover { client_id, origin, transcript, proof })
            }
            Knock::Elsewhere => Entrance::Refused,
            Knock::Full => Entrance::Full,
            Knock::Waits(place) => {
                let place = Place { pairings: self.clone(), place };
                let Some(code) = place.code() else { return Ok(Some(Entrance::Refused)) };
                if let Some(view) = place.view() {
                    static WAITING: Sparing = Sparing::new();
                    if let Some(left_out) = WAITING.one_more() {
                        let PairingView { client_id, origin, .. } = &view;
                        tracing::info!(client.id = %client_id, %origin, left_out, "a client waits for pairing");
                    }
                    self.tell(view);
                }
                Entrance::Wait(place, code)
            }
        }))
    }

    /// Whether a client has proved itself; it must still be known.
    pub(super) fn is_proved(&self, prover: &Prover, given: &str) -> bool {
        let secret = self.desk().secret_of(&prover.client_id, &prover.origin);
        secret.is_some_and(|secret| proves(given, secret.expose(), ProofSide::Client, &prover.transcript))
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
