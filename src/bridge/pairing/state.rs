//! The paired and waiting clients and their codes: a value without actors, clocks or randomness. `T` is the address of a
//! waiting client's connection.
//!
//! ```text
//!           hello                 decide: right code, pairing written
//! unknown ────────► waiting ─────────────────────────────────────► paired ──forget──► unknown
//!                     │  ▲ │
//!                     │  └─┘ renew: another code
//!                     └─ disconnected, rejected, or too many wrong codes ──► unknown
//! ```
//!
//! Several sockets may wait with the same client id; the code identifies the one that is meant.

pub use crate::api::pairings::{Pairing, PairingStatus};
use crate::{clock::WallMs, ids::ClientId, secret::Secret, store::pairings::PairingRow};
use std::sync::Arc;

/// Limits of waiting clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairingLimits {
    pub(super) waiting_max: usize,
    /// Wrong codes after which a socket is disconnected.
    pub(super) wrong_max: u64,
    /// Validity of a code, in milliseconds.
    pub(super) code_ms: WallMs,
}

#[derive(Debug)]
pub(super) struct PairingState<T> {
    limits: PairingLimits,
    paired: foldhash::HashMap<ClientId, PairingRow>,
    /// In the order of their arrival.
    waiting: Vec<WaitingClient<T>>,
    /// Last place that was given out.
    last_place: u64,
}

/// A socket that waits for pairing.
#[derive(Clone, Debug)]
pub(super) struct WaitingClient<T> {
    pub(super) place: u64,
    pub(super) client_id: ClientId,
    pub(super) origin: Arc<str>,
    pub(super) requested_at: WallMs,
    pub(super) expires_at: WallMs,
    /// Six digits; never printed.
    code: Secret,
    wrong_codes: u64,
    pub(super) to: T,
}

/// The outcome of a `hello` without proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HelloOutcome {
    /// The client is paired and must prove that it has this key.
    Paired(Secret),
    OtherOrigin,
    /// The client waits, at this place.
    Waiting(u64),
    TooManyWaiting,
}

/// A decision of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairingDecision {
    /// Pair the client that shows this code.
    Approve {
        /// The code, as the operator entered it.
        code: String,
    },
    /// Disconnect all waiting clients with this id.
    Reject,
}

#[derive(Debug)]
pub(super) enum DecisionOutcome<T> {
    /// No client with this id waits.
    NotWaiting,
    /// The code belongs to this client, which keeps waiting until its pairing is written.
    Approved(WaitingClient<T>),
    /// The code belongs to no client with this id. These clients were removed, after too many wrong codes.
    WrongCode(Vec<WaitingClient<T>>),
    /// These clients were removed.
    Rejected(Vec<WaitingClient<T>>),
}

impl Pairing {
    pub(super) fn paired(row: &PairingRow, status: PairingStatus) -> Self {
        Pairing {
            client_id: row.client_id.clone(),
            status,
            origin: Arc::clone(&row.origin),
            requested_at: row.requested_at,
            approved_at: Some(row.approved_at),
            expires_at: None,
        }
    }
}

impl<T> WaitingClient<T> {
    pub(super) fn view(&self, status: PairingStatus) -> Pairing {
        Pairing {
            client_id: self.client_id.clone(),
            status,
            origin: Arc::clone(&self.origin),
            requested_at: self.requested_at,
            approved_at: None,
            expires_at: (status == PairingStatus::Waiting).then_some(self.expires_at),
        }
    }
}

impl<T: Clone> PairingState<T> {
    pub(super) fn new(limits: PairingLimits, paired: Vec<PairingRow>) -> Self {
        let paired = paired.into_iter().map(|row| (row.client_id.clone(), row)).collect();
        PairingState { limits, paired, waiting: Vec::new(), last_place: 0 }
    }

    /// Handles a `hello` without proof. `code` generates the code of an unknown client; it is called again if another waiting
    /// client has the same code.
    pub(super) fn on_hello<E>(
        &mut self,
        (client_id, origin): (&ClientId, &Arc<str>),
        code: impl FnMut() -> Result<Secret, E>,
        now: WallMs,
        to: T,
    ) -> Result<HelloOutcome, E> {
        match self.paired.get(client_id) {
            Some(row) if row.origin == *origin => return Ok(HelloOutcome::Paired(row.client_secret.clone())),
            Some(_) => return Ok(HelloOutcome::OtherOrigin),
            None if self.waiting.len() >= self.limits.waiting_max => return Ok(HelloOutcome::TooManyWaiting),
            None => {}
        }
        let code = self.unused_code(code)?;
        self.last_place += 1;
        self.waiting.push(WaitingClient {
            place: self.last_place,
            client_id: client_id.clone(),
            origin: Arc::clone(origin),
            requested_at: now,
            expires_at: now.saturating_add(self.limits.code_ms),
            code,
            wrong_codes: 0,
            to,
        });
        Ok(HelloOutcome::Waiting(self.last_place))
    }

    /// Returns a code that no waiting client shows: the code alone must identify a client.
    fn unused_code<E>(&self, mut code: impl FnMut() -> Result<Secret, E>) -> Result<Secret, E> {
        loop {
            let drawn = code()?;
            if self.waiting.iter().all(|waiting| waiting.code != drawn) {
                return Ok(drawn);
            }
        }
    }

    pub(super) fn waiting_at(&self, place: u64) -> Option<&WaitingClient<T>> {
        self.waiting.iter().find(|waiting| waiting.place == place)
    }

    pub(super) fn code_at(&self, place: u64) -> Option<Secret> {
        self.waiting_at(place).map(|waiting| waiting.code.clone())
    }

    /// Gives the client at a place another code, with its full validity.
    pub(super) fn renew<E>(
        &mut self,
        place: u64,
        code: impl FnMut() -> Result<Secret, E>,
        now: WallMs,
    ) -> Result<Option<Pairing>, E> {
        let code = self.unused_code(code)?;
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.place == place) else { return Ok(None) };
        (waiting.code, waiting.wrong_codes) = (code, 0);
        waiting.expires_at = now.saturating_add(self.limits.code_ms);
        Ok(Some(waiting.view(PairingStatus::Waiting)))
    }

    /// Removes the client at a place and returns it.
    pub(super) fn leave(&mut self, place: u64) -> Option<WaitingClient<T>> {
        let at = self.waiting.iter().position(|waiting| waiting.place == place)?;
        Some(self.waiting.remove(at))
    }

    pub(super) fn has_waiting(&self, client_id: &ClientId) -> bool {
        self.waiting.iter().any(|waiting| waiting.client_id == *client_id)
    }

    /// Applies a decision. A wrong code is counted for all waiting clients with this id, unless it is the code of another
    /// waiting client: then the id was wrong.
    pub(super) fn decide(&mut self, client_id: &ClientId, decision: &PairingDecision) -> DecisionOutcome<T> {
        if !self.has_waiting(client_id) {
            return DecisionOutcome::NotWaiting;
        }
        let PairingDecision::Approve { code } = decision else {
            return DecisionOutcome::Rejected(self.remove_waiting(client_id));
        };
        match self.waiting.iter().find(|waiting| waiting.code.matches(code.as_bytes())) {
            Some(waiting) if waiting.client_id == *client_id => return DecisionOutcome::Approved(waiting.clone()),
            Some(_) => return DecisionOutcome::WrongCode(Vec::new()),
            None => {}
        }
        let mine = self.waiting.iter_mut().filter(|waiting| waiting.client_id == *client_id);
        mine.for_each(|waiting| waiting.wrong_codes += 1);
        let wrong_max = self.limits.wrong_max;
        DecisionOutcome::WrongCode(self.remove_where(|waiting| waiting.wrong_codes >= wrong_max))
    }

    /// Pairs a client whose approval was written. Returns the client and the others that waited with the same id; `None` if
    /// the client has disconnected.
    pub(super) fn pair(&mut self, place: u64, row: PairingRow) -> Option<(WaitingClient<T>, Vec<WaitingClient<T>>)> {
        let approved = self.leave(place)?;
        let rivals = self.remove_waiting(&row.client_id);
        self.paired.insert(row.client_id.clone(), row);
        Some((approved, rivals))
    }

    pub(super) fn unpair(&mut self, client_id: &ClientId) -> Option<PairingRow> {
        self.paired.remove(client_id)
    }

    pub(super) fn remove_waiting(&mut self, client_id: &ClientId) -> Vec<WaitingClient<T>> {
        self.remove_where(|waiting| waiting.client_id == *client_id)
    }

    /// Returns the key of a client that is paired with this origin.
    pub(super) fn secret_of(&self, client_id: &ClientId, origin: &str) -> Option<Secret> {
        let row = self.paired.get(client_id).filter(|row| *row.origin == *origin)?;
        Some(row.client_secret.clone())
    }

    pub(super) fn paired(&self, client_id: &ClientId) -> Option<&PairingRow> {
        self.paired.get(client_id)
    }

    /// Returns all clients, the latest request first.
    pub(super) fn list(&self) -> Vec<Pairing> {
        let waiting = self.waiting.iter().map(|waiting| waiting.view(PairingStatus::Waiting));
        let paired = self.paired.values().map(|row| Pairing::paired(row, PairingStatus::Paired));
        let mut all: Vec<_> = waiting.chain(paired).collect();
        all.sort_by(|a, b| b.requested_at.cmp(&a.requested_at).then_with(|| a.client_id.cmp(&b.client_id)));
        all
    }

    fn remove_where(&mut self, goes: impl Fn(&WaitingClient<T>) -> bool) -> Vec<WaitingClient<T>> {
        self.waiting.extract_if(.., |waiting| goes(waiting)).collect()
    }
}

#[cfg(test)]
mod tests;
