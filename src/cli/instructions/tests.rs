//! The command against a daemon made of prepared answers.

use super::*;
use crate::cli::stub::{Stub, json};
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// One who was asked, what they were shown, and what they say.
#[derive(Default)]
struct Asker {
    is_there: bool,
    yes: bool,
    shown: String,
}

impl Person for Asker {
    fn is_there(&self) -> bool {
        self.is_there
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        self.shown.push_str(text);
        Ok(())
    }

    fn says_yes(&mut self, text: &str, question: &str) -> io::Result<bool> {
        self.shown.push_str(&format!("{text}\n{question}"));
        Ok(self.yes)
    }
}

async fn said_to(person: &mut Asker, stub: &Stub, line: &str) -> anyhow::Result<Said> {
    let line = Line::try_parse_from(std::iter::once("instructions").chain(line.split(' ')))?;
    answer(&Client::new(&stub.base, None).unwrap(), asked(line.arguments), None, person).await
}

async fn said(stub: &Stub, line: &str) -> anyhow::Result<Said> {
    said_to(&mut Asker::default(), stub, line).await
}

fn asked(arguments: Arguments) -> Asked {
    let Command::Asked(asked) = arguments.command else { panic!("needs no daemon") };
    asked
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
async fn a_batch_is_shown_with_all_that_runs_and_nothing_that_steers() {
    let stub = Stub::new(|_| json(200, BATCH));
    let shown = said(&stub, "show batch_1").await.unwrap().text;
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
        "1  @system::status  inst_2  does not run: it is in batch_0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} in\n{shown}");
    }
    assert_eq!(stub.seen()[0].line, "GET /v1/instructions/batch_1");
}

fn decides() -> Stub {
    Stub::new(|seen| match seen.line.starts_with("GET") {
        true => json(200, BATCH),
        false => json(200, r#"{"ok":true,"data":{"batch_id":"batch_1","status":"queued"}}"#),
    })
}

#[actix_rt::test]
async fn an_approval_is_shown_and_asked_for_and_sends_the_digest_of_what_was_shown() {
    let stub = decides();
    let mut person = Asker { is_there: true, yes: true, ..Asker::default() };
    let done = said_to(&mut person, &stub, "approve batch_1 --reason fine").await.unwrap();
    assert_eq!((done.text.as_str(), done.ok), ("approved: it is queued\n", true));
    let whole = said(&stub, "show batch_1").await.unwrap().text;
    assert_eq!(person.shown, format!("{whole}\nRun this (1 instruction, 4 lines)?"));
    assert_eq!(stub.seen()[1].line, "POST /v1/instructions/batch_1/approve");
    assert_eq!(stub.seen()[1].json(), serde_json::json!({"digest": "sha256:d", "reason": "fine"}));
    said(&stub, "reject a/b").await.unwrap();
    assert_eq!(stub.seen()[3].line, "POST /v1/instructions/a%2Fb/reject");
}

#[actix_rt::test]
async fn without_a_yes_nothing_is_approved() {
    let stub = decides();
    let mut person = Asker { is_there: true, ..Asker::default() };
    let done = said_to(&mut person, &stub, "approve batch_1").await.unwrap();
    assert!(!done.ok && done.text.is_empty() && person.shown.contains("  $ ls\n"), "{}", person.shown);
    assert_eq!(stub.seen().len(), 1, "it was only looked at");
}

#[actix_rt::test]
async fn without_a_terminal_it_takes_a_yes_on_the_command_line() {
    let stub = decides();
    let mut person = Asker { yes: true, ..Asker::default() };
    let refused = said_to(&mut person, &stub, "approve batch_1").await.err().unwrap();
    assert!(refused.is::<BadUsage>() && refused.to_string().contains("--yes"), "{refused}");
    assert!(stub.seen().is_empty() && person.shown.is_empty());
    assert!(said_to(&mut person, &stub, "approve batch_1 --yes --digest sha256:other").await.unwrap().ok);
    assert!(person.shown.contains("  $ ls\n") && !person.shown.contains("Run this"), "{}", person.shown);
    assert_eq!(stub.seen()[1].json(), serde_json::json!({"digest": "sha256:other"}));
}

#[actix_rt::test]
async fn what_has_no_digest_is_not_approved() {
    let stub = Stub::new(|_| json(200, r#"{"ok":true,"data":{"batch_id":"b","status":"pending_approval"}}"#));
    let error = said(&stub, "approve b --yes").await.err().unwrap();
    assert!(error.to_string().contains("nothing was approved"), "{error}");
    assert_eq!(stub.seen().len(), 1);
}

#[actix_rt::test]
async fn a_list_has_a_line_for_each_batch() {
    let stub = Stub::new(|_| {
        let rows = r#"[{"batch_id":"batch_2","status":"executed","origin":"http","platform":"claude",
            "conversation_id":"c","created_at":1793000000000},{}]"#;
        json(200, &format!(r#"{{"ok":true,"data":{{"batches":{rows},"count":2,"next_before":7}}}}"#))
    });
    let text = said(&stub, "list --status executed --platform a&b").await.unwrap().text;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "2026-10-26T07:33:20Z  batch_2  executed          http  claude/c");
    assert_eq!(lines[2], "there are older ones, before 7");
    assert_eq!(stub.seen()[0].line, "GET /v1/instructions?limit=20&status=executed&platform=a%26b");
    let none = Stub::new(|_| json(200, r#"{"ok":true,"data":{"batches":[],"count":0}}"#));
    assert_eq!(said(&none, "list").await.unwrap().text, "no batches\n");
}

#[actix_rt::test]
async fn a_file_is_run_as_a_message_and_a_failure_is_told() {
    let folder = std::env::temp_dir().join(format!("baa-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("message.md");
    std::fs::write(&file, "```baa\n@system::exec::false\n```\n").unwrap();
    let stub = Stub::new(|seen| {
        let ok = seen.json()["assistant_message_id"] == "mine";
        let done = format!(
            r#"{{"ok":true,"data":{{"batch_id":"b","status":"executed","blocks":[],"duplicates":[],
            "instructions":[{{"block_index":0,"target":"system","tool":"exec","plan":{{"operation":"exec","input":
            {{"command":"false","env":{{}}}}}}}}],"executions":[{{"block_index":0,"ok":{ok},"data":{{"result":
            {{"stdout":"a\nb","stderr":"","exit_code":1}}}}}}]}}}}"#
        );
        json(200, &done)
    });
    let failed = said(&stub, &format!("run {}", file.display())).await.unwrap();
    assert!(!failed.ok && failed.text.contains("  failed\n  | a\n  | b\n"), "{}", failed.text);
    let body = stub.seen()[0].json();
    assert_eq!(
        (&body["platform"], &body["conversation_id"], &body["dry_run"]),
        (&"cli".into(), &"cli".into(), &false.into())
    );
    assert!(body["assistant_message_id"].as_str().unwrap().starts_with("cli_"));
    assert!(said(&stub, &format!("run {} --message-id mine", file.display())).await.unwrap().ok);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        said(&stub, "run /no/such/file").await.is_err_and(|error| error.to_string() == "cannot open /no/such/file")
    );
}
