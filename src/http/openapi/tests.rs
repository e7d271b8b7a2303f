//! No route goes undocumented, and what is documented holds together.

use super::*;

fn all() -> Vec<&'static Route> {
    ROUTES.iter().collect()
}

#[test]
fn every_route_is_documented_with_an_answer_and_its_own_parts() {
    for route in ROUTES {
        let operation = operation(route).unwrap_or_else(|| panic!("{} has no operation in src/http/openapi", route.id));
        let entry = entry(route, operation, LocalTrust::SameUser);
        for part in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let named = |parameter: &Value| parameter["name"] == part && parameter["in"] == "path";
            assert!(entry["parameters"].as_array().unwrap().iter().any(named), "{}: {part}", route.id);
        }
        let takes = entry.get("requestBody").is_some();
        assert!(takes || matches!(route.example.body, "" | "{}"), "{}: a body that is not documented", route.id);
    }
}

#[test]
fn no_operation_stands_twice() {
    let mut ids: Vec<_> = [service::OPERATIONS, browser::OPERATIONS, control::OPERATIONS]
        .into_iter()
        .flatten()
        .map(|operation| operation.id)
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_example_fits_its_schema() {
    let document = document(&all(), "http://127.0.0.1:4317", LocalTrust::SameUser);
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for entry in methods.as_object().unwrap().values() {
            let body = &entry["requestBody"];
            let responses = entry["responses"].as_object().unwrap().values();
            for content in responses.chain([body]).filter_map(|one| one["content"].get("application/json")) {
                let schema = jsonschema::validator_for(&content["schema"]).unwrap();
                let Some(example) = content.get("example") else { continue };
                let faults: Vec<_> = schema.iter_errors(example).map(|fault| fault.to_string()).collect();
                assert!(faults.is_empty(), "{path}: {faults:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > ROUTES.len() / 2, "{seen}");
}

#[test]
fn the_page_names_every_route_and_holds_no_script_or_style() {
    let page = page::page(&document(&all(), "http://127.0.0.1:4317", LocalTrust::SameUser));
    for route in ROUTES {
        assert!(page.contains(&format!("<section id=\"{}\">", route.id)), "{}", route.id);
    }
    for inline in ["<script", "<style", " style=", " onclick"] {
        assert!(!page.contains(inline), "{inline}");
    }
}
