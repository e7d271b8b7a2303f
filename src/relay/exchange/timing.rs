//! The only timer of an exchange. It is armed for the earliest deadline; events move deadlines without touching it, and
//! a timer that fires early is armed again.

use super::{AnswerSink, Exchange, RECORD_AFTER};
use crate::relay::{request_error::RequestError, stream::StreamWriter};
use actix::prelude::*;
use tokio::time::Instant;

impl Exchange {
    /// Arms the timer for the next deadline. A timer that is due earlier stays and re-arms itself.
    pub(super) fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(wanted) = self.next_deadline() else { return };
        if let Some((armed, handle)) = self.timer {
            if armed <= wanted {
                return;
            }
            ctx.cancel_future(handle);
        }
        let pause = wanted.saturating_duration_since(Instant::now());
        self.timer = Some((wanted, ctx.run_later(pause, Self::on_timer)));
    }

    fn next_deadline(&self) -> Option<Instant> {
        let record = (!self.recorded && self.registration.is_some()).then(|| self.requested + RECORD_AFTER);
        // Stalled readers are detected at this interval at the latest.
        let stalled = matches!(self.sink, AnswerSink::Stream(_)).then(|| Instant::now() + self.hub.stall_timeout());
        [record, stalled, self.state.deadline()].into_iter().flatten().min()
    }

    fn on_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        let now = Instant::now();
        if !self.recorded && self.registration.is_some() && self.requested.elapsed() >= RECORD_AFTER {
            self.recorded = true;
            let entry = self.entry(None, None, None);
            if let Some(registration) = &mut self.registration {
                registration.recorded(entry.clone());
            }
            self.hub.journal().record(entry);
        }
        if let Some(writer) = self.stalled(now) {
            writer.cut();
            self.end(Err(RequestError::CallerGone), false, ctx);
            return ctx.stop();
        }
        let act = self.state.on_timer(now);
        self.perform(act, false, ctx);
        self.arm(ctx);
    }

    /// Returns the stream if its reader has taken nothing for too long.
    fn stalled(&self, now: Instant) -> Option<&StreamWriter> {
        let AnswerSink::Stream(writer) = &self.sink else { return None };
        let since = writer.waiting_since()?;
        (now - since >= self.hub.stall_timeout()).then_some(writer)
    }
}
