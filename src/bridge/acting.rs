//! The way of an action: chosen client, message out, result back, within its time.
//!
//! ```text
//! placed ──result──────────────────────────► done
//!    │  └─(ws_reconnect, wait)─result─► away ─hello on a new connection─► done
//!    ├──client gone──► gone  (ws_reconnect: that is what it was asked to do)
//!    └──time──► timeout
//! ```

use super::{
    action::{ActionEntry, ActionFailure, Asked, Done, Lost, Order, Placed, Reconnected},
    assignment::Gone,
    connection::{Act, Connection, Forget, Remember},
    directory::Link,
    events::Acted,
    hub::{Client, Hub},
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
pub(super) type Told = Result<ActionEntry, Lost>;

impl Hub {
    /// Has an action done and waits for what becomes of it. Dropping the future forgets the action; the extension may
    /// still do it.
    ///
    /// # Errors
    ///
    /// There is nobody to ask, or nobody answered.
    pub async fn act(&self, order: Order) -> Result<Done, ActionFailure> {
        let client = self.named_or_active(order.client_id.as_ref())?;
        let began = Instant::now();
        let until = began + order.timeout;
        let dispatched_at = self.clock().now_ms();
        let placed = Placed {
            request_id: RequestId::generate(),
            kind: order.kind,
            platform: order.platform,
            requested_client_id: order.client_id,
            reason: order.reason,
        };
        let asked = Asked {
            client_id: client.client_id.clone(),
            connection_id: client.connection_id.clone(),
            request_id: placed.request_id.clone(),
        };
        let timeout_ms = u64::try_from(order.timeout.as_millis()).unwrap_or(u64::MAX);
        let to_return = order.kind == ActionKind::WsReconnect && order.wait;
        let too_late = |_| ActionFailure::Timeout { timeout_ms, to_return, asked: asked.clone() };
        let lost = |lost| match lost {
            Lost::Unasked => ActionFailure::Gone { gone: Gone::Disconnected, asked: asked.clone() },
            Lost::Gone(gone) => ActionFailure::Gone { gone, asked: asked.clone() },
            Lost::Garbled(why) => ActionFailure::Garbled { why, asked: asked.clone() },
        };

        let (answer, told) = oneshot::channel();
        let _forget = Forgetting { connection: client.to.clone(), id: placed.request_id.clone() };
        client.to.do_send(Act { placed: placed.clone(), answer }); // bounded by the callers that wait
        // A connection that is gone drops the message, and the sender in it.
        let result = async { told.await.unwrap_or(Err(Lost::Unasked)) };
        if !to_return {
            let told = timeout_at(until, result).await.map_err(too_late)?;
            let entry = self.or_away(told, &client, &placed, dispatched_at).map_err(lost)?;
            return Ok(Done::new(placed, entry, dispatched_at));
        }
        let returned = self.reconnected(&client, result, &placed, dispatched_at);
        let (entry, back) = timeout_at(until, returned).await.map_err(too_late)?.map_err(lost)?;
        let after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reconnected = back.map(|link| self.returned(&link, entry.clone(), after_ms));
        let mut done = Done::new(placed, entry, dispatched_at);
        done.completed = reconnected.is_some();
        done.reconnected = reconnected;
        Ok(done)
    }

    /// A client is back: told to whoever watches, and noted where the client is now.
    fn returned(&self, link: &Client, entry: ActionEntry, after_ms: u64) -> Reconnected {
        let entry = ActionEntry { completed: true, received_at: self.clock().now_ms(), ..entry };
        self.events().publish("action_result", Acted::of(&entry));
        link.to.do_send(Remember { entry }); // bounded: once an action
        Reconnected { connection_id: link.connection_id.clone(), after_ms }
    }

    /// Waits for the result and for the new connection, in whichever order they come. The extension that refuses is
    /// not waited for.
    async fn reconnected(
        &self,
        client: &Client,
        result: impl Future<Output = Told>,
        placed: &Placed,
        dispatched_at: WallMs,
    ) -> Result<(ActionEntry, Option<Client>), Lost> {
        let mut back = pin!(self.back(&client.client_id, &client.connection_id));
        tokio::select! {
            biased;
            told = result => {
                let entry = self.or_away(told, client, placed, dispatched_at)?;
                if entry.failed || !entry.accepted {
                    return Ok((entry, None));
                }
                tokio::select! {
                    link = &mut back => Ok((entry, Some(link))),
                    () = self.stopping().cancelled() => Err(Lost::Gone(Gone::Stopped)),
                }
            }
            link = &mut back => {
                let at = (&client.client_id, &client.connection_id);
                Ok((ActionEntry::unanswered(placed, at, dispatched_at), Some(link)))
            }
        }
    }

    /// A client that was asked to connect anew and went away has done as it was asked.
    fn or_away(&self, told: Told, client: &Client, placed: &Placed, dispatched_at: WallMs) -> Told {
        match told {
            Err(Lost::Gone(Gone::Disconnected | Gone::Replaced))
                if placed.kind == ActionKind::WsReconnect && !self.is_stopping() =>
            {
                Ok(ActionEntry::unanswered(placed, (&client.client_id, &client.connection_id), dispatched_at))
            }
            told => told,
        }
    }

    /// Waits until a client is connected on another connection than `old`.
    async fn back(&self, client: &ClientId, old: &ConnectionId) -> Client {
        loop {
            let mut arrival = pin!(self.arrivals().notified());
            arrival.as_mut().enable(); // before the look, so that no arrival falls between
            if let Some(new) = self.directory().get(client).filter(|link| link.connection_id != *old) {
                return Link::clone(new);
            }
            arrival.await;
        }
    }
}

/// Whoever stops waiting says so.
struct Forgetting {
    connection: Addr<Connection>,
    id: RequestId,
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.connection.do_send(Forget { id: self.id.clone() }); // bounded: once an action
    }
}
