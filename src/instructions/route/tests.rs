//! Parameters of every tool.

use super::*;
use crate::host::ExecCommand;
use crate::instructions::{
    InstructionBlock, ParsedBlock, dedupe,
    normalize::{InstructionSource, NormalizedInstruction},
    screen::{InstructionAuthority, screen},
    settings::InstructionSettings,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn routed(tool: &str, params: InstructionParams) -> Result<InstructionPlan, Rejection> {
    let block = InstructionBlock { index: 2, raw: String::new(), content: String::new() };
    let source =
        InstructionSource { platform: "p".into(), conversation_id: "c".into(), assistant_message_id: "m".into() };
    let parsed = ParsedBlock { block, target: "conductor".into(), tool: tool.into(), params };
    let screened = screen(
        dedupe(NormalizedInstruction { source, parsed }),
        &InstructionSettings::default(),
        InstructionAuthority::Operator,
    );
    route(screened.unwrap()).map(|routed| routed.plan)
}

fn text(tool: &str, text: &str) -> Result<InstructionPlan, Rejection> {
    let inline = routed(tool, InstructionParams::InlineString(text.into()));
    assert_eq!(inline, routed(tool, InstructionParams::Body(text.into())));
    inline
}

fn object(tool: &str, value: Value) -> Result<InstructionPlan, Rejection> {
    routed(tool, InstructionParams::InlineJson(value))
}

fn assert_refused(plan: Result<InstructionPlan, Rejection>, what: &dyn std::fmt::Debug) {
    let refused = plan.expect_err(&format!("{what:?}"));
    assert_eq!(
        (refused.stage, refused.code, refused.block_index),
        (PipelineStage::Route, RejectionCode::InvalidParams, Some(2))
    );
}

#[test]
fn every_tool_has_its_route() {
    let shown: Vec<_> = [
        "describe",
        "describe/business",
        "describe/control",
        "status",
        "browser/status",
        "exec",
        "files/read",
        "files/write",
    ]
    .into_iter()
    .map(|name| {
        let block = InstructionBlock { index: 0, raw: String::new(), content: String::new() };
        let source =
            InstructionSource { platform: "p".into(), conversation_id: "c".into(), assistant_message_id: "m".into() };
        let parsed = ParsedBlock { block, target: "system".into(), tool: name.into(), params: InstructionParams::None };
        let instruction = dedupe(NormalizedInstruction { source, parsed });
        screen(instruction, &InstructionSettings::default(), InstructionAuthority::Model).unwrap().tool.route()
    })
    .map(|InstructionRoute { key, method, path }| format!("{key} {method} {path}"))
    .collect();
    assert_eq!(
        shown,
        [
            "local.describe GET /describe",
            "local.describe.business GET /describe/business",
            "local.describe.control GET /describe/control",
            "local.status GET /v1/status",
            "local.browser.status GET /v1/browser",
            "local.exec POST /v1/exec",
            "local.files.read POST /v1/files/read",
            "local.files.write POST /v1/files/write",
        ]
    );
}

#[test]
fn describe_and_status_take_nothing() {
    assert_eq!(routed("describe", InstructionParams::None), Ok(InstructionPlan::Describe(DescribeSurface::Whole)));
    assert_eq!(
        routed("describe/business", InstructionParams::None),
        Ok(InstructionPlan::Describe(DescribeSurface::Business))
    );
    assert_eq!(
        routed("describe/control", InstructionParams::None),
        Ok(InstructionPlan::Describe(DescribeSurface::Control))
    );
    assert_eq!(routed("status", InstructionParams::None), Ok(InstructionPlan::Status));
    for tool in ["describe", "describe/business", "describe/control", "status"] {
        assert_refused(text(tool, "x"), &tool);
        assert_refused(object(tool, json!({})), &tool);
    }
}

#[test]
fn browser_status_takes_the_filters_of_its_route() {
    let all = RecordFilter { limit: LIMIT_DEFAULT, ..RecordFilter::default() };
    assert_eq!(routed("browser/status", InstructionParams::None), Ok(InstructionPlan::BrowserStatus(all.clone())));
    let some = json!({"platform": "claude", "account": "a", "clientId": "c", "host": "h", "status": "lost", "limit": 2, "before": 7, "x": 1});
    let Ok(InstructionPlan::BrowserStatus(filter)) = object("browser/status", some) else {
        panic!("filters are taken")
    };
    assert_eq!(
        (filter.platform.as_deref(), filter.account.as_deref(), filter.client_id.as_deref(), filter.host.as_deref()),
        (Some("claude"), Some("a"), Some("c"), Some("h"))
    );
    assert_eq!((filter.status, filter.limit, filter.before), (Some(LoginStatus::Lost), 2, Some(7)));
    for bad in [
        json!([]),
        json!({"platform": 1}),
        json!({"status": "odd"}),
        json!({"limit": 0}),
        json!({"limit": LIMIT_MAX + 1}),
        json!({"before": -1}),
    ] {
        assert_refused(object("browser/status", bad.clone()), &bad);
    }
    assert_refused(text("browser/status", "claude"), &"a text");
}

#[test]
fn exec_takes_a_command_or_what_its_route_takes() {
    let plain = ExecInput::plain;
    let lines = "a=1\nprintf \"$a\"";
    assert_eq!(text("exec", lines), Ok(InstructionPlan::Exec(plain(ExecCommand::Shell(lines.into())))));
    let argv = json!({"command": ["ls", "", "-l"], "cwd": null, "unknown": [1]});
    assert_eq!(
        object("exec", argv),
        Ok(InstructionPlan::Exec(plain(ExecCommand::Argv(["ls", "", "-l"].map(str::to_owned).to_vec()))))
    );
    let whole = json!({"command": "x", "cwd": "/c", "env": {"A": "1"}, "stdin": "in", "timeoutMs": 600_000, "maxBufferBytes": 16_777_216});
    let expected = ExecInput {
        command: ExecCommand::Shell("x".into()),
        cwd: Some("/c".into()),
        env: BTreeMap::from([("A".into(), "1".into())]),
        stdin: Some("in".into()),
        timeout_ms: 600_000,
        max_output_bytes: 16_777_216,
    };
    assert_eq!(object("exec", whole), Ok(InstructionPlan::Exec(expected)));
    let twice = json!({"command": "x", "timeout_ms": 1, "timeoutMs": 2});
    let Ok(InstructionPlan::Exec(exec)) = object("exec", twice) else { panic!("both spellings are taken") };
    assert_eq!(exec.timeout_ms, 1, "the first spelling counts");
}

#[test]
fn exec_refuses_what_no_command_is() {
    assert_refused(routed("exec", InstructionParams::None), &"none");
    assert_refused(text("exec", "a\0b"), &"NUL");
    for bad in [
        json!([1]),
        json!({}),
        json!({"command": null}),
        json!({"command": ""}),
        json!({"command": " \n"}),
        json!({"command": 1}),
        json!({"command": []}),
        json!({"command": [""]}),
        json!({"command": ["ls", 1]}),
        json!({"command": ["ls", "a\0"]}),
        json!({"command": "x", "cwd": ""}),
        json!({"command": "x", "cwd": 1}),
        json!({"command": "x", "env": ["A=1"]}),
        json!({"command": "x", "env": {"A": 1}}),
        json!({"command": "x", "env": {"": "1"}}),
        json!({"command": "x", "env": {"A=B": "1"}}),
        json!({"command": "x", "env": {"A": "\u{0}"}}),
        json!({"command": "x", "stdin": {}}),
        json!({"command": "x", "timeout_ms": 0}),
        json!({"command": "x", "timeout_ms": 600_001}),
        json!({"command": "x", "timeout_ms": "5"}),
        json!({"command": "x", "timeout_ms": 1.5}),
        json!({"command": "x", "max_output_bytes": 16_777_217}),
        json!({"command": "x", "max_output_bytes": -1}),
    ] {
        assert_refused(object("exec", bad.clone()), &bad);
    }
}

#[test]
fn files_read_takes_a_path_of_one_line_or_what_its_route_takes() {
    let Ok(InstructionPlan::FilesRead(file)) = text("files/read", "/etc/host name") else { panic!("a path is taken") };
    assert_eq!(
        (file.path.as_str(), file.encoding, file.max_bytes),
        ("/etc/host name", FileEncoding::Utf8, READ_BYTES_DEFAULT)
    );
    let whole = json!({"path": "x", "cwd": "/", "encoding": "base64", "offset": 0, "max_bytes": 10});
    let Ok(InstructionPlan::FilesRead(file)) = object("files/read", whole) else { panic!("JSON is taken") };
    assert_eq!(
        (file.cwd.as_deref(), file.encoding, file.offset, file.max_bytes),
        (Some("/"), FileEncoding::Base64, 0, 10)
    );
    assert_refused(routed("files/read", InstructionParams::None), &"none");
    for bad in ["/a\n/b", "/a\n", "a\0"] {
        assert_refused(text("files/read", bad), &bad);
    }
    for bad in [
        json!({}),
        json!({"path": ""}),
        json!({"path": ["a"]}),
        json!({"path": "a", "encoding": "latin1"}),
        json!({"path": "a", "offset": -1}),
        json!({"path": "a", "max_bytes": 0}),
    ] {
        assert_refused(object("files/read", bad.clone()), &bad);
    }
}

#[test]
fn files_write_takes_json_alone() {
    let Ok(InstructionPlan::FilesWrite(file)) = object("files/write", json!({"path": "a", "content": ""})) else {
        panic!("JSON is taken")
    };
    assert_eq!(
        (file.overwrite, file.create_parents, file.mode, file.encoding),
        (false, false, None, FileEncoding::Utf8)
    );
    let whole = json!({"path": "a", "content": "w7w=", "overwrite": true, "createParents": true, "mode": "0640", "encoding": "base64"});
    let Ok(InstructionPlan::FilesWrite(file)) = object("files/write", whole) else { panic!("JSON is taken") };
    assert_eq!(
        (file.overwrite, file.create_parents, file.mode, file.encoding),
        (true, true, Some(0o640), FileEncoding::Base64)
    );
    assert_refused(text("files/write", "{\"path\":\"a\",\"content\":\"x\"}"), &"a text");
    assert_refused(routed("files/write", InstructionParams::None), &"none");
    for bad in [
        json!({"path": "a"}),
        json!({"content": "x"}),
        json!({"path": "a", "content": 5}),
        json!({"path": "a", "content": null}),
        json!({"path": "a\0", "content": ""}),
        json!({"path": "a", "content": "", "overwrite": "yes"}),
        json!({"path": "a", "content": "", "mode": 640}),
        json!({"path": "a", "content": "", "mode": "rw"}),
        json!({"path": "a", "content": "", "mode": "+644"}),
        json!({"path": "a", "content": "", "mode": "10000"}),
        json!({"path": "a", "content": "", "mode": ""}),
    ] {
        assert_refused(object("files/write", bad.clone()), &bad);
    }
}
