//! The way of an action: chosen client, message out, result back, within its time.
//!
//! ```text
//! placed ──result──────────────────────────► done
//!    │  └─(ws_reconnect, wait)─result─► away ─hello on a new connection─► done
//!    ├──client gone──► gone  (ws_reconnect: that is what it was asked to do)
//!    └──time──► timeout
//! ```

use super::{
    action::{
        ActionCommand, ActionDispatch, ActionFailure, ActionOutcome, ActionReport, NoActionResult, PendingAction,
        Reconnected,
    },
    assignment::DisconnectReason,
    connection::{Connection, ForgetAction, RecordAction, SendAction},
    directory::ClientLink,
    events::ActionReported,
    hub::{BridgeHub, ConnectedClient},
};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, RequestId},
    wire::ActionKind,
};
use actix::Addr;
use std::pin::pin;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// What a connection says of an action.
pub(super) type ActionReply = Result<ActionReport, NoActionResult>;

impl BridgeHub {
    /// Has an action done and waits for what becomes of it. Dropping the future forgets the action; the extension may
    /// still do it.
    ///
    /// # Errors
    ///
    /// There is nobody to ask, or nobody answered.
    pub async fn perform_action(&self, command: ActionCommand) -> Result<ActionOutcome, ActionFailure> {
        let client = self.named_or_active(command.client_id.as_ref())?;
        let began = Instant::now();
        let until = began + command.timeout;
        let dispatched_at = self.clock().now_ms();
        let pending = PendingAction {
            request_id: RequestId::generate(),
            kind: command.kind,
            platform: command.platform,
            requested_client_id: command.client_id,
            reason: command.reason,
        };
        let dispatch = ActionDispatch {
            client_id: client.client_id.clone(),
            connection_id: client.connection_id.clone(),
            request_id: pending.request_id.clone(),
        };
        let timeout_ms = u64::try_from(command.timeout.as_millis()).unwrap_or(u64::MAX);
        let awaits_reconnect = command.kind == ActionKind::WsReconnect && command.wait;
        let too_late = |_| ActionFailure::Timeout { timeout_ms, awaits_reconnect, dispatch: dispatch.clone() };
        let lost = |lost| match lost {
            NoActionResult::NotSent => {
                ActionFailure::Disconnected { reason: DisconnectReason::SocketClosed, dispatch: dispatch.clone() }
            }
            NoActionResult::Disconnected(reason) => ActionFailure::Disconnected { reason, dispatch: dispatch.clone() },
            NoActionResult::Unreadable(why) => ActionFailure::Unreadable { why, dispatch: dispatch.clone() },
        };

        let (answer, reported) = oneshot::channel();
        let _forget = ForgetOnDrop { connection: client.to.clone(), id: pending.request_id.clone() };
        client.to.do_send(SendAction { pending: pending.clone(), answer }); // bounded by the callers that wait
        // A connection that is gone drops the message, and the sender in it.
        let result = async { reported.await.unwrap_or(Err(NoActionResult::NotSent)) };
        if !awaits_reconnect {
            let reported = timeout_at(until, result).await.map_err(too_late)?;
            let entry = self.or_reconnecting(reported, &client, &pending, dispatched_at).map_err(lost)?;
            return Ok(ActionOutcome::new(pending, entry, dispatched_at));
        }
        let returned = self.result_and_reconnection(&client, result, &pending, dispatched_at);
        let (entry, back) = timeout_at(until, returned).await.map_err(too_late)?.map_err(lost)?;
        let after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reconnected = back.map(|link| self.record_reconnection(&link, entry.clone(), after_ms));
        let mut done = ActionOutcome::new(pending, entry, dispatched_at);
        done.completed = reconnected.is_some();
        done.reconnected = reconnected;
        Ok(done)
    }

    /// A client is back: told to whoever watches, and noted where the client is now.
    fn record_reconnection(&self, link: &ConnectedClient, entry: ActionReport, after_ms: u64) -> Reconnected {
        let entry = ActionReport { completed: true, received_at: self.clock().now_ms(), ..entry };
        self.events().publish("action_result", ActionReported::of(&entry));
        link.to.do_send(RecordAction { entry }); // bounded: once an action
        Reconnected { connection_id: link.connection_id.clone(), after_ms }
    }

    /// Waits for the result and for the new connection, in whichever command they come. The extension that refuses is
    /// not waited for.
    async fn result_and_reconnection(
        &self,
        client: &ConnectedClient,
        result: impl Future<Output = ActionReply>,
        pending: &PendingAction,
        dispatched_at: WallMs,
    ) -> Result<(ActionReport, Option<ConnectedClient>), NoActionResult> {
        let mut back = pin!(self.next_connection(&client.client_id, &client.connection_id));
        tokio::select! {
            biased;
            reported = result => {
                let entry = self.or_reconnecting(reported, client, pending, dispatched_at)?;
                if entry.failed || !entry.accepted {
                    return Ok((entry, None));
                }
                tokio::select! {
                    link = &mut back => Ok((entry, Some(link))),
                    () = self.stopping().cancelled() => Err(NoActionResult::Disconnected(DisconnectReason::Stopped)),
                }
            }
            link = &mut back => {
                let at = (&client.client_id, &client.connection_id);
                Ok((ActionReport::unanswered(pending, at, dispatched_at), Some(link)))
            }
        }
    }

    /// A client that was asked to connect anew and went away has done as it was asked.
    fn or_reconnecting(
        &self,
        reported: ActionReply,
        client: &ConnectedClient,
        pending: &PendingAction,
        dispatched_at: WallMs,
    ) -> ActionReply {
        match reported {
            Err(NoActionResult::Disconnected(DisconnectReason::SocketClosed | DisconnectReason::Replaced))
                if pending.kind == ActionKind::WsReconnect && !self.is_stopping() =>
            {
                Ok(ActionReport::unanswered(pending, (&client.client_id, &client.connection_id), dispatched_at))
            }
            reported => reported,
        }
    }

    /// Waits until a client is connected on another connection than `old`.
    async fn next_connection(&self, client: &ClientId, old: &ConnectionId) -> ConnectedClient {
        loop {
            let mut arrival = pin!(self.arrivals().notified());
            arrival.as_mut().enable(); // before the look, so that no arrival falls between
            if let Some(new) = self.directory().get(client).filter(|link| link.connection_id != *old) {
                return ClientLink::clone(new);
            }
            arrival.await;
        }
    }
}

/// Whoever stops waiting says so.
struct ForgetOnDrop {
    connection: Addr<Connection>,
    id: RequestId,
}

impl Drop for ForgetOnDrop {
    fn drop(&mut self) {
        self.connection.do_send(ForgetAction { id: self.id.clone() }); // bounded: once an action
    }
}
