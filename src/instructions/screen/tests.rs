//! Classes, verdicts and what counts as a plain command.

use super::*;
use crate::instructions::{
    InstructionBlock, ParsedBlock, dedupe,
    normalize::{InstructionSource, NormalizedInstruction},
    parse::InstructionParams,
    settings::AllowRule,
};
use serde_json::{Value, json};
use strum::VariantArray;

fn instruction(target: &str, tool: &str, params: InstructionParams) -> Instruction {
    let block = InstructionBlock { index: 1, raw: String::new(), content: String::new() };
    let source =
        InstructionSource { platform: "p".into(), conversation_id: "c".into(), assistant_message_id: "m".into() };
    dedupe(NormalizedInstruction {
        source,
        parsed: ParsedBlock { block, target: target.into(), tool: tool.into(), params },
    })
}

fn settings(text: &str) -> InstructionSettings {
    toml::from_str(text).unwrap()
}

fn verdict(settings: &InstructionSettings, tool: &str, params: InstructionParams) -> ScreenVerdict {
    screen(instruction("conductor", tool, params), settings, InstructionAuthority::Model).unwrap().verdict
}

/// Whether a command runs where `git status` is allowed.
fn runs(params: InstructionParams) -> bool {
    verdict(&settings("exec_allow = [[\"git\", \"status\"]]"), "exec", params) == ScreenVerdict::Runs
}

fn line(command: &str) -> bool {
    let inline = runs(InstructionParams::InlineString(command.into()));
    assert_eq!(inline, runs(InstructionParams::Body(command.into())), "{command:?}");
    assert_eq!(inline, runs(InstructionParams::InlineJson(json!({"command": command}))), "{command:?}");
    inline
}

#[test]
fn both_targets_have_every_tool_and_nothing_else_has_any() {
    for target in ["conductor", "system"] {
        for &tool in InstructionTool::VARIANTS {
            let screened = screen(
                instruction(target, tool.name(), InstructionParams::None),
                &InstructionSettings::default(),
                InstructionAuthority::Model,
            );
            assert_eq!(screened.unwrap().tool, tool);
        }
    }
    for (target, tool, code) in [
        ("Conductor", "status", RejectionCode::UnsupportedTarget),
        ("browser", "status", RejectionCode::UnsupportedTarget),
        ("browser.claude", "send", RejectionCode::UnsupportedTarget),
        ("codex", "turn", RejectionCode::UnsupportedTarget),
        ("node.a", "exec", RejectionCode::UnsupportedTarget),
        ("conductor.system", "status", RejectionCode::UnsupportedTarget),
        ("conductor", "reboot", RejectionCode::UnsupportedTool),
        ("conductor", "exec/sub", RejectionCode::UnsupportedTool),
        ("conductor", "EXEC", RejectionCode::UnsupportedTool),
        ("system", "describe/", RejectionCode::UnsupportedTool),
    ] {
        for authority in [InstructionAuthority::Operator, InstructionAuthority::Model] {
            let refused =
                screen(instruction(target, tool, InstructionParams::None), &InstructionSettings::default(), authority)
                    .unwrap_err();
            assert_eq!(
                (refused.stage, refused.block_index, refused.code),
                (PipelineStage::Policy, Some(1), code),
                "{target}::{tool}"
            );
        }
    }
}

#[test]
fn by_default_a_model_may_read_the_daemon_and_nothing_else() {
    let defaults = InstructionSettings::default();
    for &tool in InstructionTool::VARIANTS {
        let expected = if tool.class() == ToolClass::Read { ScreenVerdict::Runs } else { ScreenVerdict::NeedsApproval };
        assert_eq!(verdict(&defaults, tool.name(), InstructionParams::None), expected, "{tool:?}");
        let own = screen(
            instruction("system", tool.name(), InstructionParams::None),
            &defaults,
            InstructionAuthority::Operator,
        )
        .unwrap();
        assert_eq!(own.verdict, ScreenVerdict::Runs, "the operator's own word");
    }
}

#[test]
fn auto_approve_holds_for_its_classes_alone() {
    let names = [
        ("read", ToolClass::Read),
        ("exec", ToolClass::Exec),
        ("file_read", ToolClass::FileRead),
        ("file_write", ToolClass::FileWrite),
    ];
    for (name, class) in names {
        let settings = settings(&format!("auto_approve = [\"{name}\"]"));
        for &tool in InstructionTool::VARIANTS {
            let is_free = verdict(&settings, tool.name(), InstructionParams::None) == ScreenVerdict::Runs;
            assert_eq!(is_free, tool.class() == class, "{name} {tool:?}");
        }
    }
}

#[test]
fn exec_allow_matches_whole_words_from_the_first_on() {
    for fine in [
        "git status",
        " git\tstatus ",
        "git status --short",
        "git status -- a/b.c",
        "git 'status'",
        "\"git\" sta'tus'",
        "git status 'two words'",
        "git status --format=%H,%s user@host:1",
    ] {
        assert!(line(fine), "{fine:?}");
    }
    for other in [
        "git",
        "git statusx",
        "git push",
        "git 'status '",
        "git 'sta tus'",
        "xgit status",
        "git '' status",
        "'git status'",
        "status git",
        "",
        " ",
    ] {
        assert!(!line(other), "{other:?}");
    }
}

#[test]
fn a_command_with_any_shell_metacharacter_asks_for_a_person() {
    for sign in [
        ";",
        "&",
        "&&",
        "|",
        "||",
        "<",
        ">",
        ">>",
        "(",
        ")",
        "$",
        "$(touch x)",
        "${x}",
        "`touch x`",
        "\\",
        "\n",
        "\r",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "#",
        "!",
        "^",
        "\0",
        "\u{b}",
        "\u{a0}",
        "\u{200b}",
        "\u{202e}",
        "\u{ff1b}",
        "é",
        "\u{7f}",
        "\u{1b}",
    ] {
        for command in [
            format!("git status{sign}"),
            format!("git status {sign} touch x"),
            format!("git status '{sign}'"),
            format!("git status \"{sign}\""),
            format!("{sign}git status"),
        ] {
            assert!(!line(&command), "{command:?}");
        }
    }
}

#[test]
fn a_command_that_a_shell_reads_otherwise_asks_for_a_person() {
    for command in [
        "git status 'open",
        "git status \"open",
        "PATH=. git status",
        "git status\ntouch x",
        "git status\n",
        "git\nstatus",
    ] {
        assert!(!line(command), "{command:?}");
    }
    let assigning = settings("exec_allow = [[\"A=b\", \"git\"]]");
    assert_eq!(verdict(&assigning, "exec", InstructionParams::Body("A=b git".into())), ScreenVerdict::NeedsApproval);
}

#[test]
fn a_command_as_json_may_name_nothing_else() {
    let json = |value: Value| runs(InstructionParams::InlineJson(value));
    assert!(json(json!({"command": ["git", "status", "-s"]})));
    for more in ["env", "cwd", "stdin", "timeout_ms", "x"] {
        assert!(!json(json!({"command": "git status", more: null})), "{more}");
    }
    for other in [
        json!({"command": ["git status"]}),
        json!({"command": ["git", "status; touch x"]}),
        json!({"command": ["git", "status", 1]}),
        json!({"command": ["git"]}),
        json!({"command": []}),
        json!({"command": {"git": "status"}}),
        json!({"Command": "git status"}),
        json!(["git", "status"]),
        json!({}),
    ] {
        assert!(!json(other.clone()), "{other}");
    }
}

#[test]
fn exec_allow_is_for_commands_alone_and_an_empty_entry_matches_none() {
    let settings = settings("exec_allow = [[], [\"git\"]]");
    assert_eq!(
        verdict(&settings, "files/read", InstructionParams::InlineString("git".into())),
        ScreenVerdict::NeedsApproval
    );
    assert_eq!(verdict(&settings, "exec", InstructionParams::InlineString("ls".into())), ScreenVerdict::NeedsApproval);
    assert_eq!(verdict(&settings, "exec", InstructionParams::None), ScreenVerdict::NeedsApproval);
}

#[test]
fn live_messages_count_when_a_rule_fits_whole() {
    let allowed = |platform: &str, client_id: Option<&str>, conversation_id: Option<&str>, told: Option<&str>| {
        let [client_id, conversation_id] = [client_id, conversation_id].map(|text| text.map(str::to_owned));
        let rules = [AllowRule { platform: platform.into(), client_id, conversation_id }];
        is_allowed(&rules, ObservedMessage { platform: "claude", client_id: "me", conversation_id: told })
    };
    assert!(allowed("claude", None, None, Some("abc")));
    assert!(allowed("claude", None, None, None));
    assert!(!allowed("gemini", None, None, Some("abc")));
    assert!(!allowed("Claude", None, None, Some("abc")));
    assert!(allowed("claude", Some("me"), Some("abc"), Some("abc")));
    assert!(!allowed("claude", Some("you"), Some("abc"), Some("abc")));
    assert!(!allowed("claude", None, Some("abc"), Some("abcd")));
    assert!(allowed("claude", None, Some("abc*"), Some("abcd")));
    assert!(allowed("claude", None, Some("abc*"), Some("abc")));
    assert!(!allowed("claude", None, Some("abc*"), Some("ab")));
    assert!(!allowed("claude", None, Some("*bc"), Some("abc")));
    assert!(allowed("claude", None, Some("*"), Some("")));
    assert!(!allowed("claude", None, Some("*"), None), "no conversation is none of them");
    assert!(!is_allowed(&[], ObservedMessage { platform: "claude", client_id: "me", conversation_id: None }));
}
