//! Pairing: which Firefox may connect. The handle joins the state in memory with the table in the store; connections use it
//! during the handshake, the operator decides through [`BridgeHub`](super::BridgeHub).
//!
//! A pairing is written before the client receives its key, and deleted from the table before its removal is reported, so
//! that what was reported survives a crash. Decisions are made one at a time.

mod decisions;
mod random;
mod state;

#[cfg(test)]
mod tests;

pub use decisions::PairingError;
pub use state::{Pairing, PairingDecision, PairingStatus};

use super::{
    connection::{CloseUnauthorized, Connection, SocketPeer},
    settings::BridgeSettings,
};
use crate::{
    clock::{Clock, WallMs},
    events::EventBus,
    ids::ClientId,
    secret::Secret,
    store::{self, Store, StoreError},
    telemetry::LogRateLimiter,
    wire::proof::{ProofSide, Transcript, proof, proves},
};
use actix::Addr;
use parking_lot::Mutex;
use serde::Serialize;
use state::{HelloOutcome, PairingLimits, PairingState, WaitingClient};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Origin of a peer that is not a browser.
pub(super) const NO_ORIGIN: &str = "none";

/// Decisions in progress or waiting; they must not accumulate while the store does not answer.
const DECISIONS_MAX: usize = 64;

/// The system provides no random numbers, so that no client can be paired or challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system provides no random numbers")]
pub(super) struct NoRandom;

impl From<getrandom::Error> for NoRandom {
    fn from(_: getrandom::Error) -> Self {
        NoRandom
    }
}

/// The paired and waiting clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pairings {
    shared: Arc<PairingShared>,
}

#[derive(Debug)]
struct PairingShared {
    store: Store,
    events: EventBus,
    clock: Clock,
    state: Mutex<PairingState<Addr<Connection>>>,
    /// Held from a decision until all clients concerned are notified.
    decision_lock: tokio::sync::Mutex<()>,
    /// Bounds the decisions in progress or waiting.
    decision_permits: Arc<Semaphore>,
}

/// The next step of the handshake after a `hello`.
#[derive(Debug)]
pub(super) enum HandshakeStep {
    /// The client must prove its identity.
    Challenge(ProofChallenge),
    Refuse,
    /// The client waits for the operator's approval and shows this code.
    AwaitApproval(WaitingPlace, Secret),
    /// `bridge.max_unpaired` clients are waiting.
    TooManyWaiting,
}

#[derive(Debug)]
pub(super) struct ProofChallenge {
    client_id: ClientId,
    origin: Arc<str>,
    transcript: Transcript,
    /// The daemon's own proof, which the challenge contains.
    pub(super) proof: String,
}

impl ProofChallenge {
    pub(super) fn nonce(&self) -> &str {
        &self.transcript.server_nonce
    }
}

impl Pairings {
    /// Reads the pairings from the store.
    pub async fn open(
        store: Store,
        settings: &BridgeSettings,
        events: EventBus,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let limits = PairingLimits {
            waiting_max: settings.max_unpaired,
            wrong_max: settings.pairing_attempts,
            code_ms: WallMs::try_from(settings.pairing_code_ms).unwrap_or(WallMs::MAX),
        };
        let state = Mutex::new(PairingState::new(limits, store.read(store::pairings::all).await?));
        let (decision_lock, decision_permits) = (tokio::sync::Mutex::new(()), Arc::new(Semaphore::new(DECISIONS_MAX)));
        Ok(Pairings {
            shared: Arc::new(PairingShared { store, events, clock, state, decision_lock, decision_permits }),
        })
    }

    /// Handles a `hello`. `nonce`: the client's nonce; `Ok(None)` if a paired client sent none.
    pub(super) fn begin_handshake(
        &self,
        client_id: &ClientId,
        peer: &SocketPeer,
        nonce: Option<&str>,
        to: Addr<Connection>,
    ) -> Result<Option<HandshakeStep>, NoRandom> {
        let SocketPeer { origin, address, .. } = peer;
        let now = self.shared.clock.now_ms();
        let outcome = self.shared.state.lock().on_hello((client_id, origin), random::code, now, to)?;
        Ok(Some(match outcome {
            HelloOutcome::Paired(secret) => {
                let Some(nonce) = nonce else { return Ok(None) };
                let (client_nonce, address) = (nonce.to_owned(), address.to_string());
                let transcript = Transcript { client_nonce, server_nonce: random::nonce()?, address };
                let proof = proof(secret.expose(), ProofSide::Server, &transcript);
                let (client_id, origin) = (client_id.clone(), Arc::clone(origin));
                HandshakeStep::Challenge(ProofChallenge { client_id, origin, transcript, proof })
            }
            HelloOutcome::OtherOrigin => HandshakeStep::Refuse,
            HelloOutcome::TooManyWaiting => HandshakeStep::TooManyWaiting,
            HelloOutcome::Waiting(place) => {
                let place = WaitingPlace { pairings: self.clone(), place };
                let Some(code) = place.code() else { return Ok(Some(HandshakeStep::Refuse)) };
                if let Some(view) = place.view() {
                    static WAITING_LOG: LogRateLimiter = LogRateLimiter::new();
                    if let Some(suppressed) = WAITING_LOG.admit() {
                        let Pairing { client_id, origin, .. } = &view;
                        tracing::info!(client.id = %client_id, %origin, suppressed, "a client waits for pairing");
                    }
                    self.publish(view);
                }
                HandshakeStep::AwaitApproval(place, code)
            }
        }))
    }

    /// Returns whether `given` proves the client's identity; false if it is no longer paired.
    pub(super) fn is_proved(&self, challenge: &ProofChallenge, given: &str) -> bool {
        let secret = self.shared.state.lock().secret_of(&challenge.client_id, &challenge.origin);
        secret.is_some_and(|secret| proves(given, secret.expose(), ProofSide::Client, &challenge.transcript))
    }

    pub(super) fn is_paired(&self, client_id: &ClientId, origin: &str) -> bool {
        self.shared.state.lock().secret_of(client_id, origin).is_some()
    }

    pub(super) fn has_waiting(&self, client_id: &ClientId) -> bool {
        self.shared.state.lock().has_waiting(client_id)
    }

    fn publish(&self, view: Pairing) {
        #[derive(Serialize)]
        struct PairingEvent {
            #[serde(flatten)]
            view: Pairing,
            at: WallMs,
        }
        self.shared.events.publish("pairing", PairingEvent { view, at: self.shared.clock.now_ms() });
    }

    fn dismiss(&self, who: Vec<WaitingClient<Addr<Connection>>>, status: PairingStatus) {
        for waiting in who {
            self.publish(waiting.view(status));
            waiting.to.do_send(CloseUnauthorized); // bounded: once per connection
        }
    }
}

/// A waiting client's entry; removes it when dropped.
#[derive(Debug)]
pub(super) struct WaitingPlace {
    pairings: Pairings,
    place: u64,
}

impl WaitingPlace {
    /// Returns the code to show; `None` if the operator has already decided.
    pub(super) fn code(&self) -> Option<Secret> {
        self.pairings.shared.state.lock().code_at(self.place)
    }

    /// Replaces an expired code. Returns the new one.
    pub(super) fn renew(&self) -> Result<Option<Secret>, NoRandom> {
        let now = self.pairings.shared.clock.now_ms();
        let renewed = self.pairings.shared.state.lock().renew(self.place, random::code, now)?;
        let Some(view) = renewed else { return Ok(None) };
        self.pairings.publish(view);
        Ok(self.code())
    }

    fn view(&self) -> Option<Pairing> {
        let state = self.pairings.shared.state.lock();
        state.waiting_at(self.place).map(|waiting| waiting.view(PairingStatus::Waiting))
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let left = self.pairings.shared.state.lock().leave(self.place);
        if let Some(waiting) = left {
            self.pairings.publish(waiting.view(PairingStatus::Left));
        }
    }
}
