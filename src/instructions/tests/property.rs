//! The fast reading against slow ones, and what holds for every message.

use super::{
    super::{
        AssistantMessage, InstructionAuthority, InstructionBlock, InstructionParams, PipelineStage, PlannedBatch,
        Rejection, RejectionCode, ScreenVerdict, extract, is_result_only, parse, settings::InstructionSettings,
    },
    generate,
    reference::{self, Document, Found},
};
use proptest::{prelude::*, test_runner::Config};

/// Few cases, or with `BAA_SLOW=1` a million.
fn cases() -> Config {
    let cases = if std::env::var_os("BAA_SLOW").is_some() { 1_000_000 } else { 4_000 };
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// Target, tool and whether something stands behind a second `::`, sign by sign.
fn slow_header(line: &str) -> Option<(String, String, Option<String>)> {
    let mut rest: Vec<char> = line.trim_matches([' ', '\t']).chars().rev().collect();
    if rest.pop()? != '@' {
        return None;
    }
    let mut names = [String::new(), String::new()];
    for (name, separator) in names.iter_mut().zip(['.', '/']) {
        let mut is_begun = false;
        while let Some(&sign) = rest.last() {
            let is_plain = matches!(sign, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-');
            if !(is_plain || (sign == separator && is_begun)) {
                break;
            }
            is_begun = is_plain;
            name.push(sign);
            rest.pop();
        }
        if !is_begun {
            return None;
        }
        match (rest.pop(), rest.pop()) {
            (Some(':'), Some(':')) => {}
            (None, None) if separator == '/' => return Some((names[0].clone(), names[1].clone(), None)),
            _ => return None,
        }
    }
    let [target, tool] = names;
    Some((target, tool, Some(rest.into_iter().rev().collect())))
}

fn message(text: String) -> AssistantMessage {
    AssistantMessage { platform: "p".into(), conversation_id: Some("c".into()), assistant_message_id: "m".into(), text }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn blocks_are_found_where_commonmark_has_them(text in generate::messages()) {
        let found = extract(&text);
        let Document { blocks, is_open } = reference::read(&text);
        match found {
            Ok(found) => {
                let found: Vec<_> = found.into_iter().map(|InstructionBlock { raw, content, .. }| Found { raw, content }).collect();
                prop_assert_eq!((found, false), (blocks, is_open));
            }
            Err(Rejection { code: RejectionCode::Unterminated, block_index, .. }) => {
                prop_assert_eq!((block_index, true), (Some(blocks.len()), is_open));
            }
            Err(Rejection { code, .. }) => {
                let lower = text.to_ascii_lowercase();
                let expected = code == RejectionCode::AmbiguousHtml && lower.contains("</")
                    || code == RejectionCode::AmbiguousQuote && text.contains('\t') && text.contains('>');
                prop_assert!(expected, "{:?}", code);
            }
        }
    }

    #[test]
    fn a_header_is_taken_when_the_grammar_has_it(content in generate::contents()) {
        let block = InstructionBlock { index: 0, raw: String::new(), content: content.clone() };
        let (line, body) = content.split_once('\n').unwrap_or((&content, ""));
        match (parse(block), slow_header(line)) {
            (Ok(parsed), Some((target, tool, inline))) => {
                prop_assert_eq!((&parsed.target, &parsed.tool), (&target, &tool));
                let is_in_its_place = match parsed.params {
                    InstructionParams::None => inline.is_none() && body.trim().is_empty(),
                    InstructionParams::Body(text) => inline.is_none() && text == body,
                    InstructionParams::InlineString(text) => inline == Some(text) && body.trim().is_empty(),
                    InstructionParams::InlineJson(value) => inline.is_some_and(|text| serde_json::from_str(&text).ok() == Some(value)),
                };
                prop_assert!(is_in_its_place);
            }
            (Ok(parsed), None) => prop_assert!(false, "accepted {parsed:?}"),
            (Err(refused), Some(_)) => prop_assert!(!matches!(refused.code, RejectionCode::InvalidHeader | RejectionCode::EmptyBlock)),
            (Err(refused), None) => prop_assert!(matches!(refused.code, RejectionCode::InvalidHeader | RejectionCode::EmptyBlock)),
        }
    }

    #[test]
    fn a_batch_holds_every_block_or_nothing(
        contents in proptest::collection::vec(generate::contents(), 1..4),
        noise in generate::messages(),
    ) {
        let allowed = "exec_allow = [[\"echo\"], [\"git\", \"status\"]]";
        let settings: InstructionSettings = toml::from_str(allowed).unwrap();
        let fenced = |content: &String| format!("~~~~~~baa\n{content}\n~~~~~~\n");
        let text = contents.iter().map(fenced).collect::<String>() + &noise;
        let blocks = extract(&text).map(|blocks| blocks.len());
        match PlannedBatch::plan(&message(text.clone()), &settings, InstructionAuthority::Model) {
            Ok(batch) => {
                prop_assert_eq!(Ok(batch.instructions().len()), blocks);
                prop_assert!(!is_result_only(&text));
                for routed in batch.instructions() {
                    let instruction = &routed.screened.instruction;
                    let free = routed.screened.verdict == ScreenVerdict::Runs && instruction.tool == "exec";
                    let dangerous = |sign: char| ";&|<>()$`\\\n\r*?[]{}~#!^\0".contains(sign) || !sign.is_ascii();
                    prop_assert!(!free || !command(&instruction.params).contains(dangerous), "{:?}", instruction.params);
                }
            }
            Err(Rejection { stage: PipelineStage::Extract, .. }) => prop_assert!(blocks.is_err()),
            Err(refused) => prop_assert!(refused.block_index < Some(blocks.unwrap_or_default())),
        }
    }
}

/// The command of parameters that may run at once.
fn command(params: &InstructionParams) -> String {
    match params {
        InstructionParams::InlineJson(value) => value["command"].as_str().unwrap_or_default().to_owned(),
        other => other.text().unwrap_or_default().to_owned(),
    }
}
