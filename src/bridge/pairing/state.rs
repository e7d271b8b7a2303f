//! Who is paired, who waits for it and with which code: a value without actors, clocks or randomness. `T` is the way to
//! a waiting client.
//!
//! ```text
//!            knock                decide: the right code, written
//! stranger ────────► waiting ─────────────────────────────────────► paired ──forget──► stranger
//!                      │  ▲ │
//!                      │  └─┘ renew: another code
//!                      └─ left, rejected, or the last wrong code ──► stranger
//! ```
//!
//! Several sockets may wait under one name: who of them is meant is told by the code.

use crate::{clock::WallMs, ids::ClientId, secret::Secret, store::pairings::PairingRow};
use serde::Serialize;
use std::sync::Arc;

/// Bounds of what waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairingLimits {
    /// Sockets that wait at a time.
    pub(super) waiting_max: usize,
    /// Wrong codes with which a socket is turned away.
    pub(super) wrong_max: u64,
    /// For how long a code is good, in milliseconds.
    pub(super) code_ms: WallMs,
}

/// The state.
#[derive(Debug)]
pub(super) struct PairingState<T> {
    limits: PairingLimits,
    paired: foldhash::HashMap<ClientId, PairingRow>,
    /// In the order in which they came.
    waiting: Vec<WaitingClient<T>>,
    /// Counts those who ever waited.
    last_place: u64,
}

/// A socket that waits.
#[derive(Clone, Debug)]
pub(super) struct WaitingClient<T> {
    pub(super) place: u64,
    pub(super) client_id: ClientId,
    pub(super) origin: Arc<str>,
    pub(super) requested_at: WallMs,
    pub(super) expires_at: WallMs,
    /// Six digits; printed by nothing.
    code: Secret,
    wrong_codes: u64,
    pub(super) to: T,
}

/// What a `hello` of somebody unproven comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HelloOutcome {
    /// It is paired and has to prove itself with this key.
    Paired(Secret),
    /// It is paired, and from another origin.
    OtherOrigin,
    /// It waits, at this place.
    Waiting(u64),
    /// As many as may wait do.
    TooManyWaiting,
}

/// How the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairingDecision {
    /// The client that shows this code is ours.
    Approve {
        /// As the operator read it.
        code: String,
    },
    /// Whoever waits under that name is to go.
    Reject,
}

/// What a decision comes to.
#[derive(Debug)]
pub(super) enum DecisionOutcome<T> {
    /// Nobody of that name waits.
    NotWaiting,
    /// This one is meant. It waits on until its pairing is written.
    Approved(WaitingClient<T>),
    /// The code is not that of anybody of that name; these had their last wrong one and wait no more.
    WrongCode(Vec<WaitingClient<T>>),
    /// These wait no more.
    Rejected(Vec<WaitingClient<T>>),
}

/// How a client stands, or came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingStatus {
    /// It shows a code and waits for the operator.
    Waiting,
    /// It was approved.
    Paired,
    /// The operator did not want it.
    Rejected,
    /// It waits no more: it went away, or was turned away after too many wrong codes.
    Left,
    /// It was paired, and is unknown now.
    Forgotten,
}

/// A client as the operator sees it; neither code nor secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairingView {
    /// Who it says it is.
    pub client_id: ClientId,
    /// How it stands.
    pub status: PairingStatus,
    /// Where it comes from; `none` for a peer that is no browser.
    pub origin: Arc<str>,
    /// When it asked, in Unix milliseconds.
    pub requested_at: WallMs,
    /// When it was approved, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<WallMs>,
    /// When its code is replaced by another one, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<WallMs>,
}

impl PairingView {
    pub(super) fn paired(row: &PairingRow, status: PairingStatus) -> Self {
        PairingView {
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
    pub(super) fn view(&self, status: PairingStatus) -> PairingView {
        PairingView {
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

    /// Somebody unproven says `hello`. `code`: for one that nobody knows; one that is not free is drawn again.
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

    /// A code that nobody shows: by its code alone a client must be found.
    fn unused_code<E>(&self, mut code: impl FnMut() -> Result<Secret, E>) -> Result<Secret, E> {
        loop {
            let drawn = code()?;
            if self.waiting.iter().all(|waiting| waiting.code != drawn) {
                return Ok(drawn);
            }
        }
    }

    /// Who waits at a place.
    pub(super) fn waiting_at(&self, place: u64) -> Option<&WaitingClient<T>> {
        self.waiting.iter().find(|waiting| waiting.place == place)
    }

    /// The code that a place shows; nothing when nobody waits there.
    pub(super) fn code_at(&self, place: u64) -> Option<Secret> {
        self.waiting_at(place).map(|waiting| waiting.code.clone())
    }

    /// Another code for a place, whose time begins anew with it.
    pub(super) fn renew<E>(
        &mut self,
        place: u64,
        code: impl FnMut() -> Result<Secret, E>,
        now: WallMs,
    ) -> Result<Option<PairingView>, E> {
        let code = self.unused_code(code)?;
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.place == place) else { return Ok(None) };
        (waiting.code, waiting.wrong_codes) = (code, 0);
        waiting.expires_at = now.saturating_add(self.limits.code_ms);
        Ok(Some(waiting.view(PairingStatus::Waiting)))
    }

    /// A place is free again; answers who waited there.
    pub(super) fn leave(&mut self, place: u64) -> Option<WaitingClient<T>> {
        let at = self.waiting.iter().position(|waiting| waiting.place == place)?;
        Some(self.waiting.remove(at))
    }

    /// Whether anybody waits under that name.
    pub(super) fn has_waiting(&self, client_id: &ClientId) -> bool {
        self.waiting.iter().any(|waiting| waiting.client_id == *client_id)
    }

    /// What a decision comes to. A wrong code counts against everybody of that name, unless it is that of another client
    /// that waits: then it was the name that was wrong.
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

    /// An approval is written. Answers whom it is for and who else waited under that name, or gives it back when the
    /// client went away meanwhile.
    pub(super) fn pair(&mut self, place: u64, row: PairingRow) -> Option<(WaitingClient<T>, Vec<WaitingClient<T>>)> {
        let approved = self.leave(place)?;
        let rivals = self.remove_waiting(&row.client_id);
        self.paired.insert(row.client_id.clone(), row);
        Some((approved, rivals))
    }

    /// A client is paired no more; answers how it was.
    pub(super) fn unpair(&mut self, client_id: &ClientId) -> Option<PairingRow> {
        self.paired.remove(client_id)
    }

    /// Nobody waits under that name any more; answers who did.
    pub(super) fn remove_waiting(&mut self, client_id: &ClientId) -> Vec<WaitingClient<T>> {
        self.remove_where(|waiting| waiting.client_id == *client_id)
    }

    /// The key of a client that comes from where it was approved.
    pub(super) fn secret_of(&self, client_id: &ClientId, origin: &str) -> Option<Secret> {
        let row = self.paired.get(client_id).filter(|row| *row.origin == *origin)?;
        Some(row.client_secret.clone())
    }

    /// A paired client.
    pub(super) fn paired(&self, client_id: &ClientId) -> Option<&PairingRow> {
        self.paired.get(client_id)
    }

    /// Everybody, who asked last first.
    pub(super) fn list(&self) -> Vec<PairingView> {
        let waiting = self.waiting.iter().map(|waiting| waiting.view(PairingStatus::Waiting));
        let paired = self.paired.values().map(|row| PairingView::paired(row, PairingStatus::Paired));
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
