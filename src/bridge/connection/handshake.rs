//! The way from a new socket to a greeted client where pairing is required.
//!
//! ```text
//! silent ─hello─► waiting ─approved─► greeted
//!    │              │ └─ too many wrong codes, rejected ─► closed 4003
//!    │              └─ code too old: another code
//!    └──hello─► proving ─auth─► greeted
//!                  └─ wrong, or none in time ─► closed 4003
//! ```
//!
//! Until it is greeted a client is in no directory: it holds no work, sees nothing, and disturbs nobody of its name.

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

/// How far a client came that is not greeted.
pub(super) enum HandshakeState {
    /// Nothing counts yet.
    AwaitingHello,
    /// It shows a code.
    AwaitingApproval { hello: Hello, place: WaitingPlace },
    /// It was challenged.
    AwaitingProof { hello: Hello, challenge: ProofChallenge },
}

impl HandshakeState {
    pub(super) fn is_awaiting_hello(&self) -> bool {
        matches!(self, HandshakeState::AwaitingHello)
    }

    pub(super) fn is_awaiting_proof(&self) -> bool {
        matches!(self, HandshakeState::AwaitingProof { .. })
    }

    /// What it may send.
    pub(super) fn expectation(&self) -> &'static str {
        match self {
            HandshakeState::AwaitingHello => "the first message must be hello",
            HandshakeState::AwaitingApproval { .. } => "a client that waits for pairing may send nothing but hello",
            HandshakeState::AwaitingProof { .. } => "the answer to challenge must be auth",
        }
    }
}

impl Connection {
    /// Somebody unproven says who it is.
    pub(super) fn authenticate(&mut self, hello: Hello, ctx: &mut Context<Self>) {
        match &self.handshake {
            HandshakeState::AwaitingProof { .. } => {
                return self.refuse_hello("the answer to challenge must be auth", ctx);
            }
            HandshakeState::AwaitingApproval { hello: before, .. } if before.client_id != hello.client_id => {
                return self.refuse_hello("this connection has already said hello as another client", ctx);
            }
            HandshakeState::AwaitingApproval { place, .. } => {
                // None when the operator has decided already; that is told in a moment.
                let code = place.code();
                return self.send_pairing_code(code.as_ref(), ctx);
            }
            HandshakeState::AwaitingHello => {}
        }
        // A line end in it could shift what is proved.
        if hello.nonce.as_ref().is_some_and(|nonce| nonce.contains(char::is_control)) {
            return self.refuse_hello("\"nonce\" must not hold control characters", ctx);
        }
        let pairings = self.hub.pairing().clone();
        match pairings.begin_handshake(&hello.client_id, &self.peer, hello.nonce.as_deref(), ctx.address()) {
            Ok(None) => self.refuse_hello("\"nonce\" is required of a paired client", ctx),
            Ok(Some(HandshakeStep::Refuse)) => {
                if let Some(suppressed) = WRONG_ORIGIN_LOG.admit() {
                    tracing::warn!(client.id = %hello.client_id, origin = %self.peer.origin, suppressed, "the origin is not the one it was paired with");
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

    /// The one answer to a challenge; nothing for one that cannot be read.
    pub(super) fn on_auth(&mut self, proof: Option<&str>, ctx: &mut Context<Self>) {
        let HandshakeState::AwaitingProof { hello, challenge } =
            std::mem::replace(&mut self.handshake, HandshakeState::AwaitingHello)
        else {
            return;
        };
        let pairings = self.hub.pairing().clone();
        if !proof.is_some_and(|proof| pairings.is_proved(&challenge, proof)) {
            if let Some(suppressed) = FAILED_PROOF_LOG.admit() {
                tracing::warn!(client.id = %hello.client_id, suppressed, "a client did not prove itself");
            }
            return self.close_unauthorized(ctx);
        }
        let client_id = hello.client_id.clone();
        self.establish(hello, None, ctx);
        // Whoever forgets it looks for it in the directory, where it was not yet a moment ago.
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

    /// Notes that a peer is gone which was challenged and did not answer: an extension goes where the daemon's proof is not
    /// the one that it expects, as one of an earlier version does.
    pub(super) fn warn_if_proof_abandoned(&self) {
        let HandshakeState::AwaitingProof { hello, .. } = &self.handshake else { return };
        if let Some(suppressed) = ABANDONED_PROOF_LOG.admit() {
            tracing::warn!(
                client.id = %hello.client_id, address = %self.peer.address, suppressed,
                "a paired client went away instead of proving itself: it did not believe this daemon. After an update of the \
                 daemon, write its extension with `baa-conductor extension` and load it again"
            );
        }
    }

    fn close_unauthorized(&mut self, ctx: &mut Context<Self>) {
        self.close(4003, "unauthorized", DisconnectReason::SocketClosed, ctx);
    }
}

/// The operator approved the client that waits here; answers whether it got its key.
#[derive(Message)]
#[rtype(result = "bool")]
pub(in crate::bridge) struct PairingApproved {
    pub(in crate::bridge) client_secret: Secret,
}

impl Handler<PairingApproved> for Connection {
    type Result = bool;

    fn handle(&mut self, PairingApproved { client_secret }: PairingApproved, ctx: &mut Self::Context) -> bool {
        let HandshakeState::AwaitingApproval { hello, .. } =
            std::mem::replace(&mut self.handshake, HandshakeState::AwaitingHello)
        else {
            return false;
        };
        self.establish(hello, Some(&client_secret), ctx);
        self.closing.is_none()
    }
}

/// The client is not wanted, or not any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct CloseUnauthorized;

impl Handler<CloseUnauthorized> for Connection {
    type Result = ();

    fn handle(&mut self, _: CloseUnauthorized, ctx: &mut Self::Context) {
        self.close_unauthorized(ctx);
    }
}
