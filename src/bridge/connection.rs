//! The connection actor: one Firefox, its session, and the requests it performs.
//!
//! ```text
//! silent --hello--> greeted --+--> closing (code sent, grace for the peer) --> ended
//!   | | '- hello timeout ------+            ^
//!   | '-- waiting for pairing -+            |
//!   '---- proving itself ------+            '-- socket gone, from any state: at once
//! ```
//!
//! How a client comes from silent to greeted stands in `connection/door.rs`.
//!
//! Invariant: a request stands in `requests` from its dispatch to its last report, and only this table routes what the
//! extension says, so that one client never answers another's request.

use super::{
    assignment::{Assignment, Gone},
    coalesce::{Coalescer, Due, Next},
    hub::{Hub, Presence, SocketToken},
    meter::Meter,
    session::Session,
    view::ClientView,
};
use crate::{
    clock::WallMs,
    ids::{PlatformName, RequestId},
    telemetry::{Sparing, metrics},
    wire::{ErrorFrame, FrameError, Hello, frame},
};
use actix::prelude::*;
use bytestring::ByteString;
use door::Door;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

mod acting;
mod door;
mod greeting;
mod inbound;
mod messages;
mod mode;
mod telling;

pub(super) use acting::{Act, Forget, Remember};
pub(super) use door::{Approved, TurnAway};
pub use inbound::In;
pub(super) use messages::{Cancel, Dispatch, Release, Stop, View};

/// How long a peer gets to read why it is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// What the connection sends to its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Out {
    /// A text frame, counted in the meter.
    Text(ByteString),
    /// A ping.
    Ping,
    /// The end, with its code and reason.
    Close(u16, &'static str),
}

/// What the head of a socket's handshake says of its peer.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The `Origin`; `none` for a peer that is no browser.
    pub(super) origin: Arc<str>,
    /// The address that the peer dialled, from the `Host`.
    pub(super) address: Arc<str>,
    /// Whether the kernel says that the daemon's own user opened the socket.
    pub(super) is_own_user: bool,
}

/// The actor; one per socket.
pub struct Connection {
    hub: Hub,
    meter: Arc<Meter>,
    socket: Recipient<Out>,
    handshake: Handshake,
    /// Whether anything says whose the client is: pairing, or the kernel.
    is_vouched_for: bool,
    /// How far it came, for as long as nobody was greeted.
    door: Door,
    /// Waits for the daemon's stop for as long as nobody was greeted.
    ungreeted: Option<SpawnHandle>,
    greeted: Option<Greeted>,
    session: Session,
    requests: foldhash::HashMap<RequestId, Pending>,
    /// Actions that somebody waits for.
    actions: foldhash::HashMap<RequestId, acting::Awaited>,
    snapshots: Coalescer,
    heard_at: Instant,
    last_message: Instant,
    /// When the current second of log lines began, and how many it has.
    log_window: (Instant, u32),
    /// Changes of the mode that it asked for and that are under way.
    mode_changes: usize,
    /// Why it ends, once it does.
    closing: Option<Gone>,
    _socket_token: SocketToken,
    _alive: metrics::Alive,
}

struct Greeted {
    presence: Presence,
    connected_at: WallMs,
    hello: Hello,
}

struct Pending {
    assignment: Assignment,
    platform: PlatformName,
    cancelled: bool,
}

impl Connection {
    pub(super) fn new(
        hub: Hub,
        meter: Arc<Meter>,
        socket: Recipient<Out>,
        handshake: Handshake,
        is_vouched_for: bool,
        token: SocketToken,
    ) -> Self {
        let now = Instant::now();
        Connection {
            _alive: hub.metrics().connection(),
            snapshots: Coalescer::new(Duration::from_millis(hub.settings().snapshot_interval_ms)),
            last_message: now,
            hub,
            meter,
            socket,
            handshake,
            is_vouched_for,
            door: Door::Silent,
            ungreeted: None,
            greeted: None,
            session: Session::default(),
            requests: foldhash::HashMap::default(),
            actions: foldhash::HashMap::default(),
            heard_at: now,
            log_window: (now, 0),
            mode_changes: 0,
            closing: None,
            _socket_token: token,
        }
    }

    fn name(&self) -> &str {
        self.greeted.as_ref().map_or("-", |greeted| greeted.presence.client_id.as_str())
    }

    /// Sends a frame. Bounded by `bridge.max_outbound_bytes`: over it the client is closed.
    fn send(&mut self, text: ByteString, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        let waiting = self.meter.queue(text.len());
        if waiting > self.hub.settings().max_outbound_bytes as u64 {
            return self.close(1013, "max_outbound_bytes", Gone::SendFailed, ctx);
        }
        self.hub.metrics().sent(&text);
        self.socket.do_send(Out::Text(text));
    }

    fn refuse(&mut self, refused: &FrameError, ctx: &mut Context<Self>) {
        self.hub.metrics().rejected(refused.code.name());
        tracing::debug!(client.id = self.name(), code = ?refused.code, reason = refused.message, "refused a message");
        let text = frame(&ErrorFrame {
            code: refused.code,
            message: &refused.message,
            in_reply_to: refused.in_reply_to.as_deref(),
            id: refused.id.as_deref(),
        });
        self.send(text, ctx);
    }

    fn changed(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        match self.snapshots.changed(reason, Instant::now()) {
            Next::Send => self.snapshot(reason, ctx),
            Next::Waiting => {}
            Next::Wait(time) => {
                ctx.run_later(time, Self::snapshot_due);
            }
        }
    }

    fn snapshot_due(&mut self, ctx: &mut Context<Self>) {
        match self.snapshots.due(Instant::now()) {
            Due::Nothing => {}
            Due::Send(reason) => self.snapshot(reason, ctx),
            Due::Wait(time) => {
                ctx.run_later(time, Self::snapshot_due);
            }
        }
    }

    /// Ends the connection: its requests fail at once, the peer gets a moment to read why, then the line is cut.
    fn close(&mut self, code: u16, reason: &'static str, gone: Gone, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(gone);
        self.door = Door::Silent; // who is closed waits no more
        match gone {
            Gone::Stopped | Gone::Replaced => {
                tracing::info!(client.id = self.name(), close.code = code, reason, "closing a client");
            }
            _ => {
                static UNKNOWN: Sparing = Sparing::new();
                self.hub.metrics().rejected(reason);
                let left_out = if self.greeted.is_some() { Some(0) } else { UNKNOWN.one_more() };
                if let Some(left_out) = left_out {
                    tracing::warn!(client.id = self.name(), close.code = code, reason, left_out, "closing a client");
                }
            }
        }
        self.fail_requests(gone);
        self.leave(gone);
        self.socket.do_send(Out::Close(code, reason)); // bounded: once a connection
        ctx.run_later(CLOSE_GRACE, |this, ctx| {
            this.meter.cut();
            ctx.stop();
        });
    }

    fn fail_requests(&mut self, gone: Gone) {
        for (_, pending) in self.requests.drain() {
            pending.assignment.gone(gone);
        }
        self.fail_actions(gone);
    }

    /// Is known as connected no more.
    fn leave(&mut self, gone: Gone) {
        if let Some(greeted) = self.greeted.take() {
            greeted.presence.leave(gone);
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        let interval = Duration::from_millis(self.hub.settings().heartbeat_ms);
        if self.heard_at.elapsed() >= interval * 3 {
            return self.close(4004, "heartbeat_timeout", Gone::Disconnected, ctx);
        }
        self.socket.do_send(Out::Ping); // bounded: three unanswered ones end the connection
        ctx.run_later(interval, Self::beat);
    }

    fn view(&self, with_text: bool) -> Option<ClientView> {
        let Greeted { presence, connected_at, hello } = self.greeted.as_ref()?;
        Some(ClientView {
            client_id: presence.client_id.clone(),
            connection_id: presence.connection_id.clone(),
            connected_at: *connected_at,
            last_message_at: self.hub.clock().at(self.last_message),
            node_type: hello.node_type.clone(),
            node_category: hello.node_category.clone(),
            node_platform: hello.node_platform.clone(),
            extension_version: hello.extension_version.clone(),
            session: self.session.view(with_text),
            in_flight: self.requests.len(),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // One that died of a panic has no timers any more that would notice anything: its socket must not outlive it. A
        // socket that closes already does not mind.
        self.socket.do_send(Out::Close(1011, "internal error")); // bounded: once a connection
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let settings = Arc::clone(self.hub.settings());
        let stopping = self.hub.stopping().clone().cancelled_owned().into_actor(self);
        let stop = |(), this: &mut Self, ctx: &mut _| this.close(1001, "service_stopped", Gone::Stopped, ctx);
        self.ungreeted = Some(ctx.spawn(stopping.map(stop)));
        ctx.run_later(Duration::from_millis(settings.hello_timeout_ms), |this, ctx| {
            if this.greeted.is_none() && this.door.is_silent() {
                this.close(4002, "hello_timeout", Gone::Disconnected, ctx);
            }
        });
        ctx.run_later(Duration::from_millis(settings.heartbeat_ms), Self::beat);
    }
}
