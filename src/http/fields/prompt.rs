//! A prompt without a path: how it is sent is the platform's.

use super::headers;
use crate::{
    http::error::{ApiError, Code},
    platforms::{
        plan::{AppId, Asked, Plan, prompt_body},
        registry::{Platform, Prompt, Registry},
    },
    relay::{Call, Work},
    wire::{BadField, Object, Raw},
};

/// What has to be done to say `prompt`; `given`: a body that the caller wants sent in its place.
pub(super) fn work(
    fields: &Object<'_>,
    platform: &Platform,
    registry: &Registry,
    prompt: &str,
    given: Option<Raw>,
) -> Result<(Work, Call), ApiError> {
    if prompt.trim().is_empty() {
        return Err(BadField::new("prompt", "must not be empty").into());
    }
    let call = Call { method: "POST".into(), ..Call::default() };
    match platform.prompt {
        Prompt::Claude => {
            let asked = asked(|name| fields.text(&[name]).map(|text| text.map(std::borrow::Cow::into_owned)))?;
            let body = given.unwrap_or_else(|| prompt_body(prompt));
            let headers = headers::read(fields, !body.text().starts_with('"'))?;
            Ok((Work::Plan(Plan::ClaudePrompt { asked, headers, body }), call))
        }
        Prompt::Template if given.is_some() => {
            let why = "cannot be given with a prompt for this platform: the extension fills in what it has learned";
            Err(BadField::new("request_body", why).into())
        }
        Prompt::Template => {
            let headers = headers::read(fields, false)?;
            Ok((Work::Template(prompt.to_owned()), Call { headers, ..call }))
        }
        Prompt::None => {
            let has = |platform: &&std::sync::Arc<Platform>| platform.prompt != Prompt::None;
            let names: Vec<_> = registry.all().iter().filter(has).map(|platform| &platform.name).collect();
            let message = format!("Platform \"{}\" takes no prompt: give a path.", platform.name);
            Err(ApiError::new(Code::PlatformNotSupported, message).with("supported_platforms", names))
        }
    }
}

/// Where in Claude the caller wants to go; `field` reads a field, or a part of the query, by its name.
pub(in crate::http) fn asked(
    field: impl Fn(&'static str) -> Result<Option<String>, BadField>,
) -> Result<Asked, BadField> {
    let id = |name| {
        let parse = |text: String| AppId::parse(&text).map_err(|e| BadField::new(name, e.to_string()));
        field(name)?.map(parse).transpose()
    };
    Ok(Asked { organization_id: id("organization_id")?, conversation_id: id("conversation_id")? })
}
