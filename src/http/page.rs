//! The status page: the files of `web/status-page/assets` and the library that draws its plots, all embedded in the binary. It
//! contains no data, so it is served without authentication.
//!
//! `uplot.js`, `uplot.css` and `uplot-license.txt` are uPlot 1.6.32 as published on npm, byte for byte.

use super::{
    endpoint::ApiCall,
    error::ApiError,
    reply::{self, ApiReply},
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::{self, HeaderName, HeaderValue},
};

/// The path of the page.
pub const PATH: &str = "/v1/status/ui";
/// The page's content security policy: requests to its own origin only.
pub(super) const CSP: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                              object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const INDEX: &str = include_str!("../../web/status-page/assets/index.html");

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($kind:ident $name:literal)*) => {
        &[$(($name, $kind, include_str!(concat!("../../web/status-page/assets/", $name))),)*]
    };
}

/// Name, content type and text of each file besides the page itself.
const ASSETS: &[(&str, &str, &str)] = assets! {
    JS "api.js"
    JS "characters.js"
    JS "charts.js"
    JS "decide.js"
    JS "dom.js"
    JS "headline.js"
    SVG "icon.svg"
    JS "live.js"
    JS "load.js"
    JS "main.js"
    CSS "page.css"
    JS "plans.js"
    JS "sections.js"
    JS "series.js"
    JS "session.js"
    JS "source.js"
    JS "state.js"
    TEXT "uplot-license.txt"
    CSS "uplot.css"
    JS "uplot.js"
    JS "views.js"
    JS "words.js"
};

/// `GET /`.
pub(super) async fn root(call: ApiCall) -> Result<ApiReply, ApiError> {
    let mut response = HttpResponse::TemporaryRedirect();
    response.insert_header((header::LOCATION, HeaderValue::from_static(PATH)));
    Ok(guarded(&call, response, ""))
}

/// `GET /v1/status/ui`.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(guarded(&call, of_kind("text/html; charset=utf-8"), INDEX))
}

/// `GET /v1/status/ui/{asset}`.
pub(super) async fn asset(call: ApiCall) -> Result<ApiReply, ApiError> {
    let wanted = call.part("asset");
    let (_, kind, text) = ASSETS
        .iter()
        .find(|(name, ..)| *name == wanted)
        .ok_or_else(|| ApiError::not_found("asset", "The status page has no such file."))?;
    Ok(guarded(&call, of_kind(kind), text))
}

fn of_kind(kind: &'static str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(kind)));
    response
}

/// Returns a response that other pages can neither frame nor read.
fn guarded(call: &ApiCall, mut response: HttpResponseBuilder, text: &'static str) -> ApiReply {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` the page's own requests would have the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        // Another version of the daemon serves another page at the same address.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
    reply::set_request_id(&mut response, &call.id);
    ApiReply::Raw(response.body(text))
}

#[cfg(test)]
mod tests;
