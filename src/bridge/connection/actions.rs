//! Actions on their connection: the message out, and which result belongs to which.

use super::Connection;
use crate::{
    bridge::{
        action::{ActionReport, NoActionResult, PendingAction},
        action_call::ActionReply,
        assignment::DisconnectReason,
        events,
    },
    ids::RequestId,
    wire::{ActionResult, frame},
};
use actix::prelude::*;
use tokio::sync::oneshot;

/// An action that somebody waits for.
pub(super) struct AwaitedAction {
    pending: PendingAction,
    answer: oneshot::Sender<ActionReply>,
}

/// An action to ask for.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct SendAction {
    pub(in crate::bridge) pending: PendingAction,
    pub(in crate::bridge) answer: oneshot::Sender<ActionReply>,
}

impl Handler<SendAction> for Connection {
    type Result = ();

    fn handle(&mut self, SendAction { pending, answer }: SendAction, ctx: &mut Self::Context) {
        if self.closing.is_some() || self.established.is_none() {
            return; // the dropped sender says that the client was never asked
        }
        let platform = pending.platform.as_ref().map(|platform| platform.as_str());
        let command = pending.kind.command(pending.request_id.as_str(), platform, pending.reason.as_deref());
        let text = frame(&command);
        self.actions.insert(pending.request_id.clone(), AwaitedAction { pending, answer });
        self.send(text, ctx);
    }
}

/// Nobody waits for an action any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct ForgetAction {
    pub(in crate::bridge) id: RequestId,
}

impl Handler<ForgetAction> for Connection {
    type Result = ();

    fn handle(&mut self, ForgetAction { id }: ForgetAction, _: &mut Self::Context) {
        self.actions.remove(&id);
    }
}

/// A result that was decided elsewhere: the client is back, here.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct RecordAction {
    pub(in crate::bridge) entry: ActionReport,
}

impl Handler<RecordAction> for Connection {
    type Result = ();

    fn handle(&mut self, RecordAction { entry }: RecordAction, ctx: &mut Self::Context) {
        self.session.record_action(entry);
        self.schedule_snapshot("action_result", ctx);
    }
}

impl Connection {
    /// A result: for whoever waits for it, and for everybody who looks.
    pub(super) fn on_action_result(&mut self, reported: ActionResult, ctx: &mut Context<Self>) {
        let Some(established) = &self.established else { return };
        let awaited = reported.request_id.as_deref().and_then(|id| self.actions.remove(id));
        let at = (&established.registration.client_id, &established.registration.connection_id);
        let pending = awaited.as_ref().map(|awaited| &awaited.pending);
        let entry = ActionReport::new(reported, pending, at, self.hub.clock().now_ms());
        self.hub.events().publish("action_result", events::ActionReported::of(&entry));
        self.update_tabs(entry.shell_runtime.clone());
        self.session.record_action(entry.clone());
        if let Some(awaited) = awaited {
            let _ = awaited.answer.send(Ok(entry)); // who no longer waits does not mind
        }
        self.schedule_snapshot("action_result", ctx);
    }

    /// Tells everybody who waits for an action that none will come.
    pub(super) fn fail_actions(&mut self, gone: DisconnectReason) {
        for (_, awaited) in self.actions.drain() {
            let _ = awaited.answer.send(Err(NoActionResult::Disconnected(gone))); // who no longer waits does not mind
        }
    }

    /// An action whose result cannot be read can expect no better one.
    pub(super) fn fail_unreadable_action(&mut self, id: &str, why: &str) {
        if let Some(awaited) = self.actions.remove(id) {
            let _ = awaited.answer.send(Err(NoActionResult::Unreadable(why.to_owned()))); // who no longer waits does not mind
        }
    }
}
