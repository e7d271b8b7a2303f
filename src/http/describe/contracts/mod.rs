//! Contracts: what a route takes field by field, what it answers, and what can go wrong.

mod action;
mod cancel;
mod request;

pub(super) use action::action;
pub(super) use cancel::cancel;
pub(super) use request::request;

use super::{context::Context, endpoint::Example};
use crate::{
    http::{error::Code, route::Route},
    ids::PlatformName,
    wire::ActionKind,
};
use serde::{Serialize, Serializer};

/// What one route is about.
#[derive(Serialize)]
pub(super) struct Contract<'a> {
    route: ContractRoute,
    request_body: Fields,
    response_body: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_events: Option<Answer>,
    supported_platforms: Vec<&'a PlatformName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_response_modes: Option<[&'static str; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported_actions: Option<[&'static str; ActionKind::ALL.len()]>,
    error_semantics: Vec<ErrorCase>,
    examples: Vec<Example>,
}

/// Which route, and whether this daemon has it.
#[derive(Serialize)]
struct ContractRoute {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    available: bool,
}

impl ContractRoute {
    fn post(context: &Context<'_>, id: &'static str, path: &'static str) -> Self {
        ContractRoute { id, method: "POST", path, available: context.named(id).is_some() }
    }
}

/// Bodies that can be sent as they are, by the route that takes them.
const EXAMPLES: [(&str, &[(&str, &str)]); 3] =
    [(request::ID, request::EXAMPLES), (cancel::ID, cancel::EXAMPLES), (action::ID, action::EXAMPLES)];

/// The examples of the routes that `told` lets through.
pub(super) fn examples(context: &Context<'_>, told: impl Fn(&Route) -> bool) -> Vec<Example> {
    let routes = EXAMPLES.iter().filter_map(|(id, examples)| Some((context.named(id)?, *examples)));
    let calls = routes.filter(|(route, _)| told(route)).flat_map(|(route, examples)| {
        examples.iter().map(move |(title, body)| Example::new(context, title, route, body))
    });
    calls.collect()
}

/// What a body may hold, in order.
pub(super) struct Fields(Vec<Field>);

/// One field of a body.
struct Field {
    /// Its name, then its other names; each may be written in camelCase too.
    names: &'static [&'static str],
    meaning: String,
}

fn field(names: &'static [&'static str], meaning: impl Into<String>) -> Field {
    Field { names, meaning: meaning.into() }
}

impl Field {
    /// Every spelling, its name first.
    fn spellings(&self) -> Vec<String> {
        let mut all = Vec::new();
        for spelling in self.names.iter().flat_map(|name| [(*name).to_owned(), camel_case(name)]) {
            if !all.contains(&spelling) {
                all.push(spelling);
            }
        }
        all
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|field| {
            let sentence = match &field.spellings()[1..] {
                [] => field.meaning.clone(),
                others => format!("{} Also: {}.", field.meaning, others.join(", ")),
            };
            (field.names[0], sentence)
        }))
    }
}

/// What an answer holds, in order: names, and what each is.
pub(super) struct Answer(Vec<(&'static str, String)>);

impl Answer {
    fn of(fields: &[(&'static str, &str)]) -> Self {
        Answer(fields.iter().map(|(name, meaning)| (*name, (*meaning).to_owned())).collect())
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, meaning)| (name, meaning)))
    }
}

/// What one error code means here.
#[derive(Serialize)]
struct ErrorCase {
    code: &'static str,
    status: u16,
    when: &'static str,
}

/// These codes, with what can be got wrong at any route that takes a body.
fn errors(own: &[(Code, &'static str)]) -> Vec<ErrorCase> {
    let case = |&(code, when): &(Code, &'static str)| {
        let (code, status) = code.entry();
        ErrorCase { code, status, when }
    };
    own.iter().chain(GENERAL).map(case).collect()
}

const GENERAL: &[(Code, &str)] = &[
    (Code::Unauthorized, "The token is missing or wrong where one is required."),
    (Code::PayloadTooLarge, "The body is larger than runtime.limits.max_body_bytes."),
    (Code::BodyTimeout, "The body was not complete in time."),
    (Code::UnsupportedMediaType, "The body is not application/json."),
    (Code::InternalError, "The daemon failed unexpectedly."),
];

fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut text = String::new();
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            text.push(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c });
        }
    }
    text
}

#[cfg(test)]
mod tests;
