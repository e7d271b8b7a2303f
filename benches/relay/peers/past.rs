//! Earlier clients that have disconnected; their reports are in the store.

use super::{Peer, PeerLog};
use crate::frames;
use std::{net::SocketAddr, rc::Rc};

/// Endpoints of each login.
const ENDPOINTS: [&str; 5] =
    ["GET /api/a", "GET /api/b/{id}", "POST /api/c", "POST /api/d/{id}/completion", "GET /api/e"];

/// Connects clients named `past-0` and so on, reports logins from each, and disconnects them.
pub(crate) async fn remember(address: SocketAddr, clients: usize, accounts: usize) -> anyhow::Result<()> {
    let book = PeerLog::new(Vec::new());
    for client in 0..clients {
        let mut peer = Peer::join(address, format!("past-{client}"), Rc::clone(&book)).await?;
        for account in 0..accounts {
            peer.tell(account).await?;
        }
        let last = format!("\"account\":\"account-{:03}\",\"endpoint_count\":5", accounts - 1);
        peer.await_text(&[last.as_bytes()]).await?;
    }
    Ok(())
}

impl Peer {
    async fn tell(&mut self, account: usize) -> anyhow::Result<()> {
        let who = format!(r#""platform":"claude","account":"account-{account:03}""#);
        let login = format!(
            r#"{{"type":"credentials",{who},"freshness":"fresh","captured_at":1767225600000,"last_seen_at":1767225600000,"headers":{{"cookie":""}}}}"#
        );
        let endpoints = format!(r#"{{"type":"api_endpoints",{who},"endpoints":["{}"]}}"#, ENDPOINTS.join("\",\""));
        frames::text(&mut self.wire.out, &[login.as_bytes()]);
        frames::text(&mut self.wire.out, &[endpoints.as_bytes()]);
        self.wire.flush().await
    }
}
