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
    assignment::{Assignment, DisconnectReason},
    hub::{BridgeHub, ClientRegistration, SocketToken},
    meter::SocketMeter,
    session::ClientSession,
    snapshot_pacing::{ChangeDecision, SnapshotPacing, TimerDecision},
    view::ClientView,
};
use crate::{
    clock::WallMs,
    ids::{PlatformName, RequestId},
    telemetry::{LogRateLimiter, metrics},
    wire::{ErrorFrame, FrameError, Hello, frame},
};
use actix::prelude::*;
use bytestring::ByteString;
use handshake::HandshakeState;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

mod actions;
mod handshake;
mod hello;
mod inbound;
mod messages;
mod mode;
mod reports;

pub(super) use actions::{ForgetAction, RecordAction, SendAction};
pub(super) use handshake::{CloseUnauthorized, PairingApproved};
pub use inbound::SocketEvent;
pub(super) use messages::{CancelRequest, DispatchRequest, GetClientView, ReleaseRequest, StopConnection};

/// How long a peer gets to read why it is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// What the connection sends to its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SocketCommand {
    /// A text frame, counted in the meter.
    Text(ByteString),
    /// A ping.
    Ping,
    /// The end, with its code and reason.
    Close(u16, &'static str),
}

/// What the head of a socket's handshake says of its peer.
#[derive(Clone, Debug)]
pub struct SocketPeer {
    /// The `Origin`; `none` for a peer that is no browser.
    pub(super) origin: Arc<str>,
    /// The address that the peer dialled, from the `Host`.
    pub(super) address: Arc<str>,
    /// Whether the kernel says that the daemon's own user opened the socket.
    pub(super) is_own_user: bool,
}

/// The actor; one per socket.
pub struct Connection {
    hub: BridgeHub,
    meter: Arc<SocketMeter>,
    socket: Recipient<SocketCommand>,
    peer: SocketPeer,
    /// Whether anything says whose the client is: pairing, or the kernel.
    has_verified_owner: bool,
    /// How far it came, for as long as nobody was greeted.
    handshake: HandshakeState,
    /// Waits for the daemon's stop for as long as nobody was greeted.
    stop_listener: Option<SpawnHandle>,
    established: Option<EstablishedClient>,
    session: ClientSession,
    requests: foldhash::HashMap<RequestId, PendingRequest>,
    /// Actions that somebody waits for.
    actions: foldhash::HashMap<RequestId, actions::AwaitedAction>,
    snapshots: SnapshotPacing,
    last_frame_at: Instant,
    last_message_at: Instant,
    /// When the current second of log lines began, and how many it has.
    log_window: (Instant, u32),
    /// Changes of the mode that it asked for and that are under way.
    mode_changes: usize,
    /// Why it ends, once it does.
    closing: Option<DisconnectReason>,
    _socket_token: SocketToken,
    _alive: metrics::AliveGuard,
}

struct EstablishedClient {
    registration: ClientRegistration,
    connected_at: WallMs,
    hello: Hello,
}

struct PendingRequest {
    assignment: Assignment,
    platform: PlatformName,
    cancelled: bool,
}

impl Connection {
    pub(super) fn new(
        hub: BridgeHub,
        meter: Arc<SocketMeter>,
        socket: Recipient<SocketCommand>,
        peer: SocketPeer,
        has_verified_owner: bool,
        token: SocketToken,
    ) -> Self {
        let now = Instant::now();
        Connection {
            _alive: hub.metrics().connection(),
            snapshots: SnapshotPacing::new(Duration::from_millis(hub.settings().snapshot_interval_ms)),
            last_message_at: now,
            hub,
            meter,
            socket,
            peer,
            has_verified_owner,
            handshake: HandshakeState::AwaitingHello,
            stop_listener: None,
            established: None,
            session: ClientSession::default(),
            requests: foldhash::HashMap::default(),
            actions: foldhash::HashMap::default(),
            last_frame_at: now,
            log_window: (now, 0),
            mode_changes: 0,
            closing: None,
            _socket_token: token,
        }
    }

    fn client_name(&self) -> &str {
        self.established.as_ref().map_or("-", |established| established.registration.client_id.as_str())
    }

    /// Sends a frame. Bounded by `bridge.max_outbound_bytes`: over it the client is closed.
    fn send(&mut self, text: ByteString, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        let waiting = self.meter.queue(text.len());
        if waiting > self.hub.settings().max_outbound_bytes as u64 {
            return self.close(1013, "max_outbound_bytes", DisconnectReason::SendFailed, ctx);
        }
        self.hub.metrics().sent(&text);
        self.socket.do_send(SocketCommand::Text(text));
    }

    fn send_error(&mut self, refused: &FrameError, ctx: &mut Context<Self>) {
        self.hub.metrics().rejected(refused.code.name());
        tracing::debug!(client.id = self.client_name(), code = ?refused.code, reason = refused.message, "refused a message");
        let text = frame(&ErrorFrame {
            code: refused.code,
            message: &refused.message,
            in_reply_to: refused.in_reply_to.as_deref(),
            id: refused.id.as_deref(),
        });
        self.send(text, ctx);
    }

    fn schedule_snapshot(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        match self.snapshots.on_change(reason, Instant::now()) {
            ChangeDecision::SendNow => self.send_snapshot(reason, ctx),
            ChangeDecision::AlreadyScheduled => {}
            ChangeDecision::StartTimer(time) => {
                ctx.run_later(time, Self::on_snapshot_timer);
            }
        }
    }

    fn on_snapshot_timer(&mut self, ctx: &mut Context<Self>) {
        match self.snapshots.on_timer(Instant::now()) {
            TimerDecision::Nothing => {}
            TimerDecision::Send(reason) => self.send_snapshot(reason, ctx),
            TimerDecision::RestartTimer(time) => {
                ctx.run_later(time, Self::on_snapshot_timer);
            }
        }
    }

    /// Ends the connection: its requests fail at once, the peer gets a moment to read why, then the line is cut.
    fn close(&mut self, code: u16, reason: &'static str, gone: DisconnectReason, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(gone);
        self.handshake = HandshakeState::AwaitingHello; // who is closed waits no more
        match gone {
            DisconnectReason::Stopped | DisconnectReason::Replaced => {
                tracing::info!(client.id = self.client_name(), close.code = code, reason, "closing a client");
            }
            _ => {
                static UNKNOWN_CLIENT_LOG: LogRateLimiter = LogRateLimiter::new();
                self.hub.metrics().rejected(reason);
                let suppressed = if self.established.is_some() { Some(0) } else { UNKNOWN_CLIENT_LOG.admit() };
                if let Some(suppressed) = suppressed {
                    tracing::warn!(
                        client.id = self.client_name(),
                        close.code = code,
                        reason,
                        suppressed,
                        "closing a client"
                    );
                }
            }
        }
        self.fail_requests(gone);
        self.unregister(gone);
        self.socket.do_send(SocketCommand::Close(code, reason)); // bounded: once a connection
        ctx.run_later(CLOSE_GRACE, |this, ctx| {
            this.meter.abort();
            ctx.stop();
        });
    }

    fn fail_requests(&mut self, gone: DisconnectReason) {
        for (_, pending) in self.requests.drain() {
            pending.assignment.disconnect(gone);
        }
        self.fail_actions(gone);
    }

    /// Is known as connected no more.
    fn unregister(&mut self, gone: DisconnectReason) {
        if let Some(established) = self.established.take() {
            established.registration.unregister(gone);
        }
    }

    fn heartbeat(&mut self, ctx: &mut Context<Self>) {
        let interval = Duration::from_millis(self.hub.settings().heartbeat_ms);
        if self.last_frame_at.elapsed() >= interval * 3 {
            return self.close(4004, "heartbeat_timeout", DisconnectReason::SocketClosed, ctx);
        }
        self.socket.do_send(SocketCommand::Ping); // bounded: three unanswered ones end the connection
        ctx.run_later(interval, Self::heartbeat);
    }

    fn view(&self, with_text: bool) -> Option<ClientView> {
        let EstablishedClient { registration, connected_at, hello } = self.established.as_ref()?;
        Some(ClientView {
            client_id: registration.client_id.clone(),
            connection_id: registration.connection_id.clone(),
            connected_at: *connected_at,
            last_message_at: self.hub.clock().at(self.last_message_at),
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
        self.socket.do_send(SocketCommand::Close(1011, "internal error")); // bounded: once a connection
    }
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let settings = Arc::clone(self.hub.settings());
        let stopping = self.hub.stopping().clone().cancelled_owned().into_actor(self);
        let stop =
            |(), this: &mut Self, ctx: &mut _| this.close(1001, "service_stopped", DisconnectReason::Stopped, ctx);
        self.stop_listener = Some(ctx.spawn(stopping.map(stop)));
        ctx.run_later(Duration::from_millis(settings.hello_timeout_ms), |this, ctx| {
            if this.established.is_none() && this.handshake.is_awaiting_hello() {
                this.close(4002, "hello_timeout", DisconnectReason::SocketClosed, ctx);
            }
        });
        ctx.run_later(Duration::from_millis(settings.heartbeat_ms), Self::heartbeat);
    }
}
