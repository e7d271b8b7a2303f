//! A prompt without a path: how it is sent is the platform's.

use super::{FieldNames, headers};
use crate::{
    api::browser_request::BrowserRequest,
    http::error::{ApiError, Code},
    platforms::{
        plan::{AppId, RequestPlan, RequestedLocation, prompt_body},
        registry::{Platform, PlatformRegistry, PromptMethod},
    },
    relay::{RequestWork, UpstreamCall},
    wire::{FieldError, JsonObject, RawJson},
};

/// What has to be done to say `prompt`; `given`: a body that the caller wants sent in its place.
pub(super) fn work(
    fields: &JsonObject<'_>,
    platform: &Platform,
    registry: &PlatformRegistry,
    prompt: &str,
    given: Option<RawJson>,
) -> Result<(RequestWork, UpstreamCall), ApiError> {
    if prompt.trim().is_empty() {
        return Err(FieldError::new("prompt", "must not be empty").into());
    }
    let call = UpstreamCall { method: "POST".into(), ..UpstreamCall::default() };
    match platform.prompt {
        PromptMethod::Claude => {
            let asked = asked(|names| fields.text(names).map(|text| text.map(std::borrow::Cow::into_owned)))?;
            let body = given.unwrap_or_else(|| prompt_body(prompt));
            let headers = headers::read(fields, !body.text().starts_with('"'))?;
            Ok((RequestWork::Plan(RequestPlan::ClaudePrompt { asked, headers, body }), call))
        }
        PromptMethod::Template if given.is_some() => {
            let why = "cannot be given with a prompt for this platform: the extension fills in what it has learned";
            Err(FieldError::new("request_body", why).into())
        }
        PromptMethod::Template => {
            let headers = headers::read(fields, false)?;
            Ok((RequestWork::Template(prompt.to_owned()), UpstreamCall { headers, ..call }))
        }
        PromptMethod::None => {
            let has = |platform: &&std::sync::Arc<Platform>| platform.prompt != PromptMethod::None;
            let names: Vec<_> = registry.all().iter().filter(has).map(|platform| &platform.name).collect();
            let message = format!("Platform \"{}\" takes no prompt: give a path.", platform.name);
            Err(ApiError::new(Code::PlatformNotSupported, message).with("supported_platforms", names))
        }
    }
}

/// Where in Claude the caller wants to go; `field` reads a field, or a part of the query, by its names.
pub(in crate::http) fn asked(
    field: impl Fn(FieldNames) -> Result<Option<String>, FieldError>,
) -> Result<RequestedLocation, FieldError> {
    let id = |names: FieldNames| {
        let parse = |text: String| AppId::parse(&text).map_err(|e| FieldError::new(names[0], e.to_string()));
        field(names)?.map(parse).transpose()
    };
    Ok(RequestedLocation {
        organization_id: id(BrowserRequest::organization_id())?,
        conversation_id: id(BrowserRequest::conversation_id())?,
    })
}
