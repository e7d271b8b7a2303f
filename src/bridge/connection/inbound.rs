//! What the extension says, one frame at a time.

use super::Connection;
use crate::{
    bridge::assignment::{Gone, Report},
    faults,
    wire::{FrameError, FrameErrorCode, InboundFrame, RequestReport},
};
use actix::prelude::*;
use bytestring::ByteString;
use std::time::Duration;
use tokio::time::Instant;

/// Most bytes of a line that the extension writes into our log.
const LOG_LINE_BYTES_MAX: usize = 2 << 10;
/// Most such lines a second.
const LOG_LINES_PER_SECOND: u32 = 20;

/// What the socket tells its connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum In {
    /// A text frame that the inbound window counts.
    Frame(ByteString),
    /// A text put together from fragments that were counted one by one.
    Whole(ByteString),
    /// Some other frame: the peer is there.
    Alive,
    /// The socket broke a rule and closes with this code.
    Broken(u16, &'static str),
    /// The socket is gone.
    Closed,
}

impl Handler<In> for Connection {
    type Result = ();

    fn handle(&mut self, message: In, ctx: &mut Self::Context) {
        match message {
            In::Frame(text) => {
                self.hear(&text, ctx);
                self.meter.handled(text.len());
            }
            In::Whole(text) => self.hear(&text, ctx),
            In::Alive => self.heard_at = Instant::now(),
            In::Broken(code, reason) => self.close(code, reason, Gone::Disconnected, ctx),
            In::Closed => {
                if let Some(greeted) = &self.greeted {
                    tracing::info!(client.id = %greeted.presence.client_id, "client disconnected");
                }
                self.left_the_door();
                self.fail_requests(Gone::Disconnected);
                self.leave(Gone::Disconnected);
                ctx.stop();
            }
        }
    }
}

impl Connection {
    fn hear(&mut self, text: &ByteString, ctx: &mut Context<Self>) {
        if self.closing.is_some() {
            return;
        }
        faults::point("connection");
        self.heard_at = Instant::now();
        self.last_message = self.heard_at;
        let heard = InboundFrame::parse(text);
        self.hub.metrics().received(match &heard {
            Ok(inbound) => Some(inbound.kind()),
            Err(refused) => refused.in_reply_to.as_deref(),
        });
        match (heard, self.greeted.is_some()) {
            (Ok(InboundFrame::Hello(hello)), _) => self.hello(hello, ctx),
            (Ok(inbound), true) => self.take(inbound, ctx),
            (Err(refused), true) => {
                self.garbled(&refused);
                self.refuse(&refused, ctx);
            }
            (Ok(InboundFrame::Auth { proof }), false) if self.door.is_proving() => self.proved(Some(&proof), ctx),
            (Err(refused), false) if refused.in_reply_to.as_deref() == Some("hello") => self.refuse(&refused, ctx),
            (Err(refused), false) if refused.in_reply_to.as_deref() == Some("auth") && self.door.is_proving() => {
                self.proved(None, ctx);
            }
            (_, false) => {
                let message = self.door.rule().to_owned();
                let refused = FrameError { code: FrameErrorCode::HelloRequired, message, in_reply_to: None, id: None };
                self.refuse(&refused, ctx);
            }
        }
    }

    /// A request whose answer cannot be understood can expect no better one.
    fn garbled(&mut self, refused: &FrameError) {
        if let Some(id) = refused.ends_action() {
            return self.garbled_action(id, &refused.message);
        }
        let Some(id) = refused.ends_request() else { return };
        let (why, last) = (refused.message.clone(), refused.is_last());
        if last {
            if let Some(pending) = self.requests.remove(id) {
                pending.assignment.report(Report::Garbled { why, last });
                pending.assignment.over();
            }
        } else if let Some(pending) = self.requests.get(id) {
            // The entry stays: whoever gives the request up also tells the extension to stop.
            pending.assignment.report(Report::Garbled { why, last });
        }
    }

    fn take(&mut self, inbound: InboundFrame<'_>, ctx: &mut Context<Self>) {
        if let InboundFrame::Request { id, report } = inbound {
            return self.report(&id, report);
        }
        let now = self.hub.clock().now_ms();
        match inbound {
            InboundFrame::Request { .. } => {}
            InboundFrame::Hello(hello) => self.hello(hello, ctx),
            InboundFrame::StateRequest => self.changed("state_request", ctx),
            InboundFrame::Credentials(told) => self.saw_login(told, now, ctx),
            InboundFrame::ApiEndpoints(told) => self.saw_endpoints(told, now, ctx),
            InboundFrame::ActionResult(result) => self.acted(*result, ctx),
            InboundFrame::FinalMessage(told) => self.saw_message(told, now, ctx),
            InboundFrame::PlatformStatus(told) => self.session.platform_status(told),
            InboundFrame::ActionRequest(asked) => self.change_mode(asked, ctx),
            InboundFrame::ClientLog { level, message } => self.log(level.as_deref(), &message),
            InboundFrame::Auth { .. } => {
                let message = "no proof was asked for".to_owned();
                let in_reply_to = Some("auth".to_owned());
                let refused = FrameError { code: FrameErrorCode::InvalidMessage, message, in_reply_to, id: None };
                self.refuse(&refused, ctx);
            }
        }
    }

    fn report(&mut self, id: &str, report: RequestReport) {
        if !report.is_last() {
            match self.requests.get(id) {
                Some(pending) => pending.assignment.report(Report::Said(report, self.heard_at)),
                None => self.hub.count_foreign_report(),
            }
            return;
        }
        match self.requests.remove(id) {
            Some(pending) => {
                pending.assignment.report(Report::Said(report, self.heard_at));
                pending.assignment.over();
            }
            None => self.hub.count_foreign_report(),
        }
    }

    fn log(&mut self, level: Option<&str>, message: &str) {
        let (began, lines) = &mut self.log_window;
        if began.elapsed() >= Duration::from_secs(1) {
            (*began, *lines) = (Instant::now(), 0);
        }
        *lines += 1;
        if *lines > LOG_LINES_PER_SECOND {
            return;
        }
        let cut = message.floor_char_boundary(LOG_LINE_BYTES_MAX);
        // As fields, which are escaped: a line end must not begin a line of the log.
        tracing::debug!(
            client.id = self.name(),
            client.level = level,
            client.message = &message[..cut],
            "a client logs"
        );
    }
}
