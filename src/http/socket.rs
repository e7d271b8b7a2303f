//! `GET /ws/firefox`: the handshake of the Firefox extension.

use super::{
    callers::Peer,
    endpoint::Call,
    error::{ApiError, Code},
    reply::Reply,
};
use crate::{bridge::socket, wire::proof::address_of};
use actix_web::http::header;

/// Switches the connection to the peers' protocol.
pub(super) async fn open(mut call: Call) -> Result<Reply, ApiError> {
    let no_handshake = || ApiError::new(Code::InvalidRequest, "This route takes WebSocket handshakes alone.");
    let payload = call.payload.take().ok_or_else(no_handshake)?;
    let host = call.request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let no_address = || ApiError::new(Code::InvalidRequest, "The Host is not a host and a port.").with("field", "host");
    let address = host.and_then(address_of).ok_or_else(no_address)?;
    let line = call.peer().and_then(|peer| peer.open.line());
    let is_own_user = call.peer().is_some_and(Peer::is_own_user);
    let response = socket::upgrade(&call.request, payload, call.core.bridge.clone(), address.into(), line, is_own_user);
    response.map(Reply::Whole).map_err(|_| no_handshake())
}
