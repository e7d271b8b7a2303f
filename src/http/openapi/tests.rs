//! The document holds together: every part of a path is described, and every example fits its schema.

use super::*;
use crate::config::Config;
use crate::http::routes::ROUTES;

fn whole() -> Value {
    let routes: Vec<&'static Route> = ROUTES.iter().collect();
    let filler = DescriptionFiller::new(&Config::default().bridge);
    document(&routes, "http://127.0.0.1:4317", LocalTrust::SameUser, filler)
}

#[test]
fn every_part_of_a_path_and_every_body_that_an_example_has_is_described() {
    let document = whole();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        for part in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let named = |parameter: &Value| parameter["name"] == part && parameter["in"] == "path";
            assert!(operation["parameters"].as_array().unwrap().iter().any(named), "{}: {part}", route.id);
        }
        let takes = operation.get("requestBody").is_some();
        assert!(takes || matches!(route.example.body, "" | "{}"), "{}: a body that is not described", route.id);
    }
}

/// A schema of the document that can be held against values by itself.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn every_example_fits_its_schema() {
    let document = whole();
    let mut seen = 0;
    let mut hold = |name: &str, schema: &Value, example: &Value| {
        let faults: Vec<_> = validator(&document, schema).iter_errors(example).map(|one| one.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?} in {example}");
        seen += 1;
    };
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if let Some(example) = content.get("example") {
                hold(path, &content["schema"], example);
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            hold(name, schema, example);
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_page_names_every_route_and_holds_no_script_or_style() {
    let page = page::page(&whole());
    for route in ROUTES {
        assert!(page.contains(&format!("<section id=\"{}\">", route.id)), "{}", route.id);
    }
    for inline in ["<script", "<style", " style=", " onclick"] {
        assert!(!page.contains(inline), "{inline}");
    }
}
