//! `GET /openapi.json` and `GET /docs`: every route with its parameters, bodies, answers and errors.
//!
//! A route of the table is documented by an [`Operation`] of the same id in the file of its resource here; a test finds a
//! route without one, and another sends each example to a daemon and holds the answer against its schema.

mod browser;
mod control;
mod page;
mod service;
mod shape;

#[cfg(test)]
mod tests;

pub(super) use page::{show as show_page, style};

use super::{
    Core,
    callers::Access,
    endpoint::Call,
    error::{ApiError, Code},
    reply::{self, Reply},
    route::Route,
    routes::ROUTES,
    settings::LocalTrust,
};
use actix_web::{HttpResponse, http::header};
use serde_json::{Map, Value, json};
use shape::{Answer, Operation};
use std::collections::BTreeMap;

/// What any route may answer, since it is decided before its handler is asked, or is a fault of the daemon.
const OF_ALL: &[Code] = &[
    Code::InvalidRequest,
    Code::HostNotAllowed,
    Code::OriginNotAllowed,
    Code::Unauthorized,
    Code::AuthThrottled,
    Code::UnsupportedMediaType,
    Code::PayloadTooLarge,
    Code::BodyTimeout,
    Code::InternalError,
];

/// What is said of a route.
fn operation(route: &Route) -> Option<&'static Operation> {
    let mut all = service::OPERATIONS.iter().chain(browser::OPERATIONS).chain(control::OPERATIONS);
    all.find(|operation| operation.id == route.id)
}

/// The document of the routes that are there.
fn document(routes: &[&'static Route], origin: &str, trust: LocalTrust) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let Some(operation) = operation(route) else { continue };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = entry(route, operation, trust);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "baa-conductor",
            "version": crate::VERSION,
            "description": "A local service between the web apps open in a Firefox and the programs on the same \
                machine. Faults found while the head of a request is read are answered with an empty body.",
        },
        "servers": [{"url": origin}],
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    })
}

fn entry(route: &Route, operation: &Operation, trust: LocalTrust) -> Value {
    let parameters: Vec<_> = operation.parameters.iter().map(|field| field.parameter(route.path)).collect();
    let security = match (route.access, trust) {
        (Access::Open, _) => json!([]),
        (Access::Local, LocalTrust::SameUser | LocalTrust::Loopback) => json!([{}, {"bearer": []}]),
        (Access::Local, LocalTrust::None) | (Access::Token, _) => json!([{"bearer": []}]),
    };
    let mut entry = json!({
        "operationId": route.id,
        "summary": route.summary,
        "parameters": parameters,
        "security": security,
        "responses": responses(operation),
    });
    if !operation.body.is_empty() {
        let schema = shape::object(operation.body);
        let required = schema["required"].as_array().is_some_and(|required| !required.is_empty());
        let mut content = json!({"schema": schema});
        if let Ok(example) = serde_json::from_str::<Value>(route.example.body) {
            content["example"] = example;
        }
        entry["requestBody"] = json!({"required": required, "content": {"application/json": content}});
    }
    if route.successor.is_some() {
        entry["deprecated"] = true.into();
    }
    entry
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let enveloped =
        |data: &Value, example: &str| json!({"schema": shape::success(data), "example": shape::example(example)});
    let (status, description, content) = match &operation.answer {
        Answer::Data(fields, example) => {
            (200, "Done.", json!({"application/json": enveloped(&shape::object(fields), example)}))
        }
        Answer::DataOrEvents(fields, example) => {
            let content = json!({
                "application/json": enveloped(&shape::object(fields), example),
                "text/event-stream": {"schema": {"type": "string"}},
            });
            (200, "Done; or, where events were asked for, the stream of them.", content)
        }
        Answer::PassedOn(example) => (200, "Done.", json!({"application/json": enveloped(&json!({}), example)})),
        Answer::Bare(example) => {
            let example: Value = serde_json::from_str(example).unwrap_or_default();
            let content = json!({"schema": {"type": "object"}, "example": example});
            (200, "Done, without the envelope.", json!({"application/json": content}))
        }
        Answer::Media(kinds) => {
            let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({"schema": {"type": "string"}})));
            (200, "Done.", Value::Object(kinds.collect()))
        }
        Answer::Empty(status, description) => (*status, *description, Value::Null),
    };
    let mut success = json!({"description": description});
    if !content.is_null() {
        success["content"] = content;
    }
    responses.insert(status.to_string(), success);
    for (status, codes) in failures(operation) {
        let named = status == "409" && operation.codes.contains(&Code::TemplateUnavailable);
        let content = json!({"application/json": {"schema": shape::failure(&codes, named)}});
        responses.insert(status, json!({"description": codes.join(", "), "content": content}));
    }
    Value::Object(responses)
}

/// The names of the codes by the status that they are answered with.
fn failures(operation: &Operation) -> BTreeMap<String, Vec<&'static str>> {
    let own = operation.codes;
    let mut by_status = BTreeMap::<String, Vec<&'static str>>::new();
    for code in OF_ALL.iter().chain(own) {
        let (name, status) = code.entry();
        let others: &[&str] = match code {
            // What the app itself answered.
            Code::BrowserUpstreamError => &["4XX", "5XX"],
            Code::BrowserRiskLimited => &["429"],
            _ => &[],
        };
        for status in others.iter().map(|status| (*status).to_owned()).chain([status.to_string()]) {
            let codes = by_status.entry(status).or_default();
            if !codes.contains(&name) {
                codes.push(name);
            }
        }
    }
    for (status, code) in operation.with_status {
        let codes = by_status.entry(status.to_string()).or_default();
        if !codes.contains(&code.name()) {
            codes.push(code.name());
        }
    }
    // A status of the app's own may be one that has codes of the daemon's own.
    if own.contains(&Code::BrowserUpstreamError) {
        let name = Code::BrowserUpstreamError.name();
        for codes in by_status.values_mut().filter(|codes| !codes.contains(&name)) {
            codes.push(name);
        }
    }
    by_status
}

/// The document of a daemon.
fn of(core: &Core) -> Value {
    document(&core.features.served(ROUTES), &core.bridge.identity().local_api_base, core.callers.trust())
}

/// `GET /openapi.json`.
pub(super) async fn show(call: Call) -> Result<Reply, ApiError> {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    reply::with_id(&mut response, &call.id);
    Ok(Reply::Whole(response.body(of(&call.core).to_string())))
}
