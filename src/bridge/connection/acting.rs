//! Actions on their connection: the message out, and which result belongs to which.

use super::Connection;
use crate::{
    bridge::{
        acting::Told,
        action::{ActionEntry, Lost, Placed},
        assignment::Gone,
        events,
    },
    ids::RequestId,
    wire::{ActionResult, frame},
};
use actix::prelude::*;
use tokio::sync::oneshot;

/// An action that somebody waits for.
pub(super) struct Awaited {
    placed: Placed,
    answer: oneshot::Sender<Told>,
}

/// An action to ask for.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Act {
    pub(in crate::bridge) placed: Placed,
    pub(in crate::bridge) answer: oneshot::Sender<Told>,
}

impl Handler<Act> for Connection {
    type Result = ();

    fn handle(&mut self, Act { placed, answer }: Act, ctx: &mut Self::Context) {
        if self.closing.is_some() || self.greeted.is_none() {
            return; // the dropped sender says that the client was never asked
        }
        let platform = placed.platform.as_ref().map(|platform| platform.as_str());
        let command = placed.kind.command(placed.request_id.as_str(), platform, placed.reason.as_deref());
        let text = frame(&command);
        self.actions.insert(placed.request_id.clone(), Awaited { placed, answer });
        self.send(text, ctx);
    }
}

/// Nobody waits for an action any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Forget {
    pub(in crate::bridge) id: RequestId,
}

impl Handler<Forget> for Connection {
    type Result = ();

    fn handle(&mut self, Forget { id }: Forget, _: &mut Self::Context) {
        self.actions.remove(&id);
    }
}

/// A result that was decided elsewhere: the client is back, here.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Remember {
    pub(in crate::bridge) entry: ActionEntry,
}

impl Handler<Remember> for Connection {
    type Result = ();

    fn handle(&mut self, Remember { entry }: Remember, ctx: &mut Self::Context) {
        self.session.acted(entry);
        self.changed("action_result", ctx);
    }
}

impl Connection {
    /// A result: for whoever waits for it, and for everybody who looks.
    pub(super) fn acted(&mut self, told: ActionResult, ctx: &mut Context<Self>) {
        let Some(greeted) = &self.greeted else { return };
        let awaited = told.request_id.as_deref().and_then(|id| self.actions.remove(id));
        let at = (&greeted.presence.client_id, &greeted.presence.connection_id);
        let placed = awaited.as_ref().map(|awaited| &awaited.placed);
        let entry = ActionEntry::new(told, placed, at, self.hub.clock().now_ms());
        self.hub.events().publish("action_result", events::Acted::of(&entry));
        self.show_tabs(entry.shell_runtime.clone());
        self.session.acted(entry.clone());
        if let Some(awaited) = awaited {
            let _ = awaited.answer.send(Ok(entry)); // who no longer waits does not mind
        }
        self.changed("action_result", ctx);
    }

    /// Tells everybody who waits for an action that none will come.
    pub(super) fn fail_actions(&mut self, gone: Gone) {
        for (_, awaited) in self.actions.drain() {
            let _ = awaited.answer.send(Err(Lost::Gone(gone))); // who no longer waits does not mind
        }
    }

    /// An action whose result cannot be read can expect no better one.
    pub(super) fn garbled_action(&mut self, id: &str, why: &str) {
        if let Some(awaited) = self.actions.remove(id) {
            let _ = awaited.answer.send(Err(Lost::Garbled(why.to_owned()))); // who no longer waits does not mind
        }
    }
}
