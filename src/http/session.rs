//! `/v1/session`: log-in of the status page by a one-time code, which a caller with the token requested.

use super::{
    authenticator::PeerConnection,
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::{self, ApiReply},
    session_store::{RandomUnavailable, SessionError, SessionKey, SessionOwner},
};
use crate::{
    api::session::{SessionCode, SessionEnd, SessionStart, SessionStartRequest},
    clock::WallMs,
};
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;
use std::time::Duration;

/// `POST /v1/session/codes`.
pub(super) async fn issue(call: ApiCall) -> Result<ApiReply, ApiError> {
    let authenticator = &call.core.authenticator;
    let code = authenticator.sessions().issue_code(call.session_owner())?;
    let expires_at = expires_at_ms(&call, authenticator.sessions().code_ttl());
    Ok(call.success(&SessionCode { code: code.expose().into(), expires_at }))
}

/// `POST /v1/session`.
pub(super) async fn begin(call: ApiCall) -> Result<ApiReply, ApiError> {
    let fields = call.fields()?;
    let code = fields.required_text(SessionStartRequest::code())?;
    let key = match fields.verbatim(SessionStartRequest::key())? {
        Some(key) => Some(SessionKey::parse(key.as_bytes()).ok_or_else(key_error)?),
        None => None,
    };
    let authenticator = &call.core.authenticator;
    let secret = authenticator.sessions().redeem_code(
        &code,
        key,
        call.session_owner(),
        call.peer().map(PeerConnection::identity),
    )?;
    let expires_at = expires_at_ms(&call, authenticator.sessions().session_ttl());
    Ok(with_cookie(&call, &SessionStart { expires_at }, &authenticator.sessions().set_cookie(&secret)))
}

/// `DELETE /v1/session`.
pub(super) async fn end(call: ApiCall) -> Result<ApiReply, ApiError> {
    let authenticator = &call.core.authenticator;
    let ended = authenticator.sessions().end_sessions(call.request.headers(), call.session_owner());
    Ok(with_cookie(&call, &SessionEnd { ended }, &authenticator.sessions().clear_cookie()))
}

impl ApiCall {
    /// Returns the owner of the codes and sessions that this call uses.
    fn session_owner(&self) -> Option<SessionOwner> {
        self.peer().and_then(PeerConnection::session_owner)
    }
}

fn key_error() -> ApiError {
    ApiError::field("key", "Field \"key\" must be 64 random hexadecimal digits in lower case.")
}

fn expires_at_ms(call: &ApiCall, ttl: Duration) -> WallMs {
    call.core.system.now_ms().saturating_add(WallMs::try_from(ttl.as_millis()).unwrap_or(WallMs::MAX))
}

fn with_cookie(call: &ApiCall, data: &impl Serialize, cookie: &str) -> ApiReply {
    let mut response = reply::into_response(Ok(call.success(data)), &call.id);
    let cookie = HeaderValue::from_str(cookie).expect("name, hexadecimal digits and attributes are ASCII");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    ApiReply::Raw(response)
}

impl From<RandomUnavailable> for ApiError {
    fn from(_: RandomUnavailable) -> Self {
        ApiError::new(Code::InternalError, "The system provides no random numbers.")
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            // 403, as for a wrong pairing code.
            SessionError::WrongCode => ApiError::field(
                "code",
                "This code is unknown, expired, already used, or belongs to another user. Run `baa-conductor open` as the user of \
                 this browser to get a new one.",
            )
            .status(403),
            SessionError::Throttled { left } => {
                let message = "Too many wrong codes. Further ones are refused for up to a minute.";
                ApiError::new(Code::AuthThrottled, message).retry_after((left.as_secs() + 1).min(60))
            }
            SessionError::NoRandom(error) => error.into(),
        }
    }
}
