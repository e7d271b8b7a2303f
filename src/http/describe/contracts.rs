//! Contracts: what a route takes field by field, what it answers, and what can go wrong; made from the types and codes
//! that the table of routes names.

use super::{context::Context, endpoint::Example};
use crate::{
    http::{
        error::Code,
        openapi::{DescriptionFiller, SchemaCollector},
        operation::{AnswerSchema, FieldsSchema, MakeSchema},
        route::Route,
    },
    ids::PlatformName,
    relay::ResponseMode,
    wire::ActionKind,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use strum::VariantNames;

/// How a caller may have its answer.
pub(super) const RESPONSE_MODES: [ResponseMode; 2] = [ResponseMode::Buffered, ResponseMode::Sse];

/// What one route is about.
#[derive(Serialize)]
pub(super) struct Contract<'a> {
    route: ContractRoute,
    request_body: Sentences,
    response_body: Sentences,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_events: Option<Sentences>,
    supported_platforms: Vec<&'a PlatformName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_response_modes: Option<[&'static str; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_actions: Option<&'static [&'static str]>,
    error_semantics: Vec<ErrorCase>,
    examples: Vec<Example>,
}

/// Fields or events, and what each is.
type Sentences = BTreeMap<String, String>;

/// Which route, and whether this daemon has it.
#[derive(Serialize)]
struct ContractRoute {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    available: bool,
}

/// What one error code means.
#[derive(Serialize)]
struct ErrorCase {
    code: &'static str,
    status: u16,
    when: &'static str,
}

/// Routes that have a contract, each with bodies that can be sent as they are.
const EXAMPLES: [(&str, &[(&str, &str)]); 3] = [
    (
        "browser.request",
        &[
            (
                "Ask a web app's API and wait for the whole answer",
                r#"{"platform":"claude","path":"/api/organizations"}"#,
            ),
            (
                "Send JSON to a web app's API under an id of your own",
                r#"{"platform":"claude","method":"POST","path":"/api/example","request_body":{"text":"hello"},"request_id":"my-request-1","timeout_ms":60000}"#,
            ),
            (
                "Read an answer event by event as it is written",
                r#"{"platform":"claude","method":"POST","path":"/api/example/completion","prompt":"hello","response_mode":"sse"}"#,
            ),
        ],
    ),
    (
        "browser.request.cancel",
        &[(
            "Cancel a request, wherever it stands",
            r#"{"request_id":"my-request-1","platform":"claude","reason":"no longer needed"}"#,
        )],
    ),
    (
        "browser.actions",
        &[
            ("Ask the extension how it is", r#"{"action":"plugin_status"}"#),
            ("Open a platform's page", r#"{"action":"tab_open","platform":"claude","reason":"setup"}"#),
        ],
    ),
];

/// The contract of `POST /v1/browser/request`.
pub(super) fn request<'a>(context: &Context<'a>) -> Contract<'a> {
    let contract = contract(context, "browser.request");
    Contract { supported_response_modes: Some(RESPONSE_MODES.map(ResponseMode::name)), ..contract }
}

/// The contract of `POST /v1/browser/request/cancel`.
pub(super) fn cancel<'a>(context: &Context<'a>) -> Contract<'a> {
    contract(context, "browser.request.cancel")
}

/// The contract of `POST /v1/browser/actions`.
pub(super) fn action<'a>(context: &Context<'a>) -> Contract<'a> {
    Contract { supported_actions: Some(ActionKind::VARIANTS), ..contract(context, "browser.actions") }
}

fn contract<'a>(context: &Context<'a>, id: &'static str) -> Contract<'a> {
    let route = context.table.iter().find(|route| route.id == id).expect("the table has every route with a contract");
    let filler = DescriptionFiller::new(context.bridge);
    let (data, events) = match route.operation.answer {
        AnswerSchema::Data(data) => (Some(data), None),
        AnswerSchema::DataOrEvents(data, events) => (Some(data), Some(events)),
        _ => (None, None),
    };
    let sentences = |make: MakeSchema| sentences(make, &filler);
    Contract {
        route: ContractRoute { id, method: route.method, path: route.path, available: context.named(id).is_some() },
        request_body: route.operation.body.map_or_else(Sentences::new, |body| fields(&body, &filler)),
        response_body: data.map_or_else(Sentences::new, sentences),
        stream_events: events.map(sentences),
        supported_platforms: context.registry.names().collect(),
        supported_response_modes: None,
        supported_actions: None,
        error_semantics: errors(route.operation.codes),
        examples: examples(context, |route| route.id == id),
    }
}

/// The examples of the routes that `told` lets through.
pub(super) fn examples(context: &Context<'_>, told: impl Fn(&Route) -> bool) -> Vec<Example> {
    let routes = EXAMPLES.iter().filter_map(|(id, examples)| Some((context.named(id)?, *examples)));
    let calls = routes.filter(|(route, _)| told(route)).flat_map(|(route, examples)| {
        examples.iter().map(move |(title, body)| Example::new(context, title, route, body))
    });
    calls.collect()
}

/// What a body may hold; a required field says so first.
fn fields(body: &FieldsSchema, filler: &DescriptionFiller) -> Sentences {
    let schema = SchemaCollector::new(filler.clone()).body_fields(body);
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let sentence = |(name, description): (String, String)| match is_required(&name) {
        true => (name, format!("Required. {description}")),
        false => (name, description),
    };
    described(&schema).map(sentence).collect()
}

/// What an answer holds: its fields, or the events of a stream.
fn sentences(make: MakeSchema, filler: &DescriptionFiller) -> Sentences {
    let mut schemas = SchemaCollector::new(filler.clone());
    let reference = schemas.answer(make);
    let name = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
    let schema = schemas.components().remove(&name).unwrap_or_default();
    let variants = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = variants.iter().map(|variant| (text(&variant["const"]), text(&variant["description"])));
    events.chain(described(&schema)).collect()
}

/// The properties of a schema with their descriptions.
fn described(schema: &Value) -> impl Iterator<Item = (String, String)> {
    let text = |property: &Value| property["description"].as_str().unwrap_or_default().to_owned();
    schema["properties"].as_object().into_iter().flatten().map(move |(name, property)| (name.clone(), text(property)))
}

/// These codes, with what can be got wrong at any route that takes a body.
fn errors(own: &[Code]) -> Vec<ErrorCase> {
    let case = |code: &Code| {
        let (name, status) = code.entry();
        ErrorCase { code: name, status, when: code.meaning() }
    };
    GENERAL.iter().chain(own).map(case).collect()
}

const GENERAL: &[Code] = &[
    Code::InvalidRequest,
    Code::Unauthorized,
    Code::PayloadTooLarge,
    Code::BodyTimeout,
    Code::UnsupportedMediaType,
    Code::InternalError,
];

#[cfg(test)]
mod tests;
