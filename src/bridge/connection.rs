//! The connection actor: one Firefox, its session, and the requests that it performs.
//!
//! ```text
//! initial --------hello--> established --+--> closing (code sent, grace period) --> ended
//!   |  |  '--- hello timeout -------------+        ^
//!   |  '------ awaiting approval ---------+        |
//!   '--------- awaiting proof ------------+        '-- socket closed, from any state: at once
//! ```
//!
//! `connection/handshake.rs` has the steps between a new socket and an established client.
//!
//! Invariant: a request is in `requests` from its dispatch to its last report, and reports are routed through this table
//! alone, so that a client never answers a request of another client.

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
    wire::{FrameError, Hello, frame},
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
mod reports;

pub(super) use actions::{ForgetAction, RecordAction, SendAction};
pub(super) use handshake::{CloseUnauthorized, PairingApproved};
pub use inbound::SocketEvent;
pub(super) use messages::{CancelRequest, DispatchRequest, GetClientView, ReleaseRequest, StopConnection};

/// Time that a peer gets to read the close frame before the TCP connection is aborted.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Commands of the connection to its socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SocketCommand {
    /// Sends a text frame, which the meter counts.
    Text(ByteString),
    /// Sends a ping.
    Ping,
    /// Closes the socket with this code and reason.
    Close(u16, &'static str),
}

/// The peer of a socket, as the upgrade request describes it.
#[derive(Clone, Debug)]
pub struct SocketPeer {
    /// `Origin` header; `none` for a peer that is not a browser.
    pub(super) origin: Arc<str>,
    /// Address that the peer connected to, from the `Host` header.
    pub(super) address: Arc<str>,
    /// Whether the peer belongs to the daemon's user, as the kernel reports it.
    pub(super) is_own_user: bool,
}

/// The connection actor; one per socket.
pub struct Connection {
    hub: BridgeHub,
    meter: Arc<SocketMeter>,
    socket: Recipient<SocketCommand>,
    peer: SocketPeer,
    /// Whether the owner of the client is known: from pairing, or from the kernel.
    has_verified_owner: bool,
    /// Progress of the handshake while no client is established.
    handshake: HandshakeState,
    /// Waits for the stop of the daemon while no client is established.
    stop_listener: Option<SpawnHandle>,
    established: Option<EstablishedClient>,
    session: ClientSession,
    requests: foldhash::HashMap<RequestId, PendingRequest>,
    actions: foldhash::HashMap<RequestId, actions::AwaitedAction>,
    snapshots: SnapshotPacing,
    last_frame_at: Instant,
    last_message_at: Instant,
    /// Start of the current second of client log lines, and their number.
    log_window: (Instant, u32),
    /// Changes of the mode that the client requested and that are in progress.
    mode_changes: usize,
    /// Why the connection is closing; none while it is open.
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
            handshake: HandshakeState::Initial,
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

    /// Sends a frame. Closes the client if more than `bridge.max_outbound_bytes` are waiting.
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
        tracing::debug!(client.id = self.client_name(), code = ?refused.code, reason = refused.message, "rejected a message");
        self.send(frame(refused), ctx);
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

    /// Closes the connection: its requests fail at once; the peer gets [`CLOSE_GRACE`] to read the close frame, then the TCP
    /// connection is aborted.
    fn close(&mut self, code: u16, reason: &'static str, disconnect_reason: DisconnectReason, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(disconnect_reason);
        self.handshake = HandshakeState::Initial; // frees its place among the waiting clients
        match disconnect_reason {
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
        self.fail_requests(disconnect_reason);
        self.unregister(disconnect_reason);
        self.socket.do_send(SocketCommand::Close(code, reason)); // bounded: once per connection
        ctx.run_later(CLOSE_GRACE, |this, ctx| {
            this.meter.abort();
            ctx.stop();
        });
    }

    fn fail_requests(&mut self, disconnect_reason: DisconnectReason) {
        for (_, pending) in self.requests.drain() {
            pending.assignment.disconnect(disconnect_reason);
        }
        self.fail_actions(disconnect_reason);
    }

    fn unregister(&mut self, disconnect_reason: DisconnectReason) {
        if let Some(established) = self.established.take() {
            established.registration.unregister(disconnect_reason);
        }
    }

    fn heartbeat(&mut self, ctx: &mut Context<Self>) {
        let interval = Duration::from_millis(self.hub.settings().heartbeat_ms);
        if self.last_frame_at.elapsed() >= interval * 3 {
            return self.close(4004, "heartbeat_timeout", DisconnectReason::SocketClosed, ctx);
        }
        self.socket.do_send(SocketCommand::Ping); // bounded: three unanswered pings end the connection
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
        // After a panic no timer is left that would close the socket. A socket that is closing already ignores this.
        self.socket.do_send(SocketCommand::Close(1011, "internal error")); // bounded: once per connection
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
            if this.established.is_none() && this.handshake.is_initial() {
                this.close(4002, "hello_timeout", DisconnectReason::SocketClosed, ctx);
            }
        });
        ctx.run_later(Duration::from_millis(settings.heartbeat_ms), Self::heartbeat);
    }
}
