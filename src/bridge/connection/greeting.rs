//! The greeting of a connection: `hello`, its answer, and the pictures of the daemon that follow.

use super::{Connection, Greeted, messages::Replaced};
use crate::{
    bridge::{
        assignment::Gone,
        directory::{Crowded, Link},
        events::Connected,
        settings::Pairing,
        view::{BridgeView, Identity},
    },
    ids::{ConnectionId, RequestId},
    mode::SystemView,
    secret::Secret,
    wire::{ActionKind, Hello, HelloAck, PROTOCOL, SUPPORTS, StateSnapshot, frame},
};
use actix::prelude::*;
use serde::Serialize;
use tokio::time::Instant;

/// What a `state_snapshot` shows.
#[derive(Serialize)]
struct Snapshot<'a> {
    version: &'static str,
    server: &'a Identity,
    system: SystemView,
    browser: BridgeView,
}

impl Connection {
    pub(super) fn hello(&mut self, hello: Hello, ctx: &mut Context<Self>) {
        if hello.protocol.as_deref().is_some_and(|protocol| protocol != PROTOCOL) {
            return self.close(4005, "unsupported_protocol", Gone::Disconnected, ctx);
        }
        if let Some(greeted) = &self.greeted {
            if greeted.presence.client_id != hello.client_id {
                return self.refuse_hello("this connection has already said hello as another client", ctx);
            }
            self.hub.directory().greet_again(&hello.client_id, &greeted.presence.connection_id);
            return self.greet(None, ctx);
        }
        match self.hub.settings().pairing {
            Pairing::Required => self.knock(hello, ctx),
            Pairing::Off => self.enter(hello, None, ctx),
        }
    }

    /// Lets a client in whose name is its own. `secret`: its key, newly issued.
    pub(super) fn enter(&mut self, hello: Hello, secret: Option<&Secret>, ctx: &mut Context<Self>) {
        let link =
            Link { client_id: hello.client_id.clone(), connection_id: ConnectionId::generate(), to: ctx.address() };
        match self.hub.enter(link) {
            Err(Crowded) => self.close(1013, "max_clients", Gone::Disconnected, ctx),
            Ok((presence, replaced)) => {
                if let Some(old) = replaced {
                    old.to.do_send(Replaced); // bounded: once a connection
                }
                tracing::info!(client.id = %presence.client_id, connection.id = %presence.connection_id, "client connected");
                let connected_at = self.hub.clock().now_ms();
                let told = Connected::of(&hello, &presence.connection_id, connected_at);
                self.hub.events().publish("client_connected", told);
                self.greeted = Some(Greeted { presence, connected_at, hello });
                if let Some(waiting) = self.ungreeted.take() {
                    ctx.cancel_future(waiting); // from now on the directory knows it
                }
                self.meter.set_message_max(self.hub.settings().max_message_bytes as u64);
                self.watch_mode(ctx);
                self.greet(secret, ctx);
                if self.hub.is_stopping() {
                    self.close(1001, "service_stopped", Gone::Stopped, ctx);
                }
            }
        }
    }

    fn greet(&mut self, secret: Option<&Secret>, ctx: &mut Context<Self>) {
        let Some(greeted) = &self.greeted else { return };
        let identity = self.hub.identity();
        let ack = frame(&HelloAck {
            client_id: greeted.presence.client_id.as_str(),
            connection_id: greeted.presence.connection_id.as_str(),
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
        self.snapshots.sent(Instant::now());
        self.snapshot("hello", ctx);
        let id = RequestId::generate();
        let ask = frame(&ActionKind::RequestCredentials.command(id.as_str(), None, Some("hello")));
        self.send(ask, ctx);
    }

    /// Sends the client a picture of the daemon with itself as the only client.
    pub(super) fn snapshot(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        let Some(view) = self.view(false) else { return };
        let active = self.hub.directory().active().map(|link| link.client_id.clone());
        let identity = self.hub.identity();
        let text = frame(&StateSnapshot {
            reason,
            snapshot: Snapshot {
                version: crate::VERSION,
                server: identity,
                system: self.hub.system().state(),
                browser: BridgeView::new(vec![view], active.as_ref(), identity),
            },
        });
        self.send(text, ctx);
    }
}
