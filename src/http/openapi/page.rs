//! `GET /docs`: the document as a page, written by the daemon; it needs neither scripts nor anything from elsewhere.

use crate::http::{
    endpoint::ApiCall,
    error::ApiError,
    page::CSP,
    reply::{self, ApiReply},
};
use actix_web::{HttpResponse, http::header};
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = include_str!("docs.css");

/// `GET /docs`.
pub(in crate::http) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(answer(&call, "text/html; charset=utf-8", page(&super::of(&call.core))))
}

/// `GET /docs/style.css`.
pub(in crate::http) async fn style(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(answer(&call, "text/css; charset=utf-8", STYLE.to_owned()))
}

fn answer(call: &ApiCall, kind: &'static str, body: String) -> ApiReply {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    reply::set_request_id(&mut response, &call.id);
    ApiReply::Raw(response.body(body))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let mut html = String::with_capacity(64 << 10);
    let info = &document["info"];
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} {version}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body><main><h1>{title} {version}</h1><p>{about}</p>\
         <p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p><nav aria-label=\"Routes\"><ul>",
        title = text(&info["title"]),
        version = text(&info["version"]),
        about = text(&info["description"]),
    );
    let all = || {
        entries(&document["paths"]).flat_map(|(path, methods)| {
            entries(methods).map(move |(method, entry)| (method.to_uppercase(), path, entry))
        })
    };
    for (method, path, entry) in all() {
        let (id, path) = (text(&entry["operationId"]), escaped(path));
        let _ = write!(html, "<li><a href=\"#{id}\"><code>{method} {path}</code></a></li>");
    }
    html.push_str("</ul></nav>");
    for (method, path, entry) in all() {
        section(&mut html, &method, path, entry, document);
    }
    html.push_str("<h2 id=\"types\">Types</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let name = escaped(name);
        let _ = write!(html, "<section id=\"type-{name}\"><h3>{name}</h3><p>{}</p>", text(&schema["description"]));
        let values = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
        table(&mut html, "Values", values.iter().map(|value| (text(&value["const"]), value, true)));
        fields(&mut html, "Fields", schema);
        html.push_str("</section>");
    }
    html.push_str("</main></body></html>\n");
    html
}

fn section(html: &mut String, method: &str, path: &str, entry: &Value, document: &Value) {
    let (id, path) = (text(&entry["operationId"]), escaped(path));
    let _ =
        write!(html, "<section id=\"{id}\"><h2><code>{method} {path}</code></h2><p>{}</p>", text(&entry["summary"]));
    let security = entry["security"].as_array();
    if security.is_some_and(|ways| ways.len() == 1) {
        html.push_str("<p>Needs the bearer token.</p>");
    }
    let parameters = entry["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = parameters.iter().map(|one| (text(&one["name"]), &one["schema"], one["required"] == true));
    table(html, "Parameters", rows);
    let body = &entry["requestBody"]["content"]["application/json"];
    type_of(html, "Body", &body["schema"]);
    example(html, "Request", body.get("example"));
    for (status, response) in entries(&entry["responses"]) {
        let shared = component(response).map(|name| &document["components"]["responses"][name]);
        let response = shared.unwrap_or(response);
        let _ = write!(html, "<h3>{}</h3><p>{}</p>", escaped(status), text(&response["description"]));
        for (kind, content) in entries(&response["content"]) {
            if kind == "application/json" {
                type_of(html, "Data", &content["schema"]["properties"]["data"]);
            } else {
                let _ = write!(html, "<p><code>{}</code></p>", escaped(kind));
            }
            example(html, "Answer", content.get("example"));
        }
    }
    html.push_str("</section>");
}

/// Leads to the type of a body or an answer.
fn type_of(html: &mut String, title: &str, schema: &Value) {
    if schema.is_object() {
        let _ = write!(html, "<p>{title}: {}</p>", linked(schema));
    }
}

/// The kind of a schema, with a link to its type.
fn linked(schema: &Value) -> String {
    let kind = escaped(&kind(schema));
    match component(schema) {
        Some(name) => format!("<a href=\"#type-{0}\">{kind}</a>", escaped(name)),
        None => kind,
    }
}

/// The name of the component that a schema is, holds or lists.
fn component(schema: &Value) -> Option<&str> {
    let any = || schema["anyOf"].as_array()?.iter().find_map(component);
    let own = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    own.or_else(any).or_else(|| schema.get("items").and_then(component))
}

/// What kind of value a schema describes, in words.
pub(super) fn kind(schema: &Value) -> String {
    let joined = |all: &[Value], each: fn(&Value) -> String| all.iter().map(each).collect::<Vec<_>>().join(" | ");
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(value) = schema.get("const") {
        return word(value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return joined(values, word);
    }
    if let Some(any) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        return joined(any, kind);
    }
    let of = schema.get("items").filter(|items| items.is_object()).map(|items| format!(" of {}", kind(items)));
    match &schema["type"] {
        Value::String(kind) => kind.clone() + &of.unwrap_or_default(),
        Value::Array(kinds) => joined(kinds, word) + &of.unwrap_or_default(),
        _ => "any".to_owned(),
    }
}

fn fields(html: &mut String, title: &str, schema: &Value) {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let is_required = |name: &str| required.iter().any(|one| one == name);
    table(html, title, entries(&schema["properties"]).map(|(name, schema)| (escaped(name), schema, is_required(name))));
}

fn table<'a>(html: &mut String, title: &str, rows: impl Iterator<Item = (String, &'a Value, bool)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = write!(
        html,
        "<table><caption>{title}</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Kind</th><th scope=\"col\">Meaning</th></tr></thead><tbody>"
    );
    for (name, schema, required) in rows {
        let always = if required { "" } else { ", may be absent" };
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><code>{name}</code></th><td>{}{always}</td><td>{}</td></tr>",
            linked(schema),
            text(&schema["description"])
        );
    }
    html.push_str("</tbody></table>");
}

fn example(html: &mut String, title: &str, example: Option<&Value>) {
    if let Some(example) = example {
        let _ = write!(
            html,
            "<details><summary>{title}: an example</summary><pre>{}</pre></details>",
            escaped(&format!("{example:#}"))
        );
    }
}
