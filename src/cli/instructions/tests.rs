//! The command against a stub daemon.

use super::*;
use crate::cli::testing::stub_daemon::{StubDaemon, json};
use clap::Parser;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    arguments: InstructionsArguments,
}

/// A prompt with a prepared reply; records what was shown.
#[derive(Default)]
struct ScriptedPrompt {
    is_interactive: bool,
    yes: bool,
    shown: String,
}

impl ConfirmationPrompt for ScriptedPrompt {
    fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        self.shown.push_str(text);
        Ok(())
    }

    fn confirm(&mut self, text: &str, question: &str) -> io::Result<bool> {
        self.shown.push_str(&format!("{text}\n{question}"));
        Ok(self.yes)
    }
}

async fn run_with(prompt: &mut ScriptedPrompt, stub: &StubDaemon, line: &str) -> anyhow::Result<CommandOutput> {
    let line = CommandLine::try_parse_from(std::iter::once("instructions").chain(line.split(' ')))?;
    execute(&DaemonClient::new(&stub.base, None).unwrap(), command(line.arguments), None, prompt).await
}

async fn run_line(stub: &StubDaemon, line: &str) -> anyhow::Result<CommandOutput> {
    run_with(&mut ScriptedPrompt::default(), stub, line).await
}

fn command(arguments: InstructionsArguments) -> BatchCommand {
    let InstructionsCommand::Batch(command) = arguments.command else { panic!("needs no daemon") };
    command
}

const BATCH: &str = r#"{"ok":true,"data":{"batch_id":"batch_1","status":"pending_approval","origin":"live",
    "platform":"claude","conversation_id":"c","digest":"sha256:d","expires_at":1793000000000,"delivery":"off",
    "reason":"an instruction needs approval","executions":[],"instructions":[
      {"block_index":0,"instruction_id":"inst_1","target":"system","tool":"exec","verdict":"needs_approval",
       "sandbox":"landlock",
       "plan":{"operation":"exec","input":{"command":"ls\n\u001b[2Jrm \u202ex","cwd":"/tmp","env":{"A\u200b":"b"},"stdin":null}}},
      {"block_index":1,"instruction_id":"inst_2","target":"system","tool":"status","verdict":"runs",
       "plan":{"operation":"status"},"duplicate_of":"batch_0"}]}}"#;

#[actix_rt::test]
async fn a_batch_is_shown_completely_with_control_characters_escaped() {
    let stub = StubDaemon::new(|_| json(200, BATCH));
    let shown = run_line(&stub, "show batch_1").await.unwrap().text;
    for line in [
        "batch         batch_1",
        "status        pending_approval",
        "because       an instruction needs approval",
        "expires       2026-10-26T07:33:20Z",
        "0  @system::exec  inst_1  runs in landlock  needs approval",
        "  $ ls",
        "  $ \\u{1b}[2Jrm \\u{202e}x",
        "  command, 2 lines, 14 bytes",
        "  cwd, 4 bytes",
        "  : /tmp",
        "  env.A\\u{200b}, 1 byte",
        "  : b",
        "  operation, 6 bytes",
        "  : status",
        "1  @system::status  inst_2  does not run: already in batch_0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} in\n{shown}");
    }
    assert_eq!(stub.received()[0].line, "GET /v1/instructions/batch_1");
}

fn deciding_daemon() -> StubDaemon {
    StubDaemon::new(|seen| match seen.line.starts_with("GET") {
        true => json(200, BATCH),
        false => json(200, r#"{"ok":true,"data":{"batch_id":"batch_1","status":"queued"}}"#),
    })
}

#[actix_rt::test]
async fn an_approval_is_confirmed_and_sends_the_digest_of_the_shown_batch() {
    let stub = deciding_daemon();
    let mut prompt = ScriptedPrompt { is_interactive: true, yes: true, ..ScriptedPrompt::default() };
    let done = run_with(&mut prompt, &stub, "approve batch_1 --reason fine").await.unwrap();
    assert_eq!((done.text.as_str(), done.ok), ("approved; batch status: queued\n", true));
    let whole = run_line(&stub, "show batch_1").await.unwrap().text;
    assert_eq!(prompt.shown, format!("{whole}\nRun this (1 instruction, 4 lines)?"));
    assert_eq!(stub.received()[1].line, "POST /v1/instructions/batch_1/approve");
    assert_eq!(stub.received()[1].json(), serde_json::json!({"digest": "sha256:d", "reason": "fine"}));
    run_line(&stub, "reject a/b").await.unwrap();
    assert_eq!(stub.received()[3].line, "POST /v1/instructions/a%2Fb/reject");
}

#[actix_rt::test]
async fn without_a_confirmation_nothing_is_approved() {
    let stub = deciding_daemon();
    let mut prompt = ScriptedPrompt { is_interactive: true, ..ScriptedPrompt::default() };
    let done = run_with(&mut prompt, &stub, "approve batch_1").await.unwrap();
    assert!(!done.ok && done.text.is_empty() && prompt.shown.contains("  $ ls\n"), "{}", prompt.shown);
    assert_eq!(stub.received().len(), 1, "only the batch was fetched");
}

#[actix_rt::test]
async fn without_a_terminal_an_approval_needs_the_yes_option() {
    let stub = deciding_daemon();
    let mut prompt = ScriptedPrompt { yes: true, ..ScriptedPrompt::default() };
    let refused = run_with(&mut prompt, &stub, "approve batch_1").await.err().unwrap();
    assert!(refused.is::<BadUsage>() && refused.to_string().contains("--yes"), "{refused}");
    assert!(stub.received().is_empty() && prompt.shown.is_empty());
    assert!(run_with(&mut prompt, &stub, "approve batch_1 --yes --digest sha256:other").await.unwrap().ok);
    assert!(prompt.shown.contains("  $ ls\n") && !prompt.shown.contains("Run this"), "{}", prompt.shown);
    assert_eq!(stub.received()[1].json(), serde_json::json!({"digest": "sha256:other"}));
}

#[actix_rt::test]
async fn a_batch_without_a_digest_is_not_approved() {
    let stub = StubDaemon::new(|_| json(200, r#"{"ok":true,"data":{"batch_id":"b","status":"pending_approval"}}"#));
    let error = run_line(&stub, "approve b --yes").await.err().unwrap();
    assert!(error.to_string().contains("nothing was approved"), "{error}");
    assert_eq!(stub.received().len(), 1);
}

#[actix_rt::test]
async fn a_list_has_one_line_per_batch() {
    let stub = StubDaemon::new(|_| {
        let rows = r#"[{"batch_id":"batch_2","status":"executed","origin":"http","platform":"claude",
            "conversation_id":"c","created_at":1793000000000},{}]"#;
        json(200, &format!(r#"{{"ok":true,"data":{{"batches":{rows},"count":2,"next_before":7}}}}"#))
    });
    let text = run_line(&stub, "list --status executed --platform a&b").await.unwrap().text;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "2026-10-26T07:33:20Z  batch_2  executed          http  claude/c");
    assert_eq!(lines[2], "older batches exist, before 7");
    assert_eq!(stub.received()[0].line, "GET /v1/instructions?limit=20&status=executed&platform=a%26b");
    let none = StubDaemon::new(|_| json(200, r#"{"ok":true,"data":{"batches":[],"count":0}}"#));
    assert_eq!(run_line(&none, "list").await.unwrap().text, "no batches\n");
}

#[actix_rt::test]
async fn a_file_is_run_as_a_message_and_a_failure_is_reported() {
    let folder = std::env::temp_dir().join(format!("baa-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("message.md");
    std::fs::write(&file, "```baa\n@system::exec::false\n```\n").unwrap();
    let stub = StubDaemon::new(|seen| {
        let ok = seen.json()["assistant_message_id"] == "mine";
        let done = format!(
            r#"{{"ok":true,"data":{{"batch_id":"b","status":"executed","blocks":[],"duplicates":[],
            "instructions":[{{"block_index":0,"target":"system","tool":"exec","plan":{{"operation":"exec","input":
            {{"command":"false","env":{{}}}}}}}}],"executions":[{{"block_index":0,"ok":{ok},"data":{{"result":
            {{"stdout":"a\nb","stderr":"","exit_code":1}}}}}}]}}}}"#
        );
        json(200, &done)
    });
    let failed = run_line(&stub, &format!("run {}", file.display())).await.unwrap();
    assert!(!failed.ok && failed.text.contains("  failed\n  | a\n  | b\n"), "{}", failed.text);
    let body = stub.received()[0].json();
    assert_eq!(
        (&body["platform"], &body["conversation_id"], &body["dry_run"]),
        (&"cli".into(), &"cli".into(), &false.into())
    );
    assert!(body["assistant_message_id"].as_str().unwrap().starts_with("cli_"));
    assert!(run_line(&stub, &format!("run {} --message-id mine", file.display())).await.unwrap().ok);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        run_line(&stub, "run /no/such/file").await.is_err_and(|error| error.to_string() == "cannot open /no/such/file")
    );
}
