//! Any text as a message: nothing panics, and what is taken is what the grammar allows.
//!
//! `cargo +nightly fuzz run instructions`

#![no_main]

use baa_conductor::instructions::{
    AssistantMessage, BLOCK_BYTES_MAX, BLOCKS_MAX, InstructionAuthority, MESSAGE_BYTES_MAX, PlannedBatch,
    ScreenVerdict, extract, is_result_only, settings::InstructionSettings,
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SETTINGS: LazyLock<InstructionSettings> =
    LazyLock::new(|| toml::from_str("exec_allow = [[\"git\", \"status\"]]").expect("it is a section"));

fuzz_target!(|text: &str| {
    let message = AssistantMessage {
        platform: "claude".to_owned(),
        conversation_id: Some("c".to_owned()),
        assistant_message_id: "m".to_owned(),
        text: text.to_owned(),
    };
    let blocks = extract(text);
    let Ok(batch) = PlannedBatch::plan(&message, &SETTINGS, InstructionAuthority::Model) else { return };
    let blocks = blocks.expect("a batch has blocks");
    assert!(text.len() <= MESSAGE_BYTES_MAX && blocks.len() <= BLOCKS_MAX);
    assert_eq!(blocks.len(), batch.instructions().len());
    assert!(blocks.is_empty() || !is_result_only(text));
    for (routed, block) in batch.instructions().iter().zip(&blocks) {
        let instruction = &routed.screened.instruction;
        assert!(block.content.len() <= BLOCK_BYTES_MAX);
        assert!(block.content.trim_start_matches([' ', '\t']).starts_with('@'));
        assert!(["conductor", "system"].contains(&instruction.target.as_str()));
        if routed.screened.verdict == ScreenVerdict::Runs && instruction.tool == "exec" {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b" \t'\"_-./:,@%+={}[]".contains(&b);
            assert!(instruction.params.to_value().to_string().bytes().all(|b| allowed(b) || b == b'\\'));
        }
    }
});
