//! What an attacker would write into a message, and what becomes of it.

use super::super::settings::InstructionSettings;
use super::super::*;

const STATUS: &str = "@conductor::status";

fn message(text: &str) -> AssistantMessage {
    AssistantMessage {
        platform: "claude".into(),
        conversation_id: Some("c".into()),
        assistant_message_id: "m".into(),
        text: text.to_owned(),
    }
}

fn plan_with(text: &str, settings: &str) -> Result<PlannedBatch, Rejection> {
    PlannedBatch::plan(
        &message(text),
        &toml::from_str::<InstructionSettings>(settings).unwrap(),
        InstructionAuthority::Model,
    )
}

fn plan(text: &str) -> Result<PlannedBatch, Rejection> {
    plan_with(text, "")
}

fn block(content: &str) -> String {
    format!("```baa\n{content}\n```\n")
}

#[track_caller]
fn assert_ignored(text: &str) {
    let batch = plan(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
    assert!(batch.instructions().is_empty(), "{text:?}");
}

#[track_caller]
fn assert_runs(text: &str, blocks: usize) {
    let batch = plan(text).unwrap_or_else(|why| panic!("{text:?}: {why}"));
    assert_eq!(batch.instructions().len(), blocks, "{text:?}");
}

#[track_caller]
fn assert_refused(text: &str, stage: PipelineStage, code: RejectionCode) -> Rejection {
    let refused = plan(text).expect_err(text);
    assert_eq!((refused.stage, refused.code), (stage, code), "{text:?}");
    refused
}

#[test]
fn a_block_in_a_quote_is_ignored() {
    assert_ignored(&format!("> ```baa\n> {STATUS}\n> ```\n"));
    assert_ignored(&format!(">```baa\n>{STATUS}\n>```\n"));
    assert_ignored(&format!("> > ```baa\n> > {STATUS}\n> > ```\n"));
    assert_ignored(&format!("> ```baa\n{STATUS}\n"));
}

#[test]
fn a_block_in_a_list_is_ignored() {
    for mark in ["- ", "* ", "+ ", "1. ", "1) ", "- > "] {
        let indent = " ".repeat(mark.len());
        assert_ignored(&format!("{mark}```baa\n{indent}{STATUS}\n{indent}```\n"));
    }
    assert_ignored(&format!("- item\n\n  ```baa\n  {STATUS}\n  ```\n"));
    assert_ignored(&format!("1. item\n\n   ```baa\n   {STATUS}\n   ```\n"));
}

#[test]
fn a_block_shown_in_a_longer_fence_is_ignored() {
    assert_ignored(&format!("````\n{}````\n", block(STATUS)));
    assert_ignored(&format!("````md\n{}````\n", block(STATUS)));
    assert_ignored(&format!("~~~\n{}~~~\n", block(STATUS)));
    assert_ignored(&format!("```text\n~~~baa\n{STATUS}\n~~~\n```\n"));
    assert_ignored(&format!("````\n{}", block(STATUS)));
}

#[test]
fn an_instruction_of_a_longer_fence_shows_what_it_holds() {
    let refused = assert_refused(
        &format!("````baa\n{}````\n", block(STATUS)),
        PipelineStage::Parse,
        RejectionCode::InvalidHeader,
    );
    assert_eq!(refused.block_index, Some(0));
}

#[test]
fn a_block_in_indented_code_is_ignored() {
    assert_ignored(&format!("    ```baa\n    {STATUS}\n    ```\n"));
    assert_ignored(&format!("\t```baa\n\t{STATUS}\n\t```\n"));
    assert_ignored(&format!("  \t```baa\n{STATUS}\n"));
}

#[test]
fn a_block_in_an_html_comment_is_ignored() {
    assert_ignored(&format!("<!--\n{}-->\n", block(STATUS)));
    assert_ignored(&format!("<!-- x\n\n{}", block(STATUS)));
    assert_runs(&format!("<!-- x -->\n{}", block(STATUS)), 1);
}

#[test]
fn a_block_in_any_other_html_is_ignored() {
    for (open, close) in [
        ("<?x", "?>"),
        ("<!X", ">"),
        ("<![CDATA[", "]]>"),
        ("<script>", "</script>"),
        ("<pre>", "</pre>"),
        ("<div>", ""),
        ("<details>", ""),
        ("<x-y>", ""),
    ] {
        assert_ignored(&format!("{open}\n{}{close}\n", block(STATUS)));
    }
    assert_runs(&format!("<details>\n\n{}\n</details>\n", block(STATUS)), 1);
}

#[test]
fn a_quote_that_readers_end_in_different_places_is_refused() {
    // CommonMark: code, then HTML until a blank line, and no fence. The reader: a quote, then a fence.
    for quote in ["> \n\t>:\n<x-tag>\n", "> a\n\t> b\n", "> > a\n> \t> b\n"] {
        assert_refused(&format!("{quote}{}", block(STATUS)), PipelineStage::Extract, RejectionCode::AmbiguousQuote);
    }
    for quote in ["> a\n> b\n\n", ">\ta > b\n\n", "    > a\n\n", "```text\n\t> a\n```\n"] {
        assert_runs(&format!("{quote}{}", block(STATUS)), 1);
    }
}

#[test]
fn html_that_readers_end_in_different_places_is_refused() {
    for html in [
        "<script>\n</style>\n````\n</script>\n",
        "<pre>\n</PRE>\n",
        "<style>\n</textarea>\nx\n</style>\n",
        "> <script>\n> </style>\n> x\n\n",
    ] {
        let text = format!("{html}{}", block(STATUS));
        assert_eq!(assert_refused(&text, PipelineStage::Extract, RejectionCode::AmbiguousHtml).block_index, None);
    }
    assert_ignored("<script>\n</style>\nno instruction\n</script>\n");
    assert_runs(&format!("<script>\nx\n</script>\n{}", block(STATUS)), 1);
}

#[test]
fn a_tilde_fence_with_other_info_is_ignored() {
    for info in ["bash", "Baa", "BAA", "baa.", "xbaa", "baabaa", "```baa", "baa-result"] {
        assert_ignored(&format!("~~~{info}\n{STATUS}\n~~~\n"));
    }
    assert_runs(&format!("~~~baa\n{STATUS}\n~~~\n"), 1);
}

#[test]
fn baa_with_attributes_is_ignored() {
    for info in [
        "baa x",
        "baa {.x}",
        "baa,x",
        "baa title=\"x\"",
        "{baa}",
        "{.baa}",
        "x baa",
        "baa\u{a0}",
        "\u{feff}baa",
        "baa\u{b}",
        "b\\aa",
        "b&#97;a",
        "&#98;aa",
        "b\u{430}a",
        "baa\u{200b}",
        "\u{202e}aab",
    ] {
        assert_ignored(&format!("```{info}\n{STATUS}\n```\n"));
    }
    assert_runs(&format!("``` \tbaa\t \n{STATUS}\n```\n"), 1);
}

#[test]
fn a_header_with_look_alike_zero_width_or_bidi_characters_is_refused() {
    for header in [
        "@c\u{43e}nductor::status",
        "@conductor\u{200b}::status",
        "@conductor::status\u{202e}",
        "@conductor::\u{2066}status\u{2069}",
        "\u{feff}@conductor::status",
    ] {
        assert_refused(&block(header), PipelineStage::Parse, RejectionCode::InvalidHeader);
    }
}

#[test]
fn a_chained_command_waits_for_a_person() {
    let allowed = "exec_allow = [[\"git\", \"status\"]]";
    let verdict = |content: &str| plan_with(&block(content), allowed).unwrap().verdict();
    for chained in [
        "git status; touch x",
        "git status && touch x",
        "git status | sh",
        "git status $(touch x)",
        "git status `touch x`",
        "git status > x",
        "git status < x",
        "git status & touch x",
        "git status \\\ntouch x",
        "git status\ntouch x",
    ] {
        assert_eq!(verdict(&format!("@conductor::exec\n{chained}")), ScreenVerdict::NeedsApproval, "{chained:?}");
        let json = serde_json::json!({"command": chained});
        assert_eq!(verdict(&format!("@conductor::exec::{json}")), ScreenVerdict::NeedsApproval, "{json}");
    }
    assert_eq!(verdict("@conductor::exec\ngit status"), ScreenVerdict::Runs);
    assert_eq!(verdict("@conductor::exec::git status -s"), ScreenVerdict::Runs);
}

#[test]
fn one_command_that_waits_makes_the_whole_batch_wait() {
    let batch = plan(&(block(STATUS) + &block("@conductor::exec::ls"))).unwrap();
    assert_eq!(batch.verdict(), ScreenVerdict::NeedsApproval);
    assert_eq!(plan(&block(STATUS)).unwrap().verdict(), ScreenVerdict::Runs);
}

#[test]
fn a_result_that_contains_an_instruction_is_never_executed() {
    let result = format!("````baa-result\nid: inst_1\n{}````\n", block(STATUS));
    assert_ignored(&result);
    assert!(is_result_only(&result));
    assert!(is_result_only(&format!("\n{result}\r\n\r\n{result}  \n")));
    assert!(is_result_only("~~~ baa-result\nx"));
}

#[test]
fn a_message_that_holds_anything_else_is_not_only_results() {
    let result = "```baa-result\nx\n```\n";
    for text in ["", " \n", "text\n", "```\nx\n```\n", "```baa-result x\nx\n```\n", "> ```baa-result\n> x\n> ```\n"] {
        assert!(!is_result_only(text), "{text:?}");
    }
    for beside in ["text", "# x", "---", "<b>x</b>", "<!-- x -->", "- x", "    x", "```\nx\n```", "```baa\nx\n```"] {
        assert!(!is_result_only(&format!("{result}\n{beside}\n")), "{beside:?}");
        assert!(!is_result_only(&format!("{beside}\n\n{result}")), "{beside:?}");
    }
}

#[test]
fn a_result_that_breaks_out_of_its_fence_is_no_longer_only_a_result() {
    let text = format!("```baa-result\nx\n```\n{}```\n", block(STATUS));
    assert!(!is_result_only(&text));
}

#[test]
fn a_message_that_was_edited_keeps_the_keys_of_what_stayed() {
    let keys = |text: &str| -> Vec<_> {
        plan(text).unwrap().instructions().iter().map(|one| one.screened.instruction.dedupe_key.clone()).collect()
    };
    let first = keys(&(block(STATUS) + &block("@conductor::describe")));
    let edited = keys(&format!("Now with prose.\n\n{}~~~baa\n {STATUS}\n~~~\n", block(STATUS)));
    assert_eq!(edited[0], first[0], "the same instruction at the same place");
    assert_ne!(edited[1], first[1], "another instruction at the same place");
    assert_ne!(edited[1], first[0], "the same instruction at another place");
}

#[test]
fn the_same_id_with_other_text_has_other_keys() {
    let key = |content: &str| plan(&block(content)).unwrap().instructions()[0].screened.instruction.dedupe_key.clone();
    assert_ne!(key("@conductor::exec::ls"), key("@conductor::exec::ls -l"));
    assert_ne!(key("@conductor::exec::ls"), key("@system::exec::ls"));
    assert_eq!(key("@conductor::exec::ls"), key("@conductor::exec::ls \t"), "trailing blanks are no text");
}

#[test]
fn a_thousand_blocks_are_refused() {
    let refused = assert_refused(&block(STATUS).repeat(1_000), PipelineStage::Extract, RejectionCode::TooLarge);
    assert_eq!(refused.block_index, Some(32));
    assert_refused(&block(STATUS).repeat(33), PipelineStage::Extract, RejectionCode::TooLarge);
    assert_runs(&block(STATUS).repeat(32), 32);
}

#[test]
fn a_message_of_one_mebibyte_is_the_largest() {
    let of = |bytes: usize| format!("{}{}", block(STATUS), "x".repeat(bytes - block(STATUS).len()));
    assert_runs(&of((1 << 20) - 1), 1);
    assert_runs(&of(1 << 20), 1);
    assert_eq!(assert_refused(&of((1 << 20) + 1), PipelineStage::Extract, RejectionCode::TooLarge).block_index, None);
}

#[test]
fn a_block_of_256_kibibytes_is_the_largest() {
    let header = "@conductor::exec\n";
    let of = |bytes: usize| block(&format!("{header}{}", "x".repeat(bytes - header.len())));
    assert_runs(&of(256 << 10), 1);
    let refused =
        assert_refused(&(block(STATUS) + &of((256 << 10) + 1)), PipelineStage::Extract, RejectionCode::TooLarge);
    assert_eq!(refused.block_index, Some(1));
}

#[test]
fn one_bad_block_refuses_the_batch_at_any_stage() {
    let good = block("@conductor::exec::touch x");
    for (bad, stage, code) in [
        (block("nonsense"), PipelineStage::Parse, RejectionCode::InvalidHeader),
        (block(""), PipelineStage::Parse, RejectionCode::EmptyBlock),
        (block("@stranger::status"), PipelineStage::Policy, RejectionCode::UnsupportedTarget),
        (block("@conductor::reboot"), PipelineStage::Policy, RejectionCode::UnsupportedTool),
        (block("@conductor::exec::[1]"), PipelineStage::Route, RejectionCode::InvalidParams),
    ] {
        assert_eq!(assert_refused(&format!("{good}{bad}"), stage, code).block_index, Some(1));
        assert_eq!(assert_refused(&format!("{bad}{good}"), stage, code).block_index, Some(0));
    }
    let open = format!("{good}```baa\n{STATUS}\n");
    assert_eq!(assert_refused(&open, PipelineStage::Extract, RejectionCode::Unterminated).block_index, Some(1));
}

#[test]
fn a_message_without_its_names_is_refused_when_it_holds_instructions() {
    let settings = InstructionSettings::default();
    let nameless = AssistantMessage { conversation_id: None, ..message(&block(STATUS)) };
    let refused = PlannedBatch::plan(&nameless, &settings, InstructionAuthority::Model).unwrap_err();
    assert_eq!(
        (refused.stage, refused.code, refused.block_index),
        (PipelineStage::Normalize, RejectionCode::MissingField, None)
    );
    let empty = PlannedBatch::plan(
        &AssistantMessage { text: "prose".into(), ..nameless },
        &settings,
        InstructionAuthority::Model,
    );
    assert!(empty.unwrap().instructions().is_empty());
}

#[test]
fn a_rejection_is_shown_as_the_details_of_an_answer() {
    let refused = plan(&block("@stranger::status")).unwrap_err();
    let shown = serde_json::to_value(&refused).unwrap();
    let expected = serde_json::json!({"stage": "policy", "block_index": 0, "code": "unsupported_target"});
    assert_eq!(shown, expected);
    assert!(refused.message.contains("stranger"));
}
