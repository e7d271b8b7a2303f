//! Blocks and what is read from them.

use super::*;
use serde_json::json;

fn block(content: &str) -> InstructionBlock {
    InstructionBlock { index: 3, raw: String::new(), content: content.to_owned() }
}

fn read(content: &str) -> (String, String, InstructionParams) {
    let parsed = parse(block(content)).unwrap();
    (parsed.target, parsed.tool, parsed.params)
}

fn refused(content: &str) -> RejectionCode {
    let rejection = parse(block(content)).expect_err(content);
    assert_eq!((rejection.stage, rejection.block_index), (PipelineStage::Parse, Some(3)));
    rejection.code
}

fn json_of(inline: &str) -> Result<Value, RejectionCode> {
    match parse(block(&format!("@conductor::exec::{inline}"))) {
        Ok(ParsedBlock { params: InstructionParams::InlineJson(value), .. }) => Ok(value),
        Ok(other) => panic!("{other:?}"),
        Err(rejection) => Err(rejection.code),
    }
}

#[test]
fn a_header_names_target_and_tool() {
    for (content, target, tool) in [
        ("@conductor::status", "conductor", "status"),
        (" \t@system::describe/business \t", "system", "describe/business"),
        ("@node.a-1.B_2::x/y-z/0", "node.a-1.B_2", "x/y-z/0"),
        ("@conductor::status\n \n\t\n", "conductor", "status"),
    ] {
        assert_eq!(read(content), (target.into(), tool.into(), InstructionParams::None), "{content:?}");
    }
}

#[test]
fn any_other_header_is_refused() {
    for header in [
        "conductor::status",
        "@conductor",
        "@conductor:status",
        "@conductor::",
        "@::status",
        "@@conductor::status",
        "@a..b::x",
        "@.a::x",
        "@a.::x",
        "@a/b::x",
        "@a::x//y",
        "@a::/x",
        "@a::x/",
        "@a::x.y",
        "@ a::x",
        "@a ::x",
        "@a:: x",
        "@a::x y",
        "x @a::x",
        "\n@a::x",
    ] {
        assert_eq!(refused(header), RejectionCode::InvalidHeader, "{header:?}");
    }
    for empty in ["", " ", "\n\n", "\t\n"] {
        assert_eq!(refused(empty), RejectionCode::EmptyBlock, "{empty:?}");
    }
}

#[test]
fn a_header_of_signs_that_only_look_right_is_refused() {
    for header in [
        "@c\u{43e}nductor::status",  // Cyrillic o
        "\u{ff20}conductor::status", // full-width @
        "@conductor\u{ff1a}\u{ff1a}status",
        "@conductor\u{2237}status", // one sign for ::
        "@conductor\u{200b}::status",
        "@conductor::sta\u{ad}tus",
        "\u{feff}@conductor::status",
        "@conductor::status\u{200d}",
        "@conductor::status\u{a0}",
        "@conductor::status\u{2028}",
        "@\u{202e}rotcudnoc\u{202c}::status",
        "@conductor::\u{2066}exec\u{2069}",
        "@conductor::exe\u{301}c",
        "@conductor::status\0",
        "@conductor::status\u{b}",
    ] {
        assert_eq!(refused(header), RejectionCode::InvalidHeader, "{header:?}");
    }
}

#[test]
fn every_kind_of_parameters_is_read() {
    let exec = |params: &str| read(&format!("@conductor::exec{params}")).2;
    assert_eq!(exec("::echo a::b::c"), InstructionParams::InlineString("echo a::b::c".into()));
    assert_eq!(exec(":::x"), InstructionParams::InlineString(":x".into()));
    assert_eq!(
        exec("::  two blanks first, none last \t "),
        InstructionParams::InlineString("  two blanks first, none last".into())
    );
    assert_eq!(exec("::\u{a0}{"), InstructionParams::InlineString("\u{a0}{".into()), "only blanks stand before JSON");
    assert_eq!(exec("\necho one\n\n  echo two "), InstructionParams::Body("echo one\n\n  echo two ".into()));
    assert_eq!(exec("\n\n x"), InstructionParams::Body("\n x".into()));
    assert_eq!(
        exec("\n{\"command\":\"x\"}"),
        InstructionParams::Body("{\"command\":\"x\"}".into()),
        "a body is never JSON"
    );
    assert_eq!(exec("::\t{\"a\":[1]} \n "), InstructionParams::InlineJson(json!({"a": [1]})));
}

#[test]
fn parameters_in_two_places_or_none_are_refused() {
    assert_eq!(refused("@a::x::echo 1\necho 2"), RejectionCode::InlineAndBody);
    assert_eq!(refused("@a::x::{}\n."), RejectionCode::InlineAndBody);
    for nothing in ["@a::x::", "@a::x:: \t", "@a::x::\u{a0}", "@a::x::\necho 2"] {
        assert_eq!(refused(nothing), RejectionCode::EmptyInline, "{nothing:?}");
    }
}

#[test]
fn inline_json_must_be_json() {
    for bad in [
        "{broken",
        "{\"a\":1} trailing",
        "{\"a\":1}{}",
        "[1,]",
        "{a:1}",
        "[01]",
        "[NaN]",
        "{\"a\":\"\\ud800\"}",
        "[",
        "[\"\t\"]",
    ] {
        assert_eq!(json_of(bad), Err(RejectionCode::InvalidJson), "{bad}");
    }
}

#[test]
fn a_key_may_be_there_once() {
    for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"b":1,"a":2,"b":3}}]"#] {
        assert_eq!(json_of(bad), Err(RejectionCode::InvalidJson), "{bad}");
    }
    assert_eq!(json_of(r#"{"a":{"a":{"a":1}}}"#), Ok(json!({"a": {"a": {"a": 1}}})));
}

#[test]
fn json_nests_64_deep_and_not_deeper() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(json_of(&nested(64)).is_ok());
    assert_eq!(json_of(&nested(65)), Err(RejectionCode::TooDeep));
    assert_eq!(json_of(&nested(100_000)), Err(RejectionCode::TooDeep), "however deep");
    assert_eq!(json_of(&format!("{}1{}", "{\"a\":[".repeat(33), "]}".repeat(33))), Err(RejectionCode::TooDeep));
    let text = "[".repeat(200);
    assert!(json_of(&format!(r#"["{text}","\"{text}","\\",{{"{text}":1}}]"#)).is_ok(), "brackets in texts are text");
}

#[test]
fn a_number_must_be_one_that_a_double_holds() {
    for fine in [
        "9007199254740992",
        "-9007199254740992",
        "0",
        "-0",
        "1e21",
        "1.5e-7",
        "0.1",
        "5e-324",
        "1e400e",
        "1e308",
        "9007199254740993.0",
    ] {
        let expected = if fine.ends_with("400e") { Err(RejectionCode::InvalidJson) } else { Ok(()) };
        assert_eq!(json_of(&format!("[{fine}]")).map(|_| ()), expected, "{fine}");
    }
    for bad in [
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "1e309",
        "-1e309",
    ] {
        assert_eq!(json_of(&format!("{{\"a\":[0,{bad}]}}")), Err(RejectionCode::NumberOutOfRange), "{bad}");
        assert!(json_of(&format!("{{\"{bad}\":\"{bad}\"}}")).is_ok(), "in a text it is text");
    }
}

#[test]
fn what_no_block_may_hold_is_never_led_to_the_json_reader() {
    assert_eq!(refused("@a::x::{}::{}"), RejectionCode::InvalidJson);
    assert_eq!(read("@a::x::x{}").2, InstructionParams::InlineString("x{}".into()));
}
