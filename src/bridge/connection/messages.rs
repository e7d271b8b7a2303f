//! Messages of the other parts of the bridge to a connection.

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
        // The client was selected just before the connection started to close.
        if let Some(reason) = self.closing {
            return assignment.disconnect(reason);
        }
        if self.established.is_some() {
            self.requests.insert(id, PendingRequest { assignment, platform, cancelled: false });
            self.send(frame, ctx);
        }
    }
}

/// Asks the extension to cancel a request; its answer is still reported.
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

/// Drops a request that is no longer awaited; later reports about it are ignored.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct ReleaseRequest {
    pub(in crate::bridge) id: RequestId,
}

impl Handler<ReleaseRequest> for Connection {
    type Result = ();

    fn handle(&mut self, ReleaseRequest { id }: ReleaseRequest, ctx: &mut Self::Context) {
        // The exchange may have ended without a cancel, for instance by a panic.
        self.handle(CancelRequest { id: id.clone(), reason: "released".into() }, ctx);
        if let Some(pending) = self.requests.remove(&id) {
            pending.assignment.complete();
        }
    }
}

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

/// Closes the connection because the daemon is stopping.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::bridge) struct StopConnection;

impl Handler<StopConnection> for Connection {
    type Result = ();

    fn handle(&mut self, _: StopConnection, ctx: &mut Self::Context) {
        self.close(1001, "service_stopped", DisconnectReason::Stopped, ctx);
    }
}
