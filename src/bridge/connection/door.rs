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
        assignment::Gone,
        pairing::{Entrance, NoRandom, Place, Prover},
    },
    secret::Secret,
    telemetry::Sparing,
    wire::{Challenge, FrameError, FrameErrorCode, Hello, PairingRequired, frame},
};
use actix::prelude::*;
use std::time::Duration;

static OTHER_ORIGINS: Sparing = Sparing::new();
static UNPROVED: Sparing = Sparing::new();
static DISBELIEVED: Sparing = Sparing::new();

/// How far a client came that is not greeted.
pub(super) enum Door {
    /// Nothing counts yet.
    Silent,
    /// It shows a code.
    Waiting { hello: Hello, place: Place },
    /// It was challenged.
    Proving { hello: Hello, prover: Prover },
}

impl Door {
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Door::Silent)
    }

    pub(super) fn is_proving(&self) -> bool {
        matches!(self, Door::Proving { .. })
    }

    /// What it may send.
    pub(super) fn rule(&self) -> &'static str {
        match self {
            Door::Silent => "the first message must be hello",
            Door::Waiting { .. } => "a client that waits for pairing may send nothing but hello",
            Door::Proving { .. } => "the answer to challenge must be auth",
        }
    }
}

impl Connection {
    /// Somebody unproven says who it is.
    pub(super) fn knock(&mut self, hello: Hello, ctx: &mut Context<Self>) {
        match &self.door {
            Door::Proving { .. } => return self.refuse_hello("the answer to challenge must be auth", ctx),
            Door::Waiting { hello: before, .. } if before.client_id != hello.client_id => {
                return self.refuse_hello("this connection has already said hello as another client", ctx);
            }
            Door::Waiting { place, .. } => {
                // None when the operator has decided already; that is told in a moment.
                let code = place.code();
                return self.show(code.as_ref(), ctx);
            }
            Door::Silent => {}
        }
        // A line end in it could shift what is proved.
        if hello.nonce.as_ref().is_some_and(|nonce| nonce.contains(char::is_control)) {
            return self.refuse_hello("\"nonce\" must not hold control characters", ctx);
        }
        let pairings = self.hub.door().clone();
        match pairings.knock(&hello.client_id, &self.handshake, hello.nonce.as_deref(), ctx.address()) {
            Ok(None) => self.refuse_hello("\"nonce\" is required of a paired client", ctx),
            Ok(Some(Entrance::Refused)) => {
                if let Some(left_out) = OTHER_ORIGINS.one_more() {
                    tracing::warn!(client.id = %hello.client_id, origin = %self.handshake.origin, left_out, "the origin is not the one it was paired with");
                }
                self.turn_away(ctx);
            }
            Ok(Some(Entrance::Full)) => self.close(1013, "max_unpaired", Gone::Disconnected, ctx),
            Ok(Some(Entrance::Wait(place, code))) => {
                self.door = Door::Waiting { hello, place };
                self.show(Some(&code), ctx);
                self.renew_later(ctx);
            }
            Ok(Some(Entrance::Prove(prover))) => {
                self.send(frame(&Challenge { nonce: prover.nonce(), proof: &prover.proof }), ctx);
                self.door = Door::Proving { hello, prover };
                let limit = Duration::from_millis(self.hub.settings().proof_timeout_ms);
                ctx.run_later(limit, |this, ctx| {
                    if this.door.is_proving() {
                        this.turn_away(ctx);
                    }
                });
            }
            Err(NoRandom) => self.close(1011, "internal error", Gone::Disconnected, ctx),
        }
    }

    /// The one answer to a challenge; nothing for one that cannot be read.
    pub(super) fn proved(&mut self, proof: Option<&str>, ctx: &mut Context<Self>) {
        let Door::Proving { hello, prover } = std::mem::replace(&mut self.door, Door::Silent) else { return };
        let pairings = self.hub.door().clone();
        if !proof.is_some_and(|proof| pairings.is_proved(&prover, proof)) {
            if let Some(left_out) = UNPROVED.one_more() {
                tracing::warn!(client.id = %hello.client_id, left_out, "a client did not prove itself");
            }
            return self.turn_away(ctx);
        }
        let client_id = hello.client_id.clone();
        self.enter(hello, None, ctx);
        // Whoever forgets it looks for it in the directory, where it was not yet a moment ago.
        if !pairings.knows(&client_id, &self.handshake.origin) {
            self.turn_away(ctx);
        }
    }

    fn show(&mut self, code: Option<&Secret>, ctx: &mut Context<Self>) {
        if let Some(code) = code {
            self.send(frame(&PairingRequired { code: code.expose() }), ctx);
        }
    }

    fn renew_later(&mut self, ctx: &mut Context<Self>) {
        let good_for = Duration::from_millis(self.hub.settings().pairing_code_ms);
        ctx.run_later(good_for, |this, ctx| {
            let Door::Waiting { place, .. } = &this.door else { return };
            match place.renew() {
                Ok(code) => {
                    this.show(code.as_ref(), ctx);
                    this.renew_later(ctx);
                }
                Err(NoRandom) => this.close(1011, "internal error", Gone::Disconnected, ctx),
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
        self.refuse(&refused, ctx);
    }

    /// Notes that a peer is gone which was challenged and did not answer: an extension goes where the daemon's proof is not
    /// the one that it expects, as one of an earlier version does.
    pub(super) fn left_the_door(&self) {
        let Door::Proving { hello, .. } = &self.door else { return };
        if let Some(left_out) = DISBELIEVED.one_more() {
            tracing::warn!(
                client.id = %hello.client_id, address = %self.handshake.address, left_out,
                "a paired client went away instead of proving itself: it did not believe this daemon. After an update of the \
                 daemon, write its extension with `baa-conductor extension` and load it again"
            );
        }
    }

    fn turn_away(&mut self, ctx: &mut Context<Self>) {
        self.close(4003, "unauthorized", Gone::Disconnected, ctx);
    }
}

/// The operator approved the client that waits here; answers whether it got its key.
#[derive(Message)]
#[rtype(result = "bool")]
pub(in crate::bridge) struct Approved {
    pub(in crate::bridge) client_secret: Secret,
}

impl Handler<Approved> for Connection {
    type Result = bool;

    fn handle(&mut self, Approved { client_secret }: Approved, ctx: &mut Self::Context) -> bool {
        let Door::Waiting { hello, .. } = std::mem::replace(&mut self.door, Door::Silent) else { return false };
        self.enter(hello, Some(&client_secret), ctx);
        self.closing.is_none()
    }
}

/// The client is not wanted, or not any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct TurnAway;

impl Handler<TurnAway> for Connection {
    type Result = ();

    fn handle(&mut self, _: TurnAway, ctx: &mut Self::Context) {
        self.turn_away(ctx);
    }
}
