//! The bodies of browser requests: what each field must be, and what it becomes. Pure.

use super::{
    body,
    error::{ApiError, Code},
};
use crate::{
    api::{
        browser_request::{BrowserRequest, CancelRequest, ClaudeRequest},
        policy::PolicyResetRequest,
    },
    ids::{ClientId, PlatformName, RequestId},
    platforms::{
        registry::{Platform, PlatformMode, PlatformRegistry},
        request_path::check_path,
    },
    relay::{RelayRequest, RequestWork, ResponseMode, UpstreamCall},
    wire::{FieldError, JsonObject, RawJson},
};
use bytestring::ByteString;
use serde_json::{Map, Value};
use std::{borrow::Cow, time::Duration};

mod action;
mod headers;
mod prompt;

pub(super) use action::action;
pub(super) use prompt::asked;

/// The names of a field, the preferred one first.
type FieldNames = &'static [&'static str];

/// Milliseconds that a caller may ask for.
pub(super) const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// Methods that need no memory of their own.
const USUAL_METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
/// Most characters of a reason.
const REASON_CHARS_MAX: usize = 1_024;
/// Most characters of the reason for a decision or a change of mode, which is kept.
const SHORT_REASON_CHARS_MAX: usize = 500;

/// A cancel as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CancelFields {
    pub(super) request_id: RequestId,
    pub(super) platform: String,
    pub(super) client_id: Option<ClientId>,
    pub(super) reason: Option<String>,
}

/// What an older route fills in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset {
    /// The platform, whatever the body may name beside it.
    pub(super) platform: &'static str,
    /// The method of a request that names none.
    pub(super) method: &'static str,
}

/// Reads the body of `POST /v1/browser/request`.
pub(super) fn request(
    text: &ByteString,
    query_timeout: Option<&str>,
    preset: Option<Preset>,
    registry: &PlatformRegistry,
) -> Result<RelayRequest, ApiError> {
    let fields = body::parse_object(text)?;
    let platform = match preset {
        Some(preset) => preset_platform(&fields, preset.platform, registry)?,
        None => platform(&fields, registry)?,
    };
    let client_id = client_id(&fields, BrowserRequest::client_id())?;
    let id = match fields.text(BrowserRequest::request_id())? {
        Some(id) => RequestId::parse(&id).map_err(|e| FieldError::new("request_id", e.to_string()))?,
        None => RequestId::generate(),
    };
    let mode = mode(&fields, platform, registry)?;
    let timeout = timeout(&fields, BrowserRequest::timeout_ms(), query_timeout)?;
    let given = fields.get(BrowserRequest::request_body()).map(|raw| RawJson::cut(text, raw));
    // As it was typed: blanks may mean something.
    let prompt = fields.verbatim(BrowserRequest::prompt())?;
    let Some(path) = fields.text(BrowserRequest::path())? else {
        let prompt = prompt.ok_or_else(|| FieldError::new("path", "is required"))?;
        if method(&fields, "POST")? != "POST" {
            return Err(FieldError::new("method", "cannot be chosen with a prompt: it is POST").into());
        }
        let (work, call) = prompt::work(&fields, platform, registry, &prompt, given)?;
        return Ok(RelayRequest { id, platform: platform.name.clone(), client_id, mode, work, call, timeout });
    };
    check_path(platform, &path).map_err(|e| FieldError::new("path", e.to_string()))?;
    let body =
        given.or_else(|| prompt.map(|prompt| RawJson::of(&Map::from_iter([("prompt".into(), Value::from(prompt))]))));
    let usual = preset.map_or(if body.is_some() { "POST" } else { "GET" }, |preset| preset.method);
    let method = method(&fields, usual)?;
    let headers = headers::read(&fields, body.as_ref().is_some_and(|body| !body.text().starts_with('"')))?;
    let call = UpstreamCall { method, path: path.into_owned(), headers, body };
    Ok(RelayRequest { id, platform: platform.name.clone(), client_id, mode, work: RequestWork::Call, call, timeout })
}

/// Reads the body of `POST /v1/browser/request/cancel`.
pub(super) fn cancel(text: &str) -> Result<CancelFields, ApiError> {
    let fields = body::parse_object(text)?;
    let id = fields.required_text(CancelRequest::request_id())?;
    Ok(CancelFields {
        request_id: RequestId::parse(&id).map_err(|e| FieldError::new("request_id", e.to_string()))?,
        platform: fields.required_text(CancelRequest::platform())?.into_owned(),
        client_id: client_id(&fields, CancelRequest::client_id())?,
        reason: reason(&fields, CancelRequest::reason())?,
    })
}

/// Reads the body of `POST /v1/browser/policy/reset`: which targets are meant, by client and by platform.
pub(super) fn reset(
    text: &str,
    registry: &PlatformRegistry,
) -> Result<(Option<ClientId>, Option<PlatformName>), ApiError> {
    let fields = body::parse_object(text)?;
    let platform = fields.text(PolicyResetRequest::platform())?.map(|name| registered(&name, registry)).transpose()?;
    Ok((client_id(&fields, PolicyResetRequest::client_id())?, platform.map(|platform| platform.name.clone())))
}

/// Reads the reason for a decision or a change of mode.
pub(super) fn short_reason(fields: &JsonObject<'_>, names: FieldNames) -> Result<Option<String>, FieldError> {
    let reason = fields.text(names)?.map(Cow::into_owned);
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > SHORT_REASON_CHARS_MAX) {
        return Err(FieldError::new(names[0], format!("must not be longer than {SHORT_REASON_CHARS_MAX} characters")));
    }
    Ok(reason)
}

fn reason(fields: &JsonObject<'_>, names: FieldNames) -> Result<Option<String>, FieldError> {
    Ok(fields.text(names)?.map(|reason| reason.chars().take(REASON_CHARS_MAX).collect()))
}

fn platform<'r>(fields: &JsonObject<'_>, registry: &'r PlatformRegistry) -> Result<&'r Platform, ApiError> {
    registered(&fields.required_text(BrowserRequest::platform())?, registry)
}

/// The route's own platform; a body that names another contradicts it.
fn preset_platform<'r>(
    fields: &JsonObject<'_>,
    preset: &'static str,
    registry: &'r PlatformRegistry,
) -> Result<&'r Platform, ApiError> {
    if fields.text(ClaudeRequest::platform())?.is_some_and(|given| given != preset) {
        return Err(FieldError::new("platform", format!("must be {preset} here, or be left out")).into());
    }
    registered(preset, registry)
}

/// The registered platform of that name.
pub(super) fn registered<'r>(name: &str, registry: &'r PlatformRegistry) -> Result<&'r Platform, ApiError> {
    registry.get(name).map(|platform| &**platform).ok_or_else(|| {
        let names: Vec<_> = registry.names().collect();
        ApiError::new(Code::PlatformNotSupported, "This platform is not registered.").with("supported_platforms", names)
    })
}

fn client_id(fields: &JsonObject<'_>, names: FieldNames) -> Result<Option<ClientId>, FieldError> {
    fields.text(names)?.map(|id| client(&id)).transpose()
}

/// The name of a client, whether or not there is one of that name.
pub(super) fn client(id: &str) -> Result<ClientId, FieldError> {
    ClientId::parse(id).map_err(|e| FieldError::new("client_id", e.to_string()))
}

fn mode(fields: &JsonObject<'_>, platform: &Platform, registry: &PlatformRegistry) -> Result<ResponseMode, ApiError> {
    let (mode, needed) = match fields.text(BrowserRequest::response_mode())?.as_deref() {
        None | Some("buffered") => (ResponseMode::Buffered, PlatformMode::Buffered),
        Some("sse") => (ResponseMode::Sse, PlatformMode::Sse),
        Some(_) => return Err(FieldError::new("response_mode", "must be buffered or sse").into()),
    };
    if platform.supports(needed) {
        return Ok(mode);
    }
    let message = format!("Platform \"{}\" has no mode {}.", platform.name, mode.name());
    let able = registry.all().iter().filter(|platform| platform.supports(needed));
    let names: Vec<_> = able.map(|platform| &platform.name).collect();
    let error = ApiError::new(Code::PlatformNotSupported, message);
    Err(error.with("field", "response_mode").with("supported_platforms", names))
}

fn timeout(fields: &JsonObject<'_>, names: FieldNames, query: Option<&str>) -> Result<Option<Duration>, FieldError> {
    match fields.count(names).map_err(|_| bad_timeout())? {
        Some(given) => within_bounds(given).map(Some),
        None => timeout_of(query),
    }
}

/// The same in a query.
pub(super) fn timeout_of(query: Option<&str>) -> Result<Option<Duration>, FieldError> {
    query.map(|text| text.parse().map_err(|_| bad_timeout()).and_then(within_bounds)).transpose()
}

fn within_bounds(given: u64) -> Result<Duration, FieldError> {
    if (1..=TIMEOUT_MS_MAX).contains(&given) { Ok(Duration::from_millis(given)) } else { Err(bad_timeout()) }
}

fn bad_timeout() -> FieldError {
    FieldError::new("timeout_ms", format!("must be an integer from 1 to {TIMEOUT_MS_MAX}"))
}

fn method(fields: &JsonObject<'_>, usual: &'static str) -> Result<Cow<'static, str>, FieldError> {
    let Some(given) = fields.text(BrowserRequest::method())? else {
        return Ok(Cow::Borrowed(usual));
    };
    if let Some(usual) = USUAL_METHODS.iter().find(|usual| usual.eq_ignore_ascii_case(&given)) {
        return Ok(Cow::Borrowed(usual));
    }
    let method = given.to_ascii_uppercase();
    if !headers::is_token(&method) {
        return Err(FieldError::new("method", "must be an HTTP method"));
    }
    if matches!(&*method, "CONNECT" | "TRACE" | "TRACK") {
        return Err(FieldError::new("method", format!("must not be {method}")));
    }
    Ok(Cow::Owned(method))
}

#[cfg(test)]
mod tests;
