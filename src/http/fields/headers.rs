//! The headers that a caller may send along: what a page's own script could set, and nothing else.

use crate::api::browser_request::BrowserRequest;
use crate::wire::{FieldError, JsonObject, RawJson};
use bytestring::ByteString;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Most headers of one request.
const HEADERS_MAX: usize = 64;

/// The Fetch standard's forbidden request headers; those that begin with `proxy-` or `sec-` are forbidden too.
const FORBIDDEN: [&str; 22] = [
    "accept-charset",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Reads the field `headers`. A body that is `json` has a content type unless they name one.
pub(super) fn read(fields: &JsonObject<'_>, json: bool) -> Result<RawJson, FieldError> {
    let fault = |why: String| FieldError::new("headers", why);
    let mut headers = Map::new();
    if fields.get(BrowserRequest::headers()).is_none() {
        let usual = if json { r#"{"content-type":"application/json"}"# } else { "{}" };
        return Ok(RawJson::trusted(ByteString::from_static(usual)));
    }
    if let Some(given) = fields.object(BrowserRequest::headers())? {
        if given.names().count() > HEADERS_MAX {
            return Err(fault(format!("must not hold more than {HEADERS_MAX} headers")));
        }
        for (name, value) in given.iter() {
            let value = serde_json::from_str::<Cow<'_, str>>(value.get())
                .map_err(|_| fault(format!("must hold strings; \"{}\" is none", clip(name))))?;
            check(name, &value).map_err(|why| fault(format!("must not hold \"{}\": {why}", clip(name))))?;
            headers.insert(name.to_owned(), Value::from(value));
        }
    }
    if json && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        headers.insert("content-type".to_owned(), Value::from("application/json"));
    }
    Ok(RawJson::of(&headers))
}

fn check(name: &str, value: &str) -> Result<(), &'static str> {
    if !is_token(name) {
        return Err("not a header name");
    }
    if value.chars().any(|c| c == '\r' || c == '\n' || c == '\0') {
        return Err("a value must not break the line");
    }
    let lower = name.to_ascii_lowercase();
    let overrides = matches!(&*lower, "x-http-method" | "x-http-method-override" | "x-method-override")
        && value.split(',').any(|method| {
            ["connect", "trace", "track"].iter().any(|forbidden| method.trim().eq_ignore_ascii_case(forbidden))
        });
    if overrides || FORBIDDEN.contains(&&*lower) || lower.starts_with("proxy-") || lower.starts_with("sec-") {
        return Err("the browser sets it alone");
    }
    Ok(())
}

/// Whether `text` is a token in the sense of HTTP.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn clip(name: &str) -> String {
    name.chars().take(64).collect()
}
