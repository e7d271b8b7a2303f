//! `hello`, its acknowledgement, and the snapshots of the daemon that follow.

use super::{Connection, EstablishedClient, messages::ConnectionReplaced};
use crate::{
    bridge::{
        assignment::DisconnectReason,
        directory::{ClientLink, TooManyClients},
        events::ClientConnected,
        settings::PairingMode,
        view::{BridgeView, DaemonIdentity},
    },
    ids::{ConnectionId, RequestId},
    mode::SystemView,
    secret::Secret,
    wire::{ActionKind, Hello, HelloAck, PROTOCOL, SUPPORTS, StateSnapshot, frame},
};
use actix::prelude::*;
use serde::Serialize;
use tokio::time::Instant;

#[derive(Serialize)]
struct SnapshotBody<'a> {
    version: &'static str,
    server: &'a DaemonIdentity,
    system: SystemView,
    browser: BridgeView,
}

impl Connection {
    pub(super) fn on_hello(&mut self, hello: Hello, ctx: &mut Context<Self>) {
        if hello.protocol.as_deref().is_some_and(|protocol| protocol != PROTOCOL) {
            return self.close(4005, "unsupported_protocol", DisconnectReason::SocketClosed, ctx);
        }
        if let Some(established) = &self.established {
            if established.registration.client_id != hello.client_id {
                return self
                    .refuse_hello("\"client_id\" differs from the one in the first hello of this connection", ctx);
            }
            self.hub.directory().repeat_hello(&hello.client_id, &established.registration.connection_id);
            return self.send_hello_ack(None, ctx);
        }
        match self.hub.settings().pairing {
            PairingMode::Required => self.authenticate(hello, ctx),
            PairingMode::Off => self.establish(hello, None, ctx),
        }
    }

    /// Establishes a client whose identity is proved or not required. `secret`: its key, if newly issued.
    pub(super) fn establish(&mut self, hello: Hello, secret: Option<&Secret>, ctx: &mut Context<Self>) {
        let link = ClientLink {
            client_id: hello.client_id.clone(),
            connection_id: ConnectionId::generate(),
            to: ctx.address(),
        };
        match self.hub.register(link) {
            Err(TooManyClients) => self.close(1013, "max_clients", DisconnectReason::SocketClosed, ctx),
            Ok((registration, replaced)) => {
                if let Some(old) = replaced {
                    old.to.do_send(ConnectionReplaced); // bounded: once per connection
                }
                tracing::info!(client.id = %registration.client_id, connection.id = %registration.connection_id, "client connected");
                let connected_at = self.hub.clock().now_ms();
                let event = ClientConnected::of(&hello, &registration.connection_id, connected_at);
                self.hub.events().publish("client_connected", event);
                self.established = Some(EstablishedClient { registration, connected_at, hello });
                if let Some(waiting) = self.stop_listener.take() {
                    ctx.cancel_future(waiting); // from now on the directory stops the connection
                }
                self.meter.set_message_max(self.hub.settings().max_message_bytes as u64);
                self.watch_mode(ctx);
                self.send_hello_ack(secret, ctx);
                if self.hub.is_stopping() {
                    self.close(1001, "service_stopped", DisconnectReason::Stopped, ctx);
                }
            }
        }
    }

    fn send_hello_ack(&mut self, secret: Option<&Secret>, ctx: &mut Context<Self>) {
        let Some(established) = &self.established else { return };
        let identity = self.hub.identity();
        let ack = frame(&HelloAck {
            client_id: established.registration.client_id.as_str(),
            connection_id: established.registration.connection_id.as_str(),
            protocol: PROTOCOL,
            version: crate::VERSION,
            ws_url: &identity.ws_url,
            local_api_base: &identity.local_api_base,
            heartbeat_ms: self.hub.settings().heartbeat_ms,
            supports: SUPPORTS,
            platforms: self.hub.platforms(),
            pairing: self.hub.settings().pairing.name(),
            client_secret: secret.map(Secret::expose),
        });
        self.send(ack, ctx);
        self.snapshots.record_sent(Instant::now());
        self.send_snapshot("hello", ctx);
        let id = RequestId::generate();
        let ask = frame(&ActionKind::RequestCredentials.command(id.as_str(), None, Some("hello")));
        self.send(ask, ctx);
    }

    /// Sends a snapshot of the daemon that shows this client alone.
    pub(super) fn send_snapshot(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        let Some(view) = self.view(false) else { return };
        let active = self.hub.directory().active().map(|link| link.client_id.clone());
        let identity = self.hub.identity();
        let text = frame(&StateSnapshot {
            reason,
            snapshot: SnapshotBody {
                version: crate::VERSION,
                server: identity,
                system: self.hub.system().state(),
                browser: BridgeView::new(vec![view], active.as_ref(), identity),
            },
        });
        self.send(text, ctx);
    }
}
