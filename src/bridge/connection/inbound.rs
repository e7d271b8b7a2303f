//! Handles the frames of the extension, one at a time, and follows the mode, which a client may change.

use super::Connection;
use crate::{
    bridge::assignment::{AssignmentEvent, DisconnectReason},
    failpoints,
    mode::{Mode, SystemView},
    wire::{ActionRequest, ActionResponse, FrameError, FrameErrorCode, InboundFrame, RequestReport, frame},
};
use actix::prelude::*;
use bytestring::ByteString;
use futures_util::stream;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of one log line of the extension.
const LOG_LINE_BYTES_MAX: usize = 2 << 10;
/// Log lines of the extension per second.
const LOG_LINES_PER_SECOND: u32 = 20;
/// Changes in progress per client; further ones are refused. Each change waits for the disk.
const CHANGES_MAX: usize = 8;

/// Events of the socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SocketEvent {
    /// A text frame, counted by the inbound window.
    Frame(ByteString),
    /// A text reassembled from fragments, which were counted one by one.
    Reassembled(ByteString),
    /// Another frame, which shows that the peer is alive.
    Activity,
    /// The peer violated the protocol or a limit; the socket closes with this code and reason.
    Violation(u16, &'static str),
    /// The socket closed.
    Closed,
}

impl Handler<SocketEvent> for Connection {
    type Result = ();

    fn handle(&mut self, message: SocketEvent, ctx: &mut Self::Context) {
        match message {
            SocketEvent::Frame(text) => {
                self.on_text(&text, ctx);
                self.meter.handled(text.len());
            }
            SocketEvent::Reassembled(text) => self.on_text(&text, ctx),
            SocketEvent::Activity => self.last_frame_at = Instant::now(),
            SocketEvent::Violation(code, reason) => self.close(code, reason, DisconnectReason::SocketClosed, ctx),
            SocketEvent::Closed => {
                if let Some(established) = &self.established {
                    tracing::info!(client.id = %established.registration.client_id, "client disconnected");
                }
                self.warn_if_proof_abandoned();
                self.fail_requests(DisconnectReason::SocketClosed);
                self.unregister(DisconnectReason::SocketClosed);
                ctx.stop();
            }
        }
    }
}

impl Connection {
    fn on_text(&mut self, text: &ByteString, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        failpoints::point("connection");
        self.last_frame_at = Instant::now();
        self.last_message_at = self.last_frame_at;
        let parsed = InboundFrame::parse(text);
        self.hub.metrics().received(match &parsed {
            Ok(inbound) => Some(inbound.kind()),
            Err(refused) => refused.in_reply_to.as_deref(),
        });
        match (parsed, self.established.is_some()) {
            (Ok(InboundFrame::Hello(hello)), _) => self.on_hello(hello, ctx),
            (Ok(inbound), true) => self.on_message(inbound, ctx),
            (Err(refused), true) => {
                self.on_unreadable_reply(&refused);
                self.send_error(&refused, ctx);
            }
            (Ok(InboundFrame::Auth { proof }), false) if self.handshake.is_awaiting_proof() => {
                self.on_auth(Some(&proof), ctx)
            }
            (Err(refused), false) if refused.in_reply_to.as_deref() == Some("hello") => self.send_error(&refused, ctx),
            (Err(refused), false)
                if refused.in_reply_to.as_deref() == Some("auth") && self.handshake.is_awaiting_proof() =>
            {
                self.on_auth(None, ctx);
            }
            (_, false) => {
                let message = self.handshake.expectation().to_owned();
                let refused = FrameError { code: FrameErrorCode::HelloRequired, message, in_reply_to: None, id: None };
                self.send_error(&refused, ctx);
            }
        }
    }

    /// Fails the request or action whose answer cannot be read.
    fn on_unreadable_reply(&mut self, refused: &FrameError) {
        if let Some(id) = refused.ends_action() {
            return self.fail_unreadable_action(id, &refused.message);
        }
        let Some(id) = refused.ends_request() else { return };
        let (why, is_last) = (refused.message.clone(), refused.is_last());
        if is_last {
            if let Some(pending) = self.requests.remove(id) {
                pending.assignment.report(AssignmentEvent::Unreadable { why, is_last });
                pending.assignment.complete();
            }
        } else if let Some(pending) = self.requests.get(id) {
            // The entry stays: giving up the request also tells the extension to stop.
            pending.assignment.report(AssignmentEvent::Unreadable { why, is_last });
        }
    }

    fn on_message(&mut self, inbound: InboundFrame<'_>, ctx: &mut Context<Self>) {
        if let InboundFrame::Request { id, report } = inbound {
            return self.on_request_report(&id, report);
        }
        let now = self.hub.clock().now_ms();
        match inbound {
            InboundFrame::Request { .. } => {}
            InboundFrame::Hello(hello) => self.on_hello(hello, ctx),
            InboundFrame::StateRequest => self.schedule_snapshot("state_request", ctx),
            InboundFrame::Credentials(reported) => self.on_credentials(reported, now, ctx),
            InboundFrame::ApiEndpoints(reported) => self.on_api_endpoints(reported, now, ctx),
            InboundFrame::ActionResult(result) => self.on_action_result(*result, ctx),
            InboundFrame::FinalMessage(reported) => self.on_final_message(reported, now, ctx),
            InboundFrame::PlatformStatus(reported) => self.session.record_drift(reported),
            InboundFrame::ActionRequest(request) => self.change_mode(request, ctx),
            InboundFrame::ClientLog { level, message } => self.log_client_message(level.as_deref(), &message),
            InboundFrame::Auth { .. } => {
                let message = "there is no challenge to answer".to_owned();
                let in_reply_to = Some("auth".to_owned());
                let refused = FrameError { code: FrameErrorCode::InvalidMessage, message, in_reply_to, id: None };
                self.send_error(&refused, ctx);
            }
        }
    }

    fn on_request_report(&mut self, id: &str, report: RequestReport) {
        if !report.is_last() {
            match self.requests.get(id) {
                Some(pending) => pending.assignment.report(AssignmentEvent::Report(report, self.last_frame_at)),
                None => self.hub.count_foreign_report(),
            }
            return;
        }
        match self.requests.remove(id) {
            Some(pending) => {
                pending.assignment.report(AssignmentEvent::Report(report, self.last_frame_at));
                pending.assignment.complete();
            }
            None => self.hub.count_foreign_report(),
        }
    }

    fn log_client_message(&mut self, level: Option<&str>, message: &str) {
        let (began, lines) = &mut self.log_window;
        if began.elapsed() >= Duration::from_secs(1) {
            (*began, *lines) = (Instant::now(), 0);
        }
        *lines += 1;
        if *lines > LOG_LINES_PER_SECOND {
            return;
        }
        let cut = message.floor_char_boundary(LOG_LINE_BYTES_MAX);
        // As fields, which are escaped: a line end must not start a new line of the log.
        tracing::debug!(
            client.id = self.client_name(),
            client.level = level,
            client.message = &message[..cut],
            "log line of a client"
        );
    }
}

impl Connection {
    /// Schedules a snapshot after every change of the mode, until the connection ends.
    pub(super) fn watch_mode(&mut self, ctx: &mut Context<Self>) {
        let changes = stream::unfold(self.hub.system().watch(), async |mut mode| {
            mode.changed().await.ok()?;
            Some(((), mode))
        });
        ctx.spawn(changes.into_actor(self).map(|(), this, ctx| this.schedule_snapshot("system", ctx)).finish());
    }

    /// Handles `action_request`: changes the mode, then answers.
    fn change_mode(&mut self, request: ActionRequest, ctx: &mut Context<Self>) {
        let mode =
            Mode::for_action(&request.action).filter(|_| self.mode_changes < CHANGES_MAX && self.has_verified_owner);
        let Some(mode) = mode else {
            let system = self.hub.system().state();
            return self.answer_change(&request, false, system, ctx);
        };
        self.mode_changes += 1;
        let change = self.hub.system().change(mode, Some(format!("requested by client {}", self.client_name())));
        let answer = change.into_actor(self).map(move |changed, this, ctx| {
            this.mode_changes -= 1;
            let ok = changed.is_ok();
            let system = changed.unwrap_or_else(|_| this.hub.system().state());
            this.answer_change(&request, ok, system, ctx);
        });
        ctx.spawn(answer);
    }

    fn answer_change(&mut self, request: &ActionRequest, ok: bool, system: SystemView, ctx: &mut Context<Self>) {
        let request_id = request.request_id.as_deref();
        self.send(frame(&ActionResponse { action: &request.action, request_id, ok, system }), ctx);
    }
}
