//! Performs an action: chooses a client, sends the message, waits for the result within the timeout.
//!
//! ```text
//! sent ───result──────────────────────────► completed
//!   │  └─(ws_reconnect, wait)─result─► away ─hello on a new connection─► completed
//!   ├──client disconnected──► failed  (a result if the action is ws_reconnect)
//!   └──timeout──► failed
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

pub(super) type ActionReply = Result<ActionReport, NoActionResult>;

impl BridgeHub {
    /// Performs an action and waits for its outcome. Dropping the future forgets the action; the extension may still
    /// perform it.
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
        // A connection that has ended drops the message and with it the sender.
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

    /// Publishes a reconnection and records it on the new connection.
    fn record_reconnection(&self, link: &ConnectedClient, entry: ActionReport, after_ms: u64) -> Reconnected {
        let entry = ActionReport { completed: true, received_at: self.clock().now_ms(), ..entry };
        self.events().publish("action_result", ActionReported::of(&entry));
        link.to.do_send(RecordAction { entry }); // bounded: once an action
        Reconnected { connection_id: link.connection_id.clone(), after_ms }
    }

    /// Waits for the result and for the new connection, in either order. If the extension refused, there is no new
    /// connection to wait for.
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

    /// Treats the disconnect of a client as the result if the action is `ws_reconnect`.
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

    /// Waits until a client is connected through another connection than `old`.
    async fn next_connection(&self, client: &ClientId, old: &ConnectionId) -> ConnectedClient {
        loop {
            let mut arrival = pin!(self.arrivals().notified());
            arrival.as_mut().enable(); // before the check, so that no arrival is missed
            if let Some(new) = self.directory().get(client).filter(|link| link.connection_id != *old) {
                return ClientLink::clone(new);
            }
            arrival.await;
        }
    }
}

/// Removes an awaited action from its connection when the caller stops waiting.
struct ForgetOnDrop {
    connection: Addr<Connection>,
    id: RequestId,
}

impl Drop for ForgetOnDrop {
    fn drop(&mut self) {
        self.connection.do_send(ForgetAction { id: self.id.clone() }); // bounded: once an action
    }
}
