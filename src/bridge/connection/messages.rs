//! What the rest of the bridge asks of a connection: to perform a request, to stop it, to forget it, to tell, to end.

use super::{Connection, PendingRequest};
use crate::{
    bridge::{
        assignment::{Assignment, DisconnectReason},
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
pub(in crate::bridge) struct DispatchRequest {
    pub(in crate::bridge) id: RequestId,
    pub(in crate::bridge) platform: PlatformName,
    pub(in crate::bridge) frame: ByteString,
    pub(in crate::bridge) assignment: Assignment,
}

impl Handler<DispatchRequest> for Connection {
    type Result = ();

    fn handle(
        &mut self,
        DispatchRequest { id, platform, frame, assignment }: DispatchRequest,
        ctx: &mut Self::Context,
    ) {
        // Chosen a moment before the connection ended: it ends for the same reason as those before it.
        if let Some(gone) = self.closing {
            return assignment.disconnect(gone);
        }
        if self.established.is_some() {
            self.requests.insert(id, PendingRequest { assignment, platform, cancelled: false });
            self.send(frame, ctx);
        }
    }
}

/// The extension should stop; what it says about that is still reported.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct CancelRequest {
    pub(in crate::bridge) id: RequestId,
    pub(in crate::bridge) reason: Box<str>,
}

impl Handler<CancelRequest> for Connection {
    type Result = ();

    fn handle(&mut self, CancelRequest { id, reason }: CancelRequest, ctx: &mut Self::Context) {
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
pub(in crate::bridge) struct ReleaseRequest {
    pub(in crate::bridge) id: RequestId,
}

impl Handler<ReleaseRequest> for Connection {
    type Result = ();

    fn handle(&mut self, ReleaseRequest { id }: ReleaseRequest, ctx: &mut Self::Context) {
        // Whoever gives up without a word, a panic for instance, still wants the extension to stop.
        self.handle(CancelRequest { id: id.clone(), reason: "released".into() }, ctx);
        if let Some(pending) = self.requests.remove(&id) {
            pending.assignment.complete();
        }
    }
}

/// Asks what the client has reported.
#[derive(Message)]
#[rtype(result = "Option<ClientView>")]
pub(in crate::bridge) struct GetClientView {
    pub(in crate::bridge) with_text: bool,
}

impl Handler<GetClientView> for Connection {
    type Result = MessageResult<GetClientView>;

    fn handle(&mut self, GetClientView { with_text }: GetClientView, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view(with_text))
    }
}

/// A newer connection of the same client took over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ConnectionReplaced;

impl Handler<ConnectionReplaced> for Connection {
    type Result = ();

    fn handle(&mut self, _: ConnectionReplaced, ctx: &mut Self::Context) {
        self.close(4001, "replaced", DisconnectReason::Replaced, ctx);
    }
}

/// The daemon stops.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct StopConnection;

impl Handler<StopConnection> for Connection {
    type Result = ();

    fn handle(&mut self, _: StopConnection, ctx: &mut Self::Context) {
        self.close(1001, "service_stopped", DisconnectReason::Stopped, ctx);
    }
}
