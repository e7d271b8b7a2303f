//! The system, tasks, instructions, this machine and codexd.

use super::shape::{Answer, Field, Operation, has, may};
use crate::http::error::Code;

const LIMIT: Field = may("limit", "integer", "Most entries.");
const BEFORE: Field = may("before", "integer", "The `next_before` of an earlier answer.");
const COUNT: Field = has("count", "integer", "How many entries this answer has.");
const NEXT: Field = may("next_before", "integer", "Where the next older part begins, when there is one.");
const REASON: Field = may("reason", "string?", "Why; at most 500 characters.");
const STORE: &[Code] = &[Code::StoreUnavailable];
const FOUND: &[Code] = &[Code::NotFound, Code::StoreUnavailable];
const STATE: Answer = Answer::Data(
    &[
        has("mode", "running|paused|draining", "The mode."),
        has("active_runs", "integer", "Runs under way."),
        has("queued_tasks", "integer", "Tasks that wait."),
        has("in_flight_requests", "integer", "Browser requests under way or waiting."),
        has("leader", "boolean", "Whether this node leads."),
        has("node", "object", "This node."),
    ],
    r#"{"mode":"running","active_runs":0,"queued_tasks":0,"in_flight_requests":0,"leader":true,"node":{}}"#,
);
const CODEXD: &[Code] =
    &[Code::CodexdNotConfigured, Code::CodexdUnavailable, Code::Overloaded, Code::BrowserUpstreamError];
const PASSED_ON: Answer = Answer::PassedOn("{}");
const OPERATED: Answer = Answer::Data(
    &[
        has("operation", "string", "`exec`, `files/read` or `files/write`."),
        has("input", "object", "What was asked for, without content."),
        has("ok", "boolean", "Whether it did what it was for."),
        may("result", "any", "What came of it, when it ran."),
        may("error", "object?", "Why it did nothing: code and message."),
    ],
    r#"{"operation":"exec","input":{"command":"uname -a"},"ok":true,"result":{}}"#,
);
const OF_HOST: &[Code] = &[Code::OutsideRoots, Code::SandboxUnavailable, Code::StoreUnavailable];
const OF_EXEC: &[Code] = &[Code::RootRefused, Code::SandboxUnavailable, Code::StoreUnavailable];
const PATH: Field = has("path", "string", "Which file.");
const CWD: Field = may("cwd", "string?", "Where relative paths begin.");
const ENCODING: Field = may("encoding", "utf8|base64?", "How content is written.");
const BATCH: &[Field] = &[has("batch_id", "string", "Which batch.")];
const ROW: &[Field] = &[
    has("batch_id", "string", "Which batch."),
    has("status", "string", "How it stands."),
    has("created_at", "integer", "Unix milliseconds."),
];
const ROW_EXAMPLE: &str = r#"{"batch_id":"batch-1","status":"queued","created_at":1767225600000}"#;

const CLIENT: &[Field] = &[has("client_id", "string", "Which client.")];
const EXPIRES: Field = has("expires_at", "integer", "Unix milliseconds.");
const PAIRED: Answer = Answer::Data(
    &[
        has("client_id", "string", "Which client."),
        has("status", "waiting|paired|rejected|left|forgotten", "How it stands."),
        has("origin", "string", "Where it comes from."),
        has("requested_at", "integer", "Unix milliseconds."),
        may("approved_at", "integer", "Unix milliseconds."),
        may("expires_at", "integer", "Until when its code is good."),
    ],
    r#"{"client_id":"firefox-1","status":"paired","origin":"moz-extension://0b6b1c2d","requested_at":1767225600000}"#,
);
/// A code that is not the right one is refused, not unreadable.
const WRONG_CODE: &[(u16, Code)] = &[(403, Code::InvalidRequest)];

const fn op(
    id: &'static str,
    parameters: &'static [Field],
    body: &'static [Field],
    answer: Answer,
    codes: &'static [Code],
) -> Operation {
    Operation { id, parameters, body, answer, codes, with_status: &[] }
}

pub(super) const OPERATIONS: &[Operation] = &[
    op("system.state", &[], &[], STATE, STORE),
    op("system.pause", &[], &[REASON], STATE, STORE),
    op("system.drain", &[], &[REASON], STATE, STORE),
    op("system.resume", &[], &[REASON], STATE, STORE),
    op(
        "controllers.list",
        &[LIMIT],
        &[],
        Answer::Data(&[has("controllers", "array", "This node."), COUNT], r#"{"controllers":[],"count":0}"#),
        &[],
    ),
    op(
        "tasks.list",
        &[may("status", "string", "Only of this status."), LIMIT, BEFORE],
        &[],
        Answer::Data(&[has("tasks", "array", "Newest first."), COUNT, NEXT], r#"{"tasks":[],"count":0}"#),
        STORE,
    ),
    op(
        "tasks.one",
        &[has("id", "string", "Which task.")],
        &[],
        Answer::Data(
            &[has("task_id", "string", "Its id."), has("status", "string", "How it stands.")],
            r#"{"task_id":"task-1","status":"queued"}"#,
        ),
        FOUND,
    ),
    op(
        "tasks.logs",
        &[has("id", "string", "Which task."), may("run_id", "string", "Only of this run."), LIMIT, BEFORE],
        &[],
        Answer::Data(&[has("logs", "array", "Newest first."), COUNT, NEXT], r#"{"logs":[],"count":0}"#),
        FOUND,
    ),
    op(
        "runs.list",
        &[may("task_id", "string", "Only of this task."), LIMIT, BEFORE],
        &[],
        Answer::Data(&[has("runs", "array", "Newest first."), COUNT, NEXT], r#"{"runs":[],"count":0}"#),
        STORE,
    ),
    op("codex.status", &[], &[], PASSED_ON, CODEXD),
    op("codex.sessions.list", &[], &[], PASSED_ON, CODEXD),
    op("codex.sessions.create", &[], &[may("input", "any", "Whatever codexd takes.")], PASSED_ON, CODEXD),
    op("codex.sessions.read", &[has("id", "string", "Which session.")], &[], PASSED_ON, CODEXD),
    op(
        "codex.turn",
        &[],
        &[may("session_id", "any", "Which session."), may("input", "any", "Whatever codexd takes.")],
        PASSED_ON,
        CODEXD,
    ),
    op(
        "host.exec",
        &[],
        &[
            has("command", "any", "A line for `/bin/sh`, or an array: a program and its arguments."),
            CWD,
            may("env", "object?", "Variables beside the usual ones."),
            may("stdin", "string?", "What it reads."),
            may("timeout_ms", "integer?", "How long it may take."),
            may("max_output_bytes", "integer?", "How much of its output is kept."),
        ],
        OPERATED,
        OF_EXEC,
    ),
    op(
        "host.files.read",
        &[],
        &[
            PATH,
            CWD,
            ENCODING,
            may("offset", "integer?", "The first byte."),
            may("max_bytes", "integer?", "Most bytes."),
        ],
        OPERATED,
        OF_HOST,
    ),
    op(
        "host.files.write",
        &[],
        &[
            PATH,
            CWD,
            has("content", "string", "What it is to hold."),
            ENCODING,
            may("overwrite", "boolean?", "Whether one that is there is replaced."),
            may("create_parents", "boolean?", "Whether folders are made."),
            may("mode", "string?", "Octal digits."),
        ],
        OPERATED,
        OF_HOST,
    ),
    op(
        "instructions.submit",
        &[],
        &[
            has("platform", "string", "Whose message."),
            has("conversation_id", "string", "In which conversation."),
            has("assistant_message_id", "string", "Which message."),
            has("text", "string", "All of it."),
            may("require_approval", "boolean?", "Whether a person must agree first."),
            may("dry_run", "boolean?", "Whether it is only shown what would run."),
        ],
        Answer::Data(
            &[
                has("batch_id", "string?", "Null after a dry run."),
                has("status", "string", "How it stands."),
                has("blocks", "array", "The blocks of the message."),
                has("instructions", "array", "What they run."),
                has("duplicates", "array", "Those that ran before."),
                has("executions", "array", "What came of them."),
            ],
            r#"{"batch_id":null,"status":"planned","blocks":[],"instructions":[],"duplicates":[],"executions":[]}"#,
        ),
        &[Code::InstructionRejected, Code::Overloaded, Code::StoreUnavailable],
    ),
    op(
        "instructions.list",
        &[
            may("status", "string", "Only of this status."),
            may("platform", "string", "Only of this platform."),
            LIMIT,
            BEFORE,
        ],
        &[],
        Answer::Data(&[has("batches", "array", "Newest first."), COUNT, NEXT], r#"{"batches":[],"count":0}"#),
        STORE,
    ),
    op("instructions.one", BATCH, &[], Answer::Data(ROW, ROW_EXAMPLE), FOUND),
    op(
        "instructions.approve",
        BATCH,
        &[REASON, may("digest", "string?", "Of what was shown.")],
        Answer::Data(ROW, ROW_EXAMPLE),
        &[Code::NotFound, Code::ApprovalStale, Code::StoreUnavailable],
    ),
    op(
        "instructions.reject",
        BATCH,
        &[REASON, may("digest", "string?", "Of what was shown.")],
        Answer::Data(ROW, ROW_EXAMPLE),
        &[Code::NotFound, Code::ApprovalStale, Code::StoreUnavailable],
    ),
    op(
        "browser.pairings",
        &[],
        &[],
        Answer::Data(&[has("pairings", "array", "Who asked last first."), COUNT], r#"{"pairings":[],"count":0}"#),
        STORE,
    ),
    Operation {
        with_status: WRONG_CODE,
        ..op(
            "browser.pairings.decide",
            CLIENT,
            &[
                has("decision", "approve|reject", "Whether it is let in."),
                may("code", "string?", "The six digits that it shows; to approve."),
            ],
            PAIRED,
            FOUND,
        )
    },
    op("browser.pairings.forget", CLIENT, &[], PAIRED, FOUND),
    Operation {
        with_status: WRONG_CODE,
        ..op(
            "session.begin",
            &[],
            &[
                has("code", "string", "One that is good for once, and for a minute."),
                may(
                    "key",
                    "string?",
                    "64 hexadecimal digits in lower case, drawn at random; the session's cookie then counts only together \
                     with the header `x-baa-session-key` that shows them.",
                ),
            ],
            Answer::Data(&[EXPIRES], r#"{"expires_at":1767225600000}"#),
            &[],
        )
    },
    op(
        "session.end",
        &[],
        &[],
        Answer::Data(&[has("ended", "boolean", "Whether there was one.")], r#"{"ended":true}"#),
        &[],
    ),
    op(
        "session.codes",
        &[],
        &[],
        Answer::Data(
            &[has("code", "string", "Good for once."), EXPIRES],
            r#"{"code":"0123abcd","expires_at":1767225600000}"#,
        ),
        &[],
    ),
];
