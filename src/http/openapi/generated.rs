//! Files of `docs/` that are generated from the types: `openapi.json`, and the tables between markers in `http.md`.
//! `BAA_UPDATE_DOCS=1 cargo nextest run --lib generated` renews them.

use super::*;
use crate::http::routes::ROUTES;
use crate::{
    api::request_error_code::RequestErrorCode,
    config::Config,
    telemetry::metrics::{FAMILIES, MetricDescription},
    testing::generated::{hold, with_parts},
};
use serde_json::Value;
use std::fmt::Write;

fn whole() -> Value {
    let routes: Vec<&'static Route> = ROUTES.iter().collect();
    let filler = DescriptionFiller::new(&Config::default().bridge);
    document(&routes, "http://127.0.0.1:4317", LocalTrust::SameUser, filler)
}

/// The table of a component, or of the parameters of a route.
fn table(document: &Value, name: &str) -> String {
    match name {
        "error-codes" => return error_codes(),
        "request-error-codes" => return request_error_codes(),
        "metrics" => return metrics(),
        _ => {}
    }
    let schema = &document["components"]["schemas"][name];
    assert!(schema.is_object(), "docs/http.md: there is no type {name}");
    let text = |value: &Value| value["description"].as_str().unwrap_or_default().replace('|', "\\|");
    if let Some(variants) = schema["oneOf"].as_array() {
        let mut table = "| value | meaning |\n| --- | --- |\n".to_owned();
        for variant in variants {
            let _ = writeln!(table, "| `{}` | {} |", variant["const"].as_str().unwrap_or_default(), text(variant));
        }
        return table;
    }
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let place = |name: &str| required.iter().position(|one| one == name).unwrap_or(required.len());
    let mut rows: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    rows.sort_by_key(|(name, _)| place(name));
    let mut table = "| field | kind | meaning |\n| --- | --- | --- |\n".to_owned();
    for (name, property) in rows {
        let optional = if place(name) < required.len() { "" } else { ", optional" };
        let kind = page::kind(property).replace('|', "\\|");
        let _ = writeln!(table, "| `{name}` | {kind}{optional} | {} |", text(property));
    }
    table
}

fn error_codes() -> String {
    let mut table = "| code | status | meaning |\n| --- | --- | --- |\n".to_owned();
    for code in Code::ALL {
        let (name, status) = code.entry();
        let name = if *code == Code::TemplateUnavailable { format!("<platform>_{name}") } else { name.to_owned() };
        let _ = writeln!(table, "| `{name}` | {status} | {} |", code.meaning());
    }
    table
}

fn request_error_codes() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n".to_owned();
    for code in RequestErrorCode::ALL {
        let platform = if code == RequestErrorCode::TemplateUnavailable { "<platform>_" } else { "" };
        let _ = writeln!(table, "| `{platform}{}` | {} |", code.name(), code.meaning());
    }
    table
}

fn metrics() -> String {
    let mut table = "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for MetricDescription { name, kind, labels, meaning } in FAMILIES {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
    }
    table
}

#[test]
fn the_committed_document_is_what_the_types_say() {
    hold("docs/openapi.json", |_| format!("{:#}\n", whole()));
}

#[test]
fn the_tables_of_the_documentation_are_what_the_types_say() {
    let document = whole();
    hold("docs/http.md", |page| with_parts(page, |name| table(&document, name)));
}

#[test]
fn every_placeholder_of_a_description_is_filled_and_every_field_described() {
    let document = whole();
    let text = document.to_string();
    for open in ["{bridge.", "{host.", "{NAME_", "{TIMEOUT_"] {
        assert!(!text.contains(open), "{open}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string() || property["$ref"].is_string(), "{name}.{field}");
        }
    }
}
