//! Keys against those of a program in another language.

use super::*;
use crate::instructions::{AssistantMessage, InstructionBlock, normalize, parse};
use serde::Deserialize;

/// A case of the fixture; `keys.mjs` beside it computed the key.
#[derive(Deserialize)]
struct Case {
    name: String,
    platform: String,
    conversation_id: String,
    assistant_message_id: String,
    block_index: usize,
    target: String,
    tool: String,
    inline: Option<String>,
    canonical: String,
    key: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/fixtures/instructions/keys.json")).unwrap()
}

fn instruction(case: &Case) -> Instruction {
    let inline = case.inline.as_deref().map(|inline| format!("::{inline}")).unwrap_or_default();
    let content = format!("@{}::{}{inline}", case.target, case.tool);
    let block = InstructionBlock { index: case.block_index, raw: String::new(), content };
    let message = AssistantMessage {
        platform: case.platform.clone(),
        conversation_id: Some(case.conversation_id.clone()),
        assistant_message_id: case.assistant_message_id.clone(),
        text: String::new(),
    };
    let parsed = parse(block).unwrap_or_else(|why| panic!("{}: {why}", case.name));
    dedupe(normalize(&message, vec![parsed]).unwrap().remove(0))
}

#[test]
fn keys_are_those_of_an_independent_program() {
    assert!(cases().len() >= 16);
    for case in cases() {
        let instruction = instruction(&case);
        let canonical = serde_json_canonicalizer::to_string(&instruction.dedupe_basis).unwrap();
        assert_eq!(canonical, case.canonical, "{}", case.name);
        assert_eq!(instruction.dedupe_key.as_str(), case.key, "{}", case.name);
    }
}

#[test]
fn the_id_is_the_beginning_of_the_key() {
    let case = &cases()[1];
    let instruction = instruction(case);
    assert_eq!(case.key, "sha256:e29a2172d5edf0fd5f9e49fda2237701540338746c849bc434b3cd3f35cea3c7");
    assert_eq!(instruction.instruction_id.as_str(), "inst_e29a2172d5edf0fd");
}

#[test]
fn an_instruction_is_shown_with_every_field_of_its_envelope() {
    let shown = serde_json::to_value(instruction(&cases()[0])).unwrap();
    let names: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "assistant_message_id",
            "block_index",
            "conversation_id",
            "dedupe_basis",
            "dedupe_key",
            "envelope_version",
            "instruction_id",
            "params",
            "params_kind",
            "platform",
            "raw_block",
            "raw_instruction",
            "target",
            "tool"
        ]
    );
    assert_eq!((&shown["params"], &shown["params_kind"]), (&Value::Null, &Value::from("none")));
}

#[test]
fn whatever_the_key_is_made_of_changes_it() {
    let of = |change: fn(&mut Case)| {
        let mut case = cases().remove(1);
        change(&mut case);
        instruction(&case).dedupe_key
    };
    let keys = [
        of(|_| {}),
        of(|case| case.platform.push('x')),
        of(|case| case.conversation_id.push('x')),
        of(|case| case.assistant_message_id.push('x')),
        of(|case| case.block_index += 1),
        of(|case| case.target = "system".into()),
        of(|case| case.tool = "exec2".into()),
        of(|case| case.inline = Some("printf  hi".into())),
        of(|case| case.inline = None),
    ];
    let different: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(different.len(), keys.len());
}
