//! The handshake from a new socket to an established client, if pairing is required.
//!
//! ```text
//! initial ────────hello─► awaiting approval ─approved─► established
//!    │                      │ └─ too many wrong codes, rejected ─► closed 4003
//!    │                      └─ code expired: another code
//!    └──hello─► awaiting proof ─auth─► established
//!                  └─ wrong, or timeout ─► closed 4003
//! ```
//!
//! A client that is not established is not in the directory: it performs no requests, receives no snapshots, and does not
//! replace an established client with the same id.

use super::Connection;
use crate::{
    bridge::{
        assignment::DisconnectReason,
        pairing::{HandshakeStep, NoRandom, ProofChallenge, WaitingPlace},
    },
    secret::Secret,
    telemetry::LogRateLimiter,
    wire::{Challenge, FrameError, FrameErrorCode, Hello, PairingRequired, frame},
};
use actix::prelude::*;
use std::time::Duration;

static WRONG_ORIGIN_LOG: LogRateLimiter = LogRateLimiter::new();
static FAILED_PROOF_LOG: LogRateLimiter = LogRateLimiter::new();
static ABANDONED_PROOF_LOG: LogRateLimiter = LogRateLimiter::new();

pub(super) enum HandshakeState {
    /// No `hello` was accepted yet.
    Initial,
    /// The client shows a pairing code.
    AwaitingApproval { hello: Hello, place: WaitingPlace },
    /// The client was sent a challenge.
    AwaitingProof { hello: Hello, challenge: ProofChallenge },
}

impl HandshakeState {
    pub(super) fn is_initial(&self) -> bool {
        matches!(self, HandshakeState::Initial)
    }

    pub(super) fn is_awaiting_proof(&self) -> bool {
        matches!(self, HandshakeState::AwaitingProof { .. })
    }

    /// Returns the error text for any message that the state does not allow.
    pub(super) fn expectation(&self) -> &'static str {
        match self {
            HandshakeState::Initial => "the first message must be hello",
            HandshakeState::AwaitingApproval { .. } => "a client that waits for pairing may send nothing but hello",
            HandshakeState::AwaitingProof { .. } => "the answer to challenge must be auth",
        }
    }
}

impl Connection {
    /// Handles the `hello` of a client that has not proved its identity.
    pub(super) fn authenticate(&mut self, hello: Hello, ctx: &mut Context<Self>) {
        match &self.handshake {
            HandshakeState::AwaitingProof { .. } => {
                return self.refuse_hello("the answer to challenge must be auth", ctx);
            }
            HandshakeState::AwaitingApproval { hello: before, .. } if before.client_id != hello.client_id => {
                return self
                    .refuse_hello("\"client_id\" differs from the one in the first hello of this connection", ctx);
            }
            HandshakeState::AwaitingApproval { place, .. } => {
                // None if the operator has already decided; the decision is about to arrive.
                let code = place.code();
                return self.send_pairing_code(code.as_ref(), ctx);
            }
            HandshakeState::Initial => {}
        }
        // A line end in the nonce could shift the fields of the proof's transcript.
        if hello.nonce.as_ref().is_some_and(|nonce| nonce.contains(char::is_control)) {
            return self.refuse_hello("\"nonce\" must not hold control characters", ctx);
        }
        let pairings = self.hub.pairing().clone();
        match pairings.begin_handshake(&hello.client_id, &self.peer, hello.nonce.as_deref(), ctx.address()) {
            Ok(None) => self.refuse_hello("\"nonce\" is required of a paired client", ctx),
            Ok(Some(HandshakeStep::Refuse)) => {
                if let Some(suppressed) = WRONG_ORIGIN_LOG.admit() {
                    tracing::warn!(client.id = %hello.client_id, origin = %self.peer.origin, suppressed, "rejected a paired client: its origin is not the one it was paired with");
                }
                self.close_unauthorized(ctx);
            }
            Ok(Some(HandshakeStep::TooManyWaiting)) => {
                self.close(1013, "max_unpaired", DisconnectReason::SocketClosed, ctx)
            }
            Ok(Some(HandshakeStep::AwaitApproval(place, code))) => {
                self.handshake = HandshakeState::AwaitingApproval { hello, place };
                self.send_pairing_code(Some(&code), ctx);
                self.schedule_code_renewal(ctx);
            }
            Ok(Some(HandshakeStep::Challenge(challenge))) => {
                self.send(frame(&Challenge { nonce: challenge.nonce(), proof: &challenge.proof }), ctx);
                self.handshake = HandshakeState::AwaitingProof { hello, challenge };
                let limit = Duration::from_millis(self.hub.settings().proof_timeout_ms);
                ctx.run_later(limit, |this, ctx| {
                    if this.handshake.is_awaiting_proof() {
                        this.close_unauthorized(ctx);
                    }
                });
            }
            Err(NoRandom) => self.close(1011, "internal error", DisconnectReason::SocketClosed, ctx),
        }
    }

    /// Checks the answer to the challenge; `None` if the answer cannot be read. There is no second attempt.
    pub(super) fn on_auth(&mut self, proof: Option<&str>, ctx: &mut Context<Self>) {
        let HandshakeState::AwaitingProof { hello, challenge } =
            std::mem::replace(&mut self.handshake, HandshakeState::Initial)
        else {
            return;
        };
        let pairings = self.hub.pairing().clone();
        if !proof.is_some_and(|proof| pairings.is_proved(&challenge, proof)) {
            if let Some(suppressed) = FAILED_PROOF_LOG.admit() {
                tracing::warn!(client.id = %hello.client_id, suppressed, "rejected a client: its proof is wrong");
            }
            return self.close_unauthorized(ctx);
        }
        let client_id = hello.client_id.clone();
        self.establish(hello, None, ctx);
        // A concurrent `forget` may have missed the client, which was not yet in the directory.
        if !pairings.is_paired(&client_id, &self.peer.origin) {
            self.close_unauthorized(ctx);
        }
    }

    fn send_pairing_code(&mut self, code: Option<&Secret>, ctx: &mut Context<Self>) {
        if let Some(code) = code {
            self.send(frame(&PairingRequired { code: code.expose() }), ctx);
        }
    }

    fn schedule_code_renewal(&mut self, ctx: &mut Context<Self>) {
        let good_for = Duration::from_millis(self.hub.settings().pairing_code_ms);
        ctx.run_later(good_for, |this, ctx| {
            let HandshakeState::AwaitingApproval { place, .. } = &this.handshake else { return };
            match place.renew() {
                Ok(code) => {
                    this.send_pairing_code(code.as_ref(), ctx);
                    this.schedule_code_renewal(ctx);
                }
                Err(NoRandom) => this.close(1011, "internal error", DisconnectReason::SocketClosed, ctx),
            }
        });
    }

    pub(super) fn refuse_hello(&mut self, message: &str, ctx: &mut Context<Self>) {
        let refused = FrameError {
            code: FrameErrorCode::InvalidMessage,
            message: message.to_owned(),
            in_reply_to: Some("hello".to_owned()),
            id: None,
        };
        self.send_error(&refused, ctx);
    }

    /// Logs a warning if the peer disconnected instead of answering the challenge. An extension does so if the daemon's proof
    /// is wrong, or is one that an earlier version of the extension does not know.
    pub(super) fn warn_if_proof_abandoned(&self) {
        let HandshakeState::AwaitingProof { hello, .. } = &self.handshake else { return };
        if let Some(suppressed) = ABANDONED_PROOF_LOG.admit() {
            tracing::warn!(
                client.id = %hello.client_id, address = %self.peer.address, suppressed,
                "a paired client disconnected instead of proving itself: it did not accept this daemon's proof. After an update of the \
                 daemon, write the extension with `baa-conductor extension` and load it again"
            );
        }
    }

    fn close_unauthorized(&mut self, ctx: &mut Context<Self>) {
        self.close(4003, "unauthorized", DisconnectReason::SocketClosed, ctx);
    }
}

/// The operator approved the waiting client. Returns whether the client was sent its key.
#[derive(Message)]
#[rtype(result = "bool")]
pub(in crate::bridge) struct PairingApproved {
    pub(in crate::bridge) client_secret: Secret,
}

impl Handler<PairingApproved> for Connection {
    type Result = bool;

    fn handle(&mut self, PairingApproved { client_secret }: PairingApproved, ctx: &mut Self::Context) -> bool {
        let HandshakeState::AwaitingApproval { hello, .. } =
            std::mem::replace(&mut self.handshake, HandshakeState::Initial)
        else {
            return false;
        };
        self.establish(hello, Some(&client_secret), ctx);
        self.closing.is_none()
    }
}

/// Closes the connection as unauthorized: the client was rejected or forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct CloseUnauthorized;

impl Handler<CloseUnauthorized> for Connection {
    type Result = ();

    fn handle(&mut self, _: CloseUnauthorized, ctx: &mut Self::Context) {
        self.close_unauthorized(ctx);
    }
}
