//! The processing of every HTTP request: origin policy, authentication, body, handler, response. One place, so that no
//! route can leave out a step.

use super::{
    ServerCore,
    access_grant::AccessGrant,
    authenticator::{Caller, PeerConnection, RouteAccess},
    body::{self, BodyLimits},
    connections::{LAST_FRAME_GRACE, TrackedBody},
    error::{ApiError, Code},
    origin_policy::{NotLocal, OriginPolicy, RouteClass},
    page,
    reply::{ApiReply, REQUEST_ID, SuccessEnvelope, into_response},
    route::Route,
    sse_body::{FrameSource, SseBody},
};
use crate::{
    failpoints, ids,
    wire::{JsonObject, json},
};
use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web::Payload,
};
use bytestring::ByteString;
use futures_util::FutureExt;
use serde::Serialize;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Seconds for which browsers may cache a preflight response.
const PREFLIGHT_SECONDS: &str = "600";

/// Largest body from an unauthenticated caller: enough for the status page's code. More would let any caller take
/// memory.
const OPEN_BODY_BYTES_MAX: usize = 4 << 10;

/// A request that passed the checks, with its body.
pub struct ApiCall {
    /// The services of the daemon.
    pub core: Arc<ServerCore>,
    /// The request's id.
    pub id: Arc<str>,
    /// The kind of caller.
    pub caller: Caller,
    /// The caller's grant; streams end with it.
    pub(super) grant: AccessGrant,
    /// The request head.
    pub request: HttpRequest,
    /// The complete body, `{}` if there was none.
    pub body: ByteString,
    /// The body as a stream, for the route that switches protocols.
    pub payload: Option<Payload>,
}

impl ApiCall {
    /// Returns a success with `data`.
    pub fn success(&self, data: &impl Serialize) -> ApiReply {
        let mut text = SuccessEnvelope::begin(&self.id, 256);
        json::write(&mut text, data);
        ApiReply::Success(SuccessEnvelope::end(text))
    }

    /// Returns a stream of server-sent events from `frames`, with comments as keep-alive.
    pub(super) fn stream(&self, frames: impl FrameSource + Unpin + 'static) -> ApiReply {
        let keep_alive = Duration::from_millis(self.core.server.sse_keep_alive_ms);
        ApiReply::Stream(BoxBody::new(SseBody::new(frames, keep_alive)))
    }

    /// Parses the body as a JSON object.
    pub fn fields(&self) -> Result<JsonObject<'_>, ApiError> {
        body::parse_object(&self.body)
    }

    /// Returns the first query parameter among `names` (the `snake_case` name and its camelCase form), decoded and
    /// trimmed; `None` if empty.
    pub fn query(&self, names: &[&str]) -> Option<String> {
        let query = self.request.query_string();
        let find = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(given, _)| given == name)
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        names.iter().find_map(|name| find(name))
    }

    /// Returns a parameter of the path.
    pub fn part(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    pub(super) fn peer(&self) -> Option<&PeerConnection> {
        self.request.conn_data::<PeerConnection>()
    }
}

/// Serves a request for a known route.
pub(super) async fn serve(
    core: Arc<ServerCore>,
    origin_policy: &OriginPolicy,
    route: &'static Route,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let (id, metrics, since) = (request_id(&request), core.metrics.http.clone(), Instant::now());
    let in_flight = request.conn_data::<PeerConnection>().map(|peer| peer.connection.begin_request());
    let mut grant = AccessGrant::permanent();
    let (result, allowed) = match origin_policy.check(request.head(), route_class(route)) {
        Err(error) => {
            delay_unauthenticated(&request).await;
            (Err(error), None)
        }
        Ok(passed) => {
            let authenticated = authenticate(&core, route, passed.local, &request).await;
            let result = match authenticated {
                Err(error) => Err(error),
                Ok((caller, by)) => {
                    grant = by.clone();
                    let work = run_while_granted(core, route, Arc::clone(&id), (caller, by), request.clone(), payload);
                    // A panic fails this one request only.
                    let failed = |_| Err(ApiError::new(Code::InternalError, "The service failed unexpectedly."));
                    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(failed)
                }
            };
            (result, passed.allowed_origin)
        }
    };
    let mut response = finish_response(result, &id, allowed.as_deref(), &request);
    if let Some(in_flight) = in_flight {
        response = response.map_body(|_, body| TrackedBody::wrap(body, in_flight, &grant));
    }
    if let Some(successor) = route.successor {
        add_deprecation_headers(&mut response, successor);
    }
    metrics.answered(Some(route.path), request.method().as_str(), response.status().as_str(), since);
    response
}

fn route_class(route: &Route) -> RouteClass {
    match route.path {
        page::PATH => RouteClass::Document,
        _ if route.is_socket() => RouteClass::Socket,
        _ => RouteClass::Other,
    }
}

/// Marks the response of an older route with its successor.
fn add_deprecation_headers(response: &mut HttpResponse, successor: &'static str) {
    let headers = response.headers_mut();
    for (name, value) in [
        ("deprecation", format!("true; successor=\"{successor}\"")),
        ("link", format!("<{successor}>; rel=\"successor-version\"")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Authenticates a request. The response to an unauthenticated one is delayed by the peer's rate limits.
async fn authenticate(
    core: &ServerCore,
    route: &Route,
    local: Result<(), NotLocal>,
    request: &HttpRequest,
) -> Result<(Caller, AccessGrant), ApiError> {
    let peer = request.conn_data::<PeerConnection>();
    let authenticated = core.authenticator.authenticate(route.access, request.headers(), local, peer);
    if !matches!(authenticated, Ok((_, Some(_)))) {
        delay_unauthenticated(request).await;
    }
    let (caller, grant) = authenticated?;
    // The extension authenticates on its socket, which has rate limits of its own.
    let grant = if route.is_socket() { Some(AccessGrant::permanent()) } else { grant };
    if let (Some(peer), Some(grant)) = (peer, &grant) {
        peer.connection.set_grant(grant.clone());
    }
    Ok((caller, grant.unwrap_or_else(AccessGrant::permanent)))
}

async fn delay_unauthenticated(request: &HttpRequest) {
    if let Some(peer) = request.conn_data::<PeerConnection>() {
        peer.connection.delay_unauthenticated().await;
    }
}

/// Reads the body and handles the request, unless the grant ends before.
async fn run_while_granted(
    core: Arc<ServerCore>,
    route: &'static Route,
    id: Arc<str>,
    (caller, grant): (Caller, AccessGrant),
    request: HttpRequest,
    payload: Payload,
) -> Result<ApiReply, ApiError> {
    let valid = grant.clone();
    let work = async move {
        let (body, payload) = if route.is_socket() {
            (ByteString::new(), Some(payload))
        } else {
            let settings = &core.server;
            let bytes_max = match (route.access, caller) {
                (RouteAccess::Open, Caller::Local) => settings.max_body_bytes.min(OPEN_BODY_BYTES_MAX),
                _ => settings.max_body_bytes,
            };
            let limits = BodyLimits { bytes_max, timeout: Duration::from_millis(settings.body_timeout_ms) };
            (body::read(request.headers(), payload, limits).await?, None)
        };
        failpoints::point("handler");
        (route.handler)(ApiCall { core, id, caller, grant, request, body, payload }).await
    };
    let over = || Err(ApiError::new(Code::Unauthorized, "The caller's token was replaced, or its session has ended."));
    valid.run_while_valid(LAST_FRAME_GRACE / 2, work).await.unwrap_or_else(over)
}

/// A path of the table that was requested with a method that it does not have.
#[derive(Clone, Copy)]
pub(super) struct KnownPath {
    pub(super) path: &'static str,
    /// The methods of the path, as in the `Allow` header.
    pub(super) allow: &'static str,
}

/// Answers a request for an unknown path, or for a `known` one with another method.
pub(super) async fn refuse(
    core: &ServerCore,
    origin_policy: &OriginPolicy,
    known: Option<KnownPath>,
    request: HttpRequest,
) -> HttpResponse {
    let since = Instant::now();
    let _in_flight = request.conn_data::<PeerConnection>().map(|peer| peer.connection.begin_request());
    delay_unauthenticated(&request).await;
    let response = refusal_response(origin_policy, known.map(|known| known.allow), &request);
    let (route, method) = (known.map(|known| known.path), request.method().as_str());
    core.metrics.http.answered(route, method, response.status().as_str(), since);
    response
}

fn refusal_response(origin_policy: &OriginPolicy, allow: Option<&'static str>, request: &HttpRequest) -> HttpResponse {
    let id = request_id(request);
    let passed = match origin_policy.check(request.head(), RouteClass::Other) {
        Ok(passed) => passed,
        Err(error) => return finish_response(Err(error), &id, None, request),
    };
    let origin = passed.allowed_origin.as_deref();
    let error = match (request.method(), allow) {
        (&Method::OPTIONS, _) => match origin {
            Some(origin) if request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) => {
                return preflight(origin, &id);
            }
            _ => ApiError::new(Code::OriginNotAllowed, "OPTIONS is answered for allowed origins only."),
        },
        (method, Some(methods)) => {
            ApiError::new(Code::MethodNotAllowed, format!("This path does not support {method}.")).allow(methods)
        }
        (_, None) => ApiError::not_found("route", "There is no such route."),
    };
    finish_response(Err(error), &id, origin, request)
}

fn request_id(request: &HttpRequest) -> Arc<str> {
    let given = request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes);
    match given.filter(|id| (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)) {
        Some(id) => String::from_utf8_lossy(id).into(),
        None => ids::RequestId::generate().shared(),
    }
}

fn finish_response(
    result: Result<ApiReply, ApiError>,
    id: &str,
    origin: Option<&str>,
    request: &HttpRequest,
) -> HttpResponse {
    if let Err(error) = &result {
        tracing::debug!(
            http.id = id,
            method = %request.method(),
            path = request.path(),
            status = error.status_code(),
            code = error.name(),
            "refused or failed"
        );
    }
    let mut response = into_response(result, id);
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after"));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

fn preflight(origin: &str, id: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::NO_CONTENT)
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, last-event-id, x-request-id",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS))
        .insert_header((header::VARY, "origin"))
        .insert_header((REQUEST_ID, id))
        .finish()
}
