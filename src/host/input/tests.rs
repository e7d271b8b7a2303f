//! Every field of host operations, in all spellings and with invalid values.

use super::*;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

fn bad_field<T: std::fmt::Debug>(read: impl Fn(&Map<String, Value>) -> Result<T, FieldError>, value: Value) -> String {
    read(&object(value.clone())).expect_err(&value.to_string()).field.into_owned()
}

#[test]
fn a_command_has_the_documented_defaults() {
    let exec = parse_exec(&object(json!({"command": "true", "cwd": null, "unknown": []}))).unwrap();
    let expected = ExecInput {
        command: ExecCommand::Shell("true".into()),
        cwd: None,
        env: BTreeMap::new(),
        stdin: None,
        timeout_ms: 30_000,
        max_output_bytes: 1 << 20,
    };
    assert_eq!(exec, expected);
}

#[test]
fn both_spellings_are_read_and_the_first_counts() {
    for (body, timeout, output) in [
        (json!({"command": "x", "timeoutMs": 5, "maxBufferBytes": 7}), 5, 7),
        (json!({"command": "x", "timeout_ms": 600_000, "max_output_bytes": 16_777_216}), 600_000, 16_777_216),
        (json!({"command": "x", "timeoutMs": 5, "timeout_ms": 6, "maxOutputBytes": 0, "maxBufferBytes": 1}), 6, 0),
    ] {
        let exec = parse_exec(&object(body)).unwrap();
        assert_eq!((exec.timeout_ms, exec.max_output_bytes), (timeout, output));
    }
    let write = json!({"path": " a ", "content": " c ", "createParents": true, "overwrite": true, "mode": "0640"});
    let write = parse_file_write(&object(write)).unwrap();
    assert_eq!((write.path.as_str(), write.content.as_str(), write.mode), (" a ", " c ", Some(0o640)));
    assert!(write.create_parents && write.overwrite);
    let read = json!({"path": "a", "cwd": "/", "encoding": "base64", "offset": 3, "maxBytes": 4});
    let read = parse_file_read(&object(read)).unwrap();
    assert_eq!(
        (read.offset, read.max_bytes, read.encoding, read.cwd.as_deref()),
        (3, 4, FileEncoding::Base64, Some("/"))
    );
}

#[test]
fn every_bad_field_of_a_command_is_named() {
    for (body, name) in [
        (json!({}), "command"),
        (json!({"command": null}), "command"),
        (json!({"command": ""}), "command"),
        (json!({"command": " \n"}), "command"),
        (json!({"command": "a\u{0}b"}), "command"),
        (json!({"command": 1}), "command"),
        (json!({"command": {}}), "command"),
        (json!({"command": []}), "command"),
        (json!({"command": [""]}), "command"),
        (json!({"command": ["ls", 5]}), "command"),
        (json!({"command": ["ls", "a\u{0}"]}), "command"),
        (json!({"command": vec!["x"; WORDS_MAX + 1]}), "command"),
        (json!({"command": "x", "cwd": ""}), "cwd"),
        (json!({"command": "x", "cwd": 1}), "cwd"),
        (json!({"command": "x", "cwd": "a\u{0}"}), "cwd"),
        (json!({"command": "x", "env": ["A=1"]}), "env"),
        (json!({"command": "x", "env": "A=1"}), "env"),
        (json!({"command": "x", "env": {"A": 1}}), "env"),
        (json!({"command": "x", "env": {"": "1"}}), "env"),
        (json!({"command": "x", "env": {"A=B": "1"}}), "env"),
        (json!({"command": "x", "env": {"A\u{0}": "1"}}), "env"),
        (json!({"command": "x", "env": {"A": "\u{0}"}}), "env"),
        (json!({"command": "x", "stdin": {}}), "stdin"),
        (json!({"command": "x", "timeout_ms": 0}), "timeout_ms"),
        (json!({"command": "x", "timeout_ms": -1}), "timeout_ms"),
        (json!({"command": "x", "timeoutMs": 600_001}), "timeout_ms"),
        (json!({"command": "x", "timeout_ms": "5"}), "timeout_ms"),
        (json!({"command": "x", "timeout_ms": 1.5}), "timeout_ms"),
        (json!({"command": "x", "timeout_ms": true}), "timeout_ms"),
        (json!({"command": "x", "max_output_bytes": 16_777_217}), "max_output_bytes"),
        (json!({"command": "x", "maxBufferBytes": -1}), "max_output_bytes"),
        (json!({"command": "x", "max_output_bytes": "1"}), "max_output_bytes"),
    ] {
        assert_eq!(bad_field(parse_exec, body.clone()), name, "{body}");
    }
    let many: Map<_, _> = (0..=VARIABLES_MAX).map(|number| (format!("V{number}"), json!(""))).collect();
    assert_eq!(bad_field(parse_exec, json!({"command": "x", "env": many})), "env");
}

#[test]
fn every_bad_field_of_a_file_is_named() {
    for (body, name) in [
        (json!({}), "path"),
        (json!({"path": ""}), "path"),
        (json!({"path": ["a"]}), "path"),
        (json!({"path": "a\u{0}"}), "path"),
        (json!({"path": "a", "cwd": ""}), "cwd"),
        (json!({"path": "a", "cwd": {}}), "cwd"),
        (json!({"path": "a", "encoding": "latin1"}), "encoding"),
        (json!({"path": "a", "encoding": 8}), "encoding"),
        (json!({"path": "a", "offset": -1}), "offset"),
        (json!({"path": "a", "offset": "0"}), "offset"),
        (json!({"path": "a", "offset": u64::MAX}), "offset"),
        (json!({"path": "a", "max_bytes": 0}), "max_bytes"),
        (json!({"path": "a", "max_bytes": READ_BYTES_MAX + 1}), "max_bytes"),
        (json!({"path": "a", "maxBytes": 1.5}), "max_bytes"),
    ] {
        assert_eq!(bad_field(parse_file_read, body.clone()), name, "{body}");
    }
    for (body, name) in [
        (json!({"content": "x"}), "path"),
        (json!({"path": "a"}), "content"),
        (json!({"path": "a", "content": null}), "content"),
        (json!({"path": "a", "content": 5}), "content"),
        (json!({"path": "a", "content": "no base64", "encoding": "base64"}), "content"),
        (json!({"path": "a", "content": "AA", "encoding": "base64"}), "content"),
        (json!({"path": "a", "content": "", "overwrite": "yes"}), "overwrite"),
        (json!({"path": "a", "content": "", "create_parents": 1}), "create_parents"),
        (json!({"path": "a", "content": "", "createParents": "x"}), "create_parents"),
        (json!({"path": "a", "content": "", "mode": 640}), "mode"),
        (json!({"path": "a", "content": "", "mode": "rw"}), "mode"),
        (json!({"path": "a", "content": "", "mode": "+644"}), "mode"),
        (json!({"path": "a", "content": "", "mode": "0o644"}), "mode"),
        (json!({"path": "a", "content": "", "mode": "10000"}), "mode"),
        (json!({"path": "a", "content": "", "mode": ""}), "mode"),
    ] {
        assert_eq!(bad_field(parse_file_write, body.clone()), name, "{body}");
    }
}
