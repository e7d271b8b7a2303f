//! The WebSocket actor: converts frames to messages and back. The only file that uses `actix_web_actors`.
//!
//! The actor is polled from the response body: while its peer does not read, its mailbox and timers do not run. So it has no
//! timers; the connection has the pings, deadlines and byte counts.

use super::{
    connection::{Connection, SocketCommand, SocketEvent, SocketPeer},
    frame_guard::{FrameGuard, MessageRate},
    hub::BridgeHub,
    meter::SocketMeter,
    pairing::NO_ORIGIN,
};
use crate::{tcp_abort::TcpAbortHandle, telemetry::metrics};
use actix::prelude::*;
use actix_http::{
    error::PayloadError,
    ws::{Codec, Item},
};
use actix_web::{HttpRequest, HttpResponse, http::header, web};
use actix_web_actors::ws;
use bytes::BytesMut;
use bytestring::ByteString;
use futures_util::{Stream, ready};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

struct Socket {
    hub: BridgeHub,
    meter: Arc<SocketMeter>,
    peer: SocketPeer,
    connection: Option<Addr<Connection>>,
    parts: Option<BytesMut>,
    is_closed: bool,
    _alive: metrics::AliveGuard,
}

type SocketContext = ws::WebsocketContext<Socket>;

impl Actor for Socket {
    type Context = SocketContext;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.connection = Some(self.hub.connect(Arc::clone(&self.meter), ctx.address().recipient(), self.peer.clone()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(connection) = &self.connection {
            connection.do_send(SocketEvent::Closed); // bounded: once per socket
        }
    }
}

impl Socket {
    /// Forwards a message to the connection. Bounded by the inbound window of the frame guard.
    fn forward(&mut self, message: SocketEvent, ctx: &mut SocketContext) {
        match &self.connection {
            Some(connection) if connection.connected() => connection.do_send(message),
            _ => self.end(1011, "internal error", ctx),
        }
    }

    /// Closes the socket because of a violation; later frames are ignored.
    fn fail(&mut self, code: u16, reason: &'static str, ctx: &mut SocketContext) {
        if !self.is_closed {
            self.forward(SocketEvent::Violation(code, reason), ctx);
            self.end(code, reason, ctx);
        }
    }

    fn end(&mut self, code: u16, reason: &str, ctx: &mut SocketContext) {
        if !std::mem::replace(&mut self.is_closed, true) {
            ctx.close(Some(ws::CloseReason { code: code.into(), description: Some(reason.into()) }));
        }
        ctx.stop();
    }

    fn on_protocol_error(&mut self, error: &ws::ProtocolError, ctx: &mut SocketContext) {
        match (self.meter.violation(), error) {
            (Some(1009), _) => self.fail(1009, "max_message_bytes: message too large", ctx),
            (Some(code), _) => self.fail(code, "protocol error", ctx),
            (None, ws::ProtocolError::Io(error)) if error.to_string().to_ascii_lowercase().contains("utf-8") => {
                self.fail(1007, "invalid utf-8", ctx);
            }
            // The TCP connection is broken; no close frame can be sent.
            (None, ws::ProtocolError::Io(_)) => ctx.stop(),
            (None, _) => self.fail(1002, "protocol error", ctx),
        }
    }

    fn on_fragment(&mut self, item: Item, ctx: &mut SocketContext) {
        // The frame guard has bounded the sum of all fragments before any of them was buffered.
        match item {
            Item::FirstText(bytes) => {
                self.meter.handled(bytes.len());
                self.parts = Some(BytesMut::from(&bytes[..]));
            }
            Item::FirstBinary(_) => self.fail(1003, "binary frame", ctx),
            Item::Continue(bytes) => {
                self.meter.handled(bytes.len());
                if let Some(parts) = &mut self.parts {
                    parts.extend_from_slice(&bytes);
                }
            }
            Item::Last(bytes) => {
                self.meter.handled(bytes.len());
                let Some(mut parts) = self.parts.take() else { return };
                parts.extend_from_slice(&bytes);
                match ByteString::try_from(parts) {
                    Ok(text) => self.forward(SocketEvent::Reassembled(text), ctx),
                    Err(_) => self.fail(1007, "invalid utf-8", ctx),
                }
            }
        }
    }
}

impl Handler<SocketCommand> for Socket {
    type Result = ();

    fn handle(&mut self, message: SocketCommand, ctx: &mut Self::Context) {
        match message {
            SocketCommand::Text(text) => {
                self.meter.unqueue(text.len());
                ctx.text(text);
            }
            SocketCommand::Ping => ctx.ping(b""),
            SocketCommand::Close(code, reason) => self.end(code, reason, ctx),
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Socket {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if self.is_closed {
            return;
        }
        match message {
            Ok(ws::Message::Text(text)) => self.forward(SocketEvent::Frame(text), ctx),
            Ok(ws::Message::Ping(payload)) => {
                ctx.pong(&payload);
                self.meter.handled(payload.len());
                self.forward(SocketEvent::Activity, ctx);
            }
            Ok(ws::Message::Pong(payload)) => {
                self.meter.handled(payload.len());
                self.forward(SocketEvent::Activity, ctx);
            }
            Ok(ws::Message::Continuation(item)) => {
                self.on_fragment(item, ctx);
                self.forward(SocketEvent::Activity, ctx);
            }
            Ok(ws::Message::Binary(_)) => self.fail(1003, "binary frame", ctx),
            Ok(ws::Message::Close(reason)) => {
                self.is_closed = true;
                ctx.close(reason);
                ctx.stop();
            }
            Ok(ws::Message::Nop) => {}
            // The codec repeats its error without end; the first one ends the actor.
            Err(error) => self.on_protocol_error(&error, ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The frames to the peer. After the last one the sending side of the TCP connection is shut down at once: the HTTP library
/// would first wait for more input, while the peer waits for the server to close.
struct OutboundFrames<S> {
    frames: Pin<Box<S>>,
    meter: Arc<SocketMeter>,
    ended: bool,
}

impl<S: Stream> Stream for OutboundFrames<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.ended {
            self.meter.shutdown_write();
            return Poll::Ready(None);
        }
        let next = ready!(self.frames.as_mut().poll_next(cx));
        if next.is_none() {
            // One more poll, so that the close frame is written first.
            self.ended = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(next)
    }
}

/// Accepts a WebSocket upgrade that passed the guards. `address`: the one that the peer connected to.
///
/// # Errors
///
/// The request is not a WebSocket upgrade.
pub fn upgrade(
    request: &HttpRequest,
    body: web::Payload,
    hub: BridgeHub,
    address: Arc<str>,
    abort_handle: Option<TcpAbortHandle>,
    is_own_user: bool,
) -> Result<HttpResponse, ws::HandshakeError> {
    let mut response = ws::handshake(request)?;
    let settings = Arc::clone(hub.settings());
    let meter = Arc::new(SocketMeter::new(
        settings.hello_max_message_bytes as u64,
        settings.inbound_window_bytes as u64,
        abort_handle,
    ));
    let rate = MessageRate { per_second: settings.max_messages_per_second, burst: settings.message_burst };
    let guarded = FrameGuard::new(body, Arc::clone(&meter), rate, || PayloadError::Overflow);
    let codec = Codec::new().max_size(settings.max_message_bytes);
    // The guards have checked that there is at most one `Origin`, and that it is text.
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or(NO_ORIGIN);
    let (meter_of_it, peer) = (Arc::clone(&meter), SocketPeer { origin: origin.into(), address, is_own_user });
    let _alive = hub.metrics().socket();
    let socket = Socket { hub, meter: meter_of_it, peer, connection: None, parts: None, is_closed: false, _alive };
    let frames = Box::pin(ws::WebsocketContext::with_codec(socket, guarded, codec));
    Ok(response.streaming(OutboundFrames { frames, meter, ended: false }))
}
