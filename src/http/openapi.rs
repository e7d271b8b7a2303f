//! `GET /openapi.json` and `GET /docs`: every route with its parameters, bodies, answers and errors, made from the types
//! that the table of routes names.
//!
//! A test sends each example of the table to a daemon and holds the answer against its schema.

#[cfg(test)]
mod generated;
mod page;
mod schemas;
#[cfg(test)]
mod tests;

pub(super) use page::{show as show_page, style};
pub(super) use schemas::{DescriptionFiller, SchemaCollector};

use super::{
    ServerCore,
    authenticator::RouteAccess,
    endpoint::ApiCall,
    error::{ApiError, Code},
    operation::{AnswerSchema, FieldsSchema, Operation},
    reply::{self, ApiReply},
    route::Route,
    settings::LocalTrust,
};
use crate::api::envelope::FailureEnvelope;
use actix_web::{HttpResponse, http::header};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};
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

/// The document of the routes that are there.
fn document(routes: &[&'static Route], origin: &str, trust: LocalTrust, filler: DescriptionFiller) -> Value {
    let mut paths = Map::new();
    let mut schemas = SchemaCollector::new(filler);
    let mut failures = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route, trust, &mut schemas, &mut failures);
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
        "components": {
            "schemas": schemas.components(),
            "responses": failures,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })
}

/// Describes a route; adds its failures to the shared responses `failures`.
fn operation(
    route: &Route,
    trust: LocalTrust,
    schemas: &mut SchemaCollector,
    failures: &mut Map<String, Value>,
) -> Value {
    let security = match (route.access, trust) {
        (RouteAccess::Open, _) => json!([]),
        (RouteAccess::Local, LocalTrust::SameUser | LocalTrust::Loopback) => json!([{}, {"bearer": []}]),
        (RouteAccess::Local, LocalTrust::None) | (RouteAccess::Token, _) => json!([{"bearer": []}]),
    };
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "parameters": route.operation.parameters.map_or_else(Vec::new, |of| parameters(route, &of, schemas)),
        "security": security,
        "responses": responses(&route.operation, schemas, failures),
    });
    if let Some(body) = route.operation.body {
        let required = is_any_required(&schemas.body_fields(&body));
        let mut content = json!({"schema": schemas.body(&body)});
        if let Ok(example) = serde_json::from_str::<Value>(route.example.body) {
            content["example"] = example;
        }
        operation["requestBody"] = json!({"required": required, "content": {"application/json": content}});
    }
    if route.successor.is_some() {
        operation["deprecated"] = true.into();
    }
    operation
}

fn is_any_required(schema: &Value) -> bool {
    schema["required"].as_array().is_some_and(|required| !required.is_empty())
}

/// Parts of the path and parameters of the query, in the order of their declaration.
fn parameters(route: &Route, of: &FieldsSchema, schemas: &mut SchemaCollector) -> Vec<Value> {
    let all = schemas.parameters(of);
    let parameter = |names: &&[&str]| {
        let (name, mut schema) = (names[0], all["properties"][names[0]].clone());
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let in_path = route.path.contains(&format!("{{{name}}}"));
        let required = all["required"].as_array().is_some_and(|required| required.iter().any(|one| one == name));
        json!({
            "name": name,
            "in": if in_path { "path" } else { "query" },
            "required": in_path || required,
            "description": description,
            "schema": schema,
        })
    };
    of.fields.iter().map(parameter).collect()
}

/// The content of a success with this data, and with the example that its type has.
fn enveloped(data: &Value) -> Value {
    json!({"application/json": {"schema": {
        "type": "object",
        "properties": {"ok": {"const": true}, "request_id": {"type": "string"}, "data": data},
        "required": ["ok", "request_id", "data"],
        "additionalProperties": false,
    }}})
}

/// The schema of a failure with one of these codes. `named`: or with one that begins with a platform's name.
fn failure(codes: &[&str], named: bool, schemas: &mut SchemaCollector) -> Value {
    let mut schema = schemas.answer(SchemaGenerator::subschema_for::<FailureEnvelope<'static>>);
    let mut error = json!({"enum": codes});
    if named {
        error = json!({"anyOf": [error, {"pattern": "^.+_(credentials|template)_unavailable$"}]});
    }
    schema["properties"] = json!({"error": error});
    schema
}

fn responses(operation: &Operation, schemas: &mut SchemaCollector, failures: &mut Map<String, Value>) -> Value {
    let mut responses = Map::new();
    let events = |schema: Value| json!({"type": "string", "description": "Server-sent events.", "x-events": schema});
    let (status, description, content) = match &operation.answer {
        AnswerSchema::Data(data) => (200, "Done.", enveloped(&schemas.answer(*data))),
        AnswerSchema::DataOrEvents(data, event) => {
            let mut content = enveloped(&schemas.answer(*data));
            content["text/event-stream"] = json!({"schema": events(schemas.answer(*event))});
            (200, "Done; or, where events were asked for, the stream of them.", content)
        }
        AnswerSchema::Events(event) => {
            (200, "The stream.", json!({"text/event-stream": {"schema": events(schemas.answer(*event))}}))
        }
        AnswerSchema::PassedOn => (200, "Done.", enveloped(&json!({}))),
        AnswerSchema::Bare => {
            (200, "Done, without the envelope.", json!({"application/json": {"schema": {"type": "object"}}}))
        }
        AnswerSchema::Media(kinds) => {
            let kinds = kinds.iter().map(|kind| ((*kind).to_owned(), json!({"schema": {"type": "string"}})));
            (200, "Done.", Value::Object(kinds.collect()))
        }
        AnswerSchema::Empty(status, description) => (*status, *description, Value::Null),
    };
    let mut success = json!({"description": description});
    if !content.is_null() {
        success["content"] = content;
    }
    responses.insert(status.to_string(), success);
    for (status, codes) in failure_codes(operation) {
        let named = status == "409" && operation.codes.contains(&Code::TemplateUnavailable);
        let content = json!({"application/json": {"schema": failure(&codes, named, schemas)}});
        let name =
            shared(&format!("Failure{status}"), json!({"description": codes.join(", "), "content": content}), failures);
        responses.insert(status, json!({"$ref": format!("#/components/responses/{name}")}));
    }
    Value::Object(responses)
}

/// Returns the name of a shared response; adds a number to `name` if another response has it.
fn shared(name: &str, response: Value, all: &mut Map<String, Value>) -> String {
    let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}.{number}")));
    let mut free = names.skip_while(|name| all.get(name).is_some_and(|other| *other != response));
    let name = free.next().expect("the names are endless");
    all.insert(name.clone(), response);
    name
}

/// The names of the codes by the status that they are answered with.
fn failure_codes(operation: &Operation) -> BTreeMap<String, Vec<&'static str>> {
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
fn of(core: &ServerCore) -> Value {
    let filler = DescriptionFiller::new(core.bridge.settings());
    document(
        &core.features.served(core.routes),
        &core.bridge.identity().local_api_base,
        core.authenticator.local_trust(),
        filler,
    )
}

/// `GET /openapi.json`.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    reply::set_request_id(&mut response, &call.id);
    Ok(ApiReply::Raw(response.body(of(&call.core).to_string())))
}
