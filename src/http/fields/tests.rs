//! Accepted and refused fields of a request, and the messages of the refusals.

use super::*;
use crate::platforms::registry::PlatformsSettings;
use serde_json::json;

fn read(body: &Value) -> Result<RelayRequest, ApiError> {
    read_with(body, None)
}

fn read_with(body: &Value, query_timeout: Option<&str>) -> Result<RelayRequest, ApiError> {
    let registry = PlatformRegistry::new(&PlatformsSettings::default());
    request(&body.to_string().into(), query_timeout, None, &registry)
}

/// A good request with these fields in place of its own.
fn with(fields: &Value) -> Value {
    let mut body = json!({"platform": "claude", "path": "/x"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The field that is complained about.
fn fault(fields: &Value) -> String {
    let error = read(&with(fields)).expect_err(&fields.to_string());
    assert_eq!(error.code().name(), "invalid_request", "{fields}");
    error.details()["field"].as_str().unwrap().to_owned()
}

#[test]
fn defaults_depend_on_whether_there_is_a_body() {
    let plain = read(&with(&json!({}))).unwrap();
    assert_eq!((&*plain.call.method, plain.call.headers.text(), plain.call.body), ("GET", "{}", None));
    assert_eq!((plain.mode, plain.timeout, plain.client_id), (ResponseMode::Buffered, None, None));
    assert!(plain.id.as_str().starts_with("req_"));
    let post = read(&with(&json!({"body": {"a": [1, null]}}))).unwrap();
    assert_eq!((&*post.call.method, post.call.body.unwrap().text()), ("POST", "{\"a\":[1,null]}"));
    assert_eq!(post.call.headers.text(), r#"{"content-type":"application/json"}"#);
    let text = read(&with(&json!({"body": "as it is"}))).unwrap();
    assert_eq!(text.call.headers.text(), "{}", "a string is sent as it is");
    let null = read(&with(&json!({"body": null}))).unwrap();
    assert_eq!((&*null.call.method, null.call.body), ("GET", None));
}

#[test]
fn every_alias_is_read() {
    for name in ["request_body", "requestBody", "body", "payload"] {
        assert!(read(&with(&json!({name: 1}))).unwrap().call.body.is_some(), "{name}");
    }
    for name in ["request_id", "requestId", "id"] {
        assert_eq!(read(&with(&json!({name: "r1"}))).unwrap().id.as_str(), "r1", "{name}");
    }
    for name in ["headers", "request_headers", "requestHeaders"] {
        let headers = read(&with(&json!({name: {"x-a": "b"}}))).unwrap().call.headers;
        assert_eq!(headers.text(), r#"{"x-a":"b"}"#, "{name}");
    }
    for name in ["prompt", "message", "input"] {
        let body = read(&with(&json!({name: "hi"}))).unwrap().call.body.unwrap();
        assert_eq!(body.text(), r#"{"prompt":"hi"}"#, "{name}");
    }
    let own = read(&with(&json!({"prompt": "hi", "body": {"mine": 1}}))).unwrap();
    assert_eq!(own.call.body.unwrap().text(), r#"{"mine":1}"#);
}

#[test]
fn a_bad_field_is_named() {
    for (fields, field) in [
        (json!({"platform": "  "}), "platform"),
        (json!({"platform": 5}), "platform"),
        (json!({"path": 5}), "path"),
        (json!({"path": "x"}), "path"),
        (json!({"path": ""}), "path"),
        (json!({"path": "https://evil.example/x"}), "path"),
        (json!({"request_id": "has space"}), "request_id"),
        (json!({"request_id": "x".repeat(129)}), "request_id"),
        (json!({"request_id": 7}), "request_id"),
        (json!({"client_id": "a/b"}), "client_id"),
        (json!({"method": "FOO BAR"}), "method"),
        (json!({"method": "trace"}), "method"),
        (json!({"response_mode": "stream"}), "response_mode"),
        (json!({"timeout_ms": 0}), "timeout_ms"),
        (json!({"timeout_ms": 3_600_001}), "timeout_ms"),
        (json!({"timeout_ms": "abc"}), "timeout_ms"),
        (json!({"timeout_ms": 1.5}), "timeout_ms"),
        (json!({"headers": {"x-a": 5}}), "headers"),
        (json!({"headers": ["x"]}), "headers"),
        (json!({"headers": {"x a": "b"}}), "headers"),
        (json!({"headers": {"x-a": "b\r\nc: d"}}), "headers"),
        (json!({"headers": {"Cookie": "b"}}), "headers"),
        (json!({"headers": {"sec-fetch-site": "none"}}), "headers"),
        (json!({"headers": {"Proxy-Authorization": "b"}}), "headers"),
        (json!({"headers": {"X-HTTP-Method-Override": "get, TRACE"}}), "headers"),
    ] {
        assert_eq!(fault(&fields), field, "{fields}");
    }
}

#[test]
fn unknown_platforms_and_missing_prompt_modes_are_not_supported() {
    let unknown = read(&json!({"platform": "myspace", "path": "/x"})).unwrap_err();
    assert_eq!(unknown.code(), Code::PlatformNotSupported);
    assert_eq!(unknown.details()["supported_platforms"], json!(["chatgpt", "claude", "gemini"]));
    let settings: PlatformsSettings = toml::from_str("[wiki]\nshell_url = \"https://wiki.example/\"").unwrap();
    let mut all = PlatformsSettings::default();
    all.0.extend(settings.0);
    let body = json!({"platform": "wiki", "prompt": "hi"}).to_string();
    let refused = request(&body.into(), None, None, &PlatformRegistry::new(&all)).unwrap_err();
    assert_eq!(refused.code(), Code::PlatformNotSupported);
    assert_eq!(refused.details()["supported_platforms"], json!(["chatgpt", "claude", "gemini"]));
}

#[test]
fn the_bodys_timeout_wins_over_the_querys() {
    let timeout = |fields: &Value, query| read_with(&with(fields), query).map(|request| request.timeout);
    assert_eq!(timeout(&json!({}), Some("300")).unwrap(), Some(Duration::from_millis(300)));
    assert_eq!(timeout(&json!({"timeoutMs": 5}), Some("300")).unwrap(), Some(Duration::from_millis(5)));
    assert!(timeout(&json!({}), Some("-1")).is_err());
}

#[test]
fn methods_are_upper_cased_and_an_explicit_one_wins() {
    assert_eq!(read(&with(&json!({"method": "patch", "body": {}}))).unwrap().call.method, "PATCH");
    assert_eq!(read(&with(&json!({"method": "GET", "body": {}}))).unwrap().call.method, "GET");
}

#[test]
fn a_cancel_needs_an_id_and_a_platform() {
    let good = cancel(r#"{"id":"r","platform":"claude","clientId":"c","reason":" enough "}"#).unwrap();
    assert_eq!((good.reason.as_deref(), good.client_id.unwrap().as_str()), (Some("enough"), "c"));
    for (body, field) in [(r#"{"platform":"claude"}"#, "request_id"), (r#"{"request_id":"r"}"#, "platform")] {
        assert_eq!(cancel(body).unwrap_err().details()["field"], field);
    }
}

#[test]
fn a_prompt_is_taken_as_it_was_typed_and_chooses_no_method() {
    let prompt = |fields: &Value| {
        let mut body = json!({"platform": "chatgpt"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        read(&body)
    };
    let taken = prompt(&json!({"prompt": "    indented\n"})).unwrap();
    assert!(matches!(&taken.work, RequestWork::Template(text) if text == "    indented\n"));
    for (fields, field) in [
        (json!({"prompt": " \n"}), "prompt"),
        (json!({"prompt": 7}), "prompt"),
        (json!({"prompt": "hi", "method": "GET"}), "method"),
        (json!({"prompt": "hi", "method": "CONNECT"}), "method"),
        (json!({"prompt": "hi", "method": 7}), "method"),
    ] {
        assert_eq!(prompt(&fields).unwrap_err().details()["field"], field, "{fields}");
    }
    assert!(prompt(&json!({"prompt": "hi", "method": "post"})).is_ok());
}
