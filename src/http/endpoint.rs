//! The way of every HTTP request: guard, body, handler, envelope. One place, so that no route can leave a step out.

use super::{
    Core,
    authority::Authority,
    body::{self, Limits},
    callers::{Access, Caller, Peer},
    connections::{LAST_WORD, Lasting},
    error::{ApiError, Code},
    origins::{NotLocal, Origins, Target},
    page,
    reply::{REQUEST_ID, Reply, Success, respond},
    route::Route,
    sse_body::{Frames, SseBody},
};
use crate::{
    faults, ids,
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

/// How long a browser may remember a preflight's answer, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Bytes of a body that anybody may send: a code for the status page. Of more, whoever can connect could have a lot of
/// memory taken.
const OPEN_BODY_BYTES_MAX: usize = 4 << 10;

/// A call that passed its guard.
pub struct Call {
    /// The daemon.
    pub core: Arc<Core>,
    /// The id of this exchange.
    pub id: Arc<str>,
    /// Who calls.
    pub caller: Caller,
    /// What lets it in; what lasts ends with it.
    pub(super) authority: Authority,
    /// The head.
    pub request: HttpRequest,
    /// The whole body, `{}` when there was none.
    pub body: ByteString,
    /// The body as a stream, for the one route that switches protocols.
    pub payload: Option<Payload>,
}

impl Call {
    /// A success with this data.
    pub fn success(&self, data: &impl Serialize) -> Reply {
        let mut text = Success::begin(&self.id, 256);
        json::write(&mut text, data);
        Reply::Success(Success::end(text))
    }

    /// A stream of server-sent events: these frames, and comments while there are none.
    pub(super) fn stream(&self, frames: impl Frames + Unpin + 'static) -> Reply {
        let keep_alive = Duration::from_millis(self.core.server.sse_keep_alive_ms);
        Reply::Stream(BoxBody::new(SseBody::new(frames, keep_alive)))
    }

    /// The fields of the body.
    ///
    /// # Errors
    ///
    /// The body is no JSON object.
    pub fn fields(&self) -> Result<JsonObject<'_>, ApiError> {
        body::object(&self.body)
    }

    /// A parameter of the query, decoded; the `snake_case` name or its camelCase form, trimmed, never empty.
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

    /// A part of the path.
    pub fn part(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        self.request.conn_data::<Peer>()
    }
}

/// A request for a known route.
pub(super) async fn serve(
    core: Arc<Core>,
    origins: &Origins,
    route: &'static Route,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let (id, metrics, since) = (exchange_id(&request), core.metrics.http.clone(), Instant::now());
    let under_way = request.conn_data::<Peer>().map(|peer| peer.open.request());
    let mut authority = Authority::lasting();
    let (result, allowed) = match origins.check(request.head(), target(route)) {
        Err(error) => {
            rein_in(&request).await;
            (Err(error), None)
        }
        Ok(passed) => {
            let admitted = admit(&core, route, passed.local, &request).await;
            let result = match admitted {
                Err(error) => Err(error),
                Ok((caller, by)) => {
                    authority = by.clone();
                    let work = handle(core, route, Arc::clone(&id), (caller, by), request.clone(), payload);
                    // A panic costs this one answer.
                    let failed = |_| Err(ApiError::new(Code::InternalError, "The service failed unexpectedly."));
                    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(failed)
                }
            };
            (result, passed.allowed_origin)
        }
    };
    let mut response = seal(result, &id, allowed.as_deref(), &request);
    if let Some(under_way) = under_way {
        response = response.map_body(|_, body| Lasting::keep(body, under_way, &authority));
    }
    if let Some(successor) = route.successor {
        deprecate(&mut response, successor);
    }
    metrics.answered(Some(route.path), request.method().as_str(), response.status().as_str(), since);
    response
}

/// What the checks of its origin have to know of a route.
fn target(route: &Route) -> Target {
    match route.path {
        page::PATH => Target::Document,
        _ if route.is_socket() => Target::Socket,
        _ => Target::Other,
    }
}

/// Says on an older route's answer which one to use instead.
fn deprecate(response: &mut HttpResponse, successor: &'static str) {
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

/// Who calls. One that shows nothing which lets it in is answered at the pace of such alone.
async fn admit(
    core: &Core,
    route: &Route,
    local: Result<(), NotLocal>,
    request: &HttpRequest,
) -> Result<(Caller, Authority), ApiError> {
    let peer = request.conn_data::<Peer>();
    let admitted = core.callers.admit(route.access, request.headers(), local, peer);
    if !matches!(admitted, Ok((_, Some(_)))) {
        rein_in(request).await;
    }
    let (caller, authority) = admitted?;
    // A Firefox proves itself on its socket, which has paces of its own, whatever its handshake shows.
    let authority = if route.is_socket() { Some(Authority::lasting()) } else { authority };
    if let (Some(peer), Some(authority)) = (peer, &authority) {
        peer.open.admit(authority.clone());
    }
    Ok((caller, authority.unwrap_or_else(Authority::lasting)))
}

async fn rein_in(request: &HttpRequest) {
    if let Some(peer) = request.conn_data::<Peer>() {
        peer.open.rein_in().await;
    }
}

/// Does what was asked for, for as long as what let the caller in holds.
async fn handle(
    core: Arc<Core>,
    route: &'static Route,
    id: Arc<str>,
    (caller, authority): (Caller, Authority),
    request: HttpRequest,
    payload: Payload,
) -> Result<Reply, ApiError> {
    let work = perform(core, route, id, (caller, authority.clone()), request, payload);
    let over = || Err(ApiError::new(Code::Unauthorized, "The token or the session of this caller has ended."));
    authority.bounds(LAST_WORD / 2, work).await.unwrap_or_else(over)
}

async fn perform(
    core: Arc<Core>,
    route: &'static Route,
    id: Arc<str>,
    (caller, authority): (Caller, Authority),
    request: HttpRequest,
    payload: Payload,
) -> Result<Reply, ApiError> {
    let (body, payload) = if route.is_socket() {
        (ByteString::new(), Some(payload))
    } else {
        let settings = &core.server;
        let bytes_max = match (route.access, caller) {
            (Access::Open, Caller::Local) => settings.max_body_bytes.min(OPEN_BODY_BYTES_MAX),
            _ => settings.max_body_bytes,
        };
        let limits = Limits { bytes_max, time: Duration::from_millis(settings.body_timeout_ms) };
        (body::read(request.headers(), payload, limits).await?, None)
    };
    faults::point("handler");
    (route.handler)(Call { core, id, caller, authority, request, body, payload }).await
}

/// A path of the table that was asked for by another method than it has.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Its template.
    pub(super) path: &'static str,
    /// The methods that it has.
    pub(super) allow: &'static str,
}

/// A request for no route, or for another method of one: `known` is that one.
pub(super) async fn refuse(core: &Core, origins: &Origins, known: Option<Known>, request: HttpRequest) -> HttpResponse {
    let since = Instant::now();
    let _under_way = request.conn_data::<Peer>().map(|peer| peer.open.request());
    rein_in(&request).await;
    let response = refusal(origins, known.map(|known| known.allow), &request);
    let (route, method) = (known.map(|known| known.path), request.method().as_str());
    core.metrics.http.answered(route, method, response.status().as_str(), since);
    response
}

fn refusal(origins: &Origins, allow: Option<&'static str>, request: &HttpRequest) -> HttpResponse {
    let id = exchange_id(request);
    let passed = match origins.check(request.head(), Target::Other) {
        Ok(passed) => passed,
        Err(error) => return seal(Err(error), &id, None, request),
    };
    let origin = passed.allowed_origin.as_deref();
    let error = match (request.method(), allow) {
        (&Method::OPTIONS, _) => match origin {
            Some(origin) if request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) => {
                return preflight(origin, &id);
            }
            _ => ApiError::new(Code::OriginNotAllowed, "OPTIONS is answered to allowed origins alone."),
        },
        (method, Some(methods)) => {
            ApiError::new(Code::MethodNotAllowed, format!("{method} is not possible here.")).allow(methods)
        }
        (_, None) => ApiError::not_found("route", "There is no such route."),
    };
    seal(Err(error), &id, origin, request)
}

fn exchange_id(request: &HttpRequest) -> Arc<str> {
    let given = request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes);
    match given.filter(|id| (1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)) {
        Some(id) => String::from_utf8_lossy(id).into(),
        None => ids::RequestId::generate().shared(),
    }
}

fn seal(result: Result<Reply, ApiError>, id: &str, origin: Option<&str>, request: &HttpRequest) -> HttpResponse {
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
    let mut response = respond(result, id);
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
