//! What the rest of the bridge asks of a connection: to perform a request, to stop it, to forget it, to tell, to end.

use super::{Connection, Pending};
use crate::{
    bridge::{
        assignment::{Assignment, Gone},
        view::ClientView,
    },
    ids::{PlatformName, RequestId},
    wire::{RequestCancel, frame},
};
use actix::prelude::*;
use bytestring::ByteString;

/// A request to perform.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Dispatch {
    pub(in crate::bridge) id: RequestId,
    pub(in crate::bridge) platform: PlatformName,
    pub(in crate::bridge) frame: ByteString,
    pub(in crate::bridge) assignment: Assignment,
}

impl Handler<Dispatch> for Connection {
    type Result = ();

    fn handle(&mut self, Dispatch { id, platform, frame, assignment }: Dispatch, ctx: &mut Self::Context) {
        // Chosen a moment before the connection ended: it ends for the same reason as those before it.
        if let Some(gone) = self.closing {
            return assignment.gone(gone);
        }
        if self.greeted.is_some() {
            self.requests.insert(id, Pending { assignment, platform, cancelled: false });
            self.send(frame, ctx);
        }
    }
}

/// The extension should stop; what it says about that is still reported.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Cancel {
    pub(in crate::bridge) id: RequestId,
    pub(in crate::bridge) reason: Box<str>,
}

impl Handler<Cancel> for Connection {
    type Result = ();

    fn handle(&mut self, Cancel { id, reason }: Cancel, ctx: &mut Self::Context) {
        let Some(pending) = self.requests.get_mut(&id).filter(|pending| !pending.cancelled) else { return };
        pending.cancelled = true;
        let text = frame(&RequestCancel {
            id: id.as_str(),
            platform: pending.platform.as_str(),
            stream_id: id.as_str(),
            reason: &reason,
        });
        self.send(text, ctx);
    }
}

/// Nobody waits for a request any more; what is said about it from now on is ignored.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Release {
    pub(in crate::bridge) id: RequestId,
}

impl Handler<Release> for Connection {
    type Result = ();

    fn handle(&mut self, Release { id }: Release, ctx: &mut Self::Context) {
        // Whoever gives up without a word, a panic for instance, still wants the extension to stop.
        self.handle(Cancel { id: id.clone(), reason: "released".into() }, ctx);
        if let Some(pending) = self.requests.remove(&id) {
            pending.assignment.over();
        }
    }
}

/// Asks what the client has told.
#[derive(Message)]
#[rtype(result = "Option<ClientView>")]
pub(in crate::bridge) struct View {
    pub(in crate::bridge) with_text: bool,
}

impl Handler<View> for Connection {
    type Result = MessageResult<View>;

    fn handle(&mut self, View { with_text }: View, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view(with_text))
    }
}

/// A newer connection of the same client took over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Replaced;

impl Handler<Replaced> for Connection {
    type Result = ();

    fn handle(&mut self, _: Replaced, ctx: &mut Self::Context) {
        self.close(4001, "replaced", Gone::Replaced, ctx);
    }
}

/// The daemon stops.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct Stop;

impl Handler<Stop> for Connection {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.close(1001, "service_stopped", Gone::Stopped, ctx);
    }
}
