//! Actions on a connection: sends the messages and assigns the results.

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

pub(super) struct AwaitedAction {
    pending: PendingAction,
    answer: oneshot::Sender<ActionReply>,
}

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
            return; // the dropped sender tells the caller that nothing was sent
        }
        let platform = pending.platform.as_ref().map(|platform| platform.as_str());
        let command = pending.kind.command(pending.request_id.as_str(), platform, pending.reason.as_deref());
        let text = frame(&command);
        self.actions.insert(pending.request_id.clone(), AwaitedAction { pending, answer });
        self.send(text, ctx);
    }
}

/// Forgets an action that no caller waits for.
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

/// Records a result: the client has reconnected, on this connection.
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
    /// Passes a result to the waiting caller, if any, publishes it and keeps it for snapshots.
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
            let _ = awaited.answer.send(Ok(entry)); // the caller may have given up
        }
        self.schedule_snapshot("action_result", ctx);
    }

    pub(super) fn fail_actions(&mut self, reason: DisconnectReason) {
        for (_, awaited) in self.actions.drain() {
            let _ = awaited.answer.send(Err(NoActionResult::Disconnected(reason))); // the caller may have given up
        }
    }

    pub(super) fn fail_unreadable_action(&mut self, id: &str, why: &str) {
        if let Some(awaited) = self.actions.remove(id) {
            let _ = awaited.answer.send(Err(NoActionResult::Unreadable(why.to_owned()))); // the caller may have given up
        }
    }
}
