//! `GET /ws/firefox`: the handshake of the Firefox extension.

use super::{
    authenticator::PeerConnection,
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::ApiReply,
};
use crate::{bridge::socket, wire::proof::address_of};
use actix_web::http::header;

/// Upgrades the connection to the extension's WebSocket protocol.
pub(super) async fn open(mut call: ApiCall) -> Result<ApiReply, ApiError> {
    let no_handshake = || ApiError::new(Code::InvalidRequest, "This route accepts WebSocket handshakes only.");
    let payload = call.payload.take().ok_or_else(no_handshake)?;
    let host = call.request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let no_address =
        || ApiError::new(Code::InvalidRequest, "The Host header must be a host and a port.").with("field", "host");
    let address = host.and_then(address_of).ok_or_else(no_address)?;
    let abort_handle = call.peer().and_then(|peer| peer.connection.abort_handle());
    let is_own_user = call.peer().is_some_and(PeerConnection::is_own_user);
    let response =
        socket::upgrade(&call.request, payload, call.core.bridge.clone(), address.into(), abort_handle, is_own_user);
    response.map(ApiReply::Raw).map_err(|_| no_handshake())
}
