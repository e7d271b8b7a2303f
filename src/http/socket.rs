//! `GET /ws/firefox`: the handshake of the Firefox extension.

use super::{
    endpoint::Call,
    error::{ApiError, Code},
    reply::Reply,
};
use crate::bridge::socket;

/// Switches the connection to the peers' protocol.
pub(super) async fn open(mut call: Call) -> Result<Reply, ApiError> {
    let no_handshake = || ApiError::new(Code::InvalidRequest, "This route takes WebSocket handshakes alone.");
    let payload = call.payload.take().ok_or_else(no_handshake)?;
    let line = call.peer().and_then(|peer| peer.open.line());
    let response = socket::upgrade(&call.request, payload, call.core.bridge.clone(), line);
    response.map(Reply::Whole).map_err(|_| no_handshake())
}
