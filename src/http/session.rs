//! `/v1/session`: how the status page logs in, by a code that whoever has the token was given for it.

use super::{
    callers::Peer,
    endpoint::Call,
    error::{ApiError, Code},
    reply::{self, Reply},
    sessions::{NoRandom, NoSession, SessionKey, SessionOwner},
};
use crate::clock::WallMs;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;
use std::time::Duration;

#[derive(Serialize)]
struct Issued<'a> {
    code: &'a str,
    expires_at: WallMs,
}

#[derive(Serialize)]
struct Begun {
    expires_at: WallMs,
}

#[derive(Serialize)]
struct Ended {
    ended: bool,
}

/// `POST /v1/session/codes`.
pub(super) async fn issue(call: Call) -> Result<Reply, ApiError> {
    let callers = &call.core.callers;
    let code = callers.sessions().issue(call.session_owner())?;
    let expires_at = ends(&call, callers.sessions().code_ttl());
    Ok(call.success(&Issued { code: code.expose(), expires_at }))
}

/// `POST /v1/session`.
pub(super) async fn begin(call: Call) -> Result<Reply, ApiError> {
    let fields = call.fields()?;
    let code = fields.required_text(&["code"])?;
    let key = match fields.verbatim(&["key"])? {
        Some(key) => Some(SessionKey::read(key.as_bytes()).ok_or_else(not_a_key)?),
        None => None,
    };
    let callers = &call.core.callers;
    let secret = callers.sessions().begin(&code, key, call.session_owner(), call.peer().map(Peer::holder))?;
    let expires_at = ends(&call, callers.sessions().session_ttl());
    Ok(with_cookie(&call, &Begun { expires_at }, &callers.sessions().cookie(&secret)))
}

/// `DELETE /v1/session`.
pub(super) async fn end(call: Call) -> Result<Reply, ApiError> {
    let callers = &call.core.callers;
    let ended = callers.sessions().end(call.request.headers(), call.session_owner());
    Ok(with_cookie(&call, &Ended { ended }, &callers.sessions().no_cookie()))
}

impl Call {
    /// Whose a code or session is that is asked for by this call.
    fn session_owner(&self) -> Option<SessionOwner> {
        self.peer().and_then(Peer::session_owner)
    }
}

fn not_a_key() -> ApiError {
    ApiError::field("key", "must be 64 hexadecimal digits in lower case, drawn at random")
}

fn ends(call: &Call, ttl: Duration) -> WallMs {
    call.core.system.now_ms().saturating_add(WallMs::try_from(ttl.as_millis()).unwrap_or(WallMs::MAX))
}

fn with_cookie(call: &Call, data: &impl Serialize, cookie: &str) -> Reply {
    let mut response = reply::respond(Ok(call.success(data)), &call.id);
    let cookie = HeaderValue::from_str(cookie).expect("name, hexadecimal digits and attributes are ASCII");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Reply::Whole(response)
}

impl From<NoRandom> for ApiError {
    fn from(_: NoRandom) -> Self {
        ApiError::new(Code::InternalError, "The system gives no random numbers.")
    }
}

impl From<NoSession> for ApiError {
    fn from(why: NoSession) -> Self {
        match why {
            // As with a code for pairing.
            NoSession::WrongCode => ApiError::field(
                "code",
                "This code cannot be used, not any more, or not by this user; `baa-conductor open`, run by the user whose browser it \
                 is, gives a new one.",
            )
            .status(403),
            NoSession::Throttled { left } => {
                let message = "Too many wrong codes; further ones are not looked at for a while.";
                ApiError::new(Code::AuthThrottled, message).retry_after((left.as_secs() + 1).min(60))
            }
            NoSession::NoRandom(why) => why.into(),
        }
    }
}
