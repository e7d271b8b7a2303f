//! Probes, discovery, status and events.

use super::shape::{Answer, Field, Operation, has};
use crate::http::error::Code;

const PROBE: Answer = Answer::Data(&[has("status", "string", "`ok`, or `ready`.")], r#"{"status":"ok"}"#);
const DESCRIPTION: &[Field] = &[
    has("name", "string", "The service."),
    has("version", "string", "Its version."),
    has("auth", "object", "What a caller has to show."),
    has("browser", "object", "The browser routes and how to use them."),
    has("system", "object", "The system's mode."),
    has("notes", "array", "What is worth knowing first."),
];
const DESCRIBED: Answer = Answer::Data(
    DESCRIPTION,
    r#"{"name":"baa-conductor-daemon","version":"0.1.0","auth":{},"browser":{},"system":{},"notes":[]}"#,
);

const fn plain(id: &'static str, answer: Answer) -> Operation {
    Operation { id, parameters: &[], body: &[], answer, codes: &[], with_status: &[] }
}

pub(super) const OPERATIONS: &[Operation] = &[
    plain("service.health", PROBE),
    plain("service.healthz", PROBE),
    Operation { codes: &[Code::StoreUnavailable, Code::NotReady], ..plain("service.readyz", PROBE) },
    plain(
        "service.version",
        Answer::Data(
            &[
                has("name", "string", "The program."),
                has("version", "string", "Its version."),
                has("git_commit", "string", "What it was built from."),
                has("protocol", "string", "The peers' protocol."),
                has("started_at", "integer", "Unix milliseconds."),
            ],
            r#"{"name":"baa-conductor","version":"0.1.0","git_commit":"unknown","protocol":"baa.firefox/1","started_at":1767225600000}"#,
        ),
    ),
    plain("service.metrics", Answer::Media(&["text/plain"])),
    plain("discovery.describe", DESCRIBED),
    plain("discovery.describe.business", DESCRIBED),
    plain("discovery.describe.control", DESCRIBED),
    plain("discovery.capabilities", DESCRIBED),
    plain(
        "discovery.openapi",
        Answer::Bare(r#"{"openapi":"3.1.0","info":{"title":"baa-conductor","version":"0.1.0"},"paths":{}}"#),
    ),
    plain("discovery.docs", Answer::Media(&["text/html"])),
    plain("discovery.docs.style", Answer::Media(&["text/css"])),
    plain(
        "service.status",
        Answer::Data(
            &[
                has("mode", "running|paused|draining", "The system's mode."),
                has("version", "string", "The daemon's version."),
                has("uptime_ms", "integer", "Since it serves."),
                has("active_runs", "integer?", "Null when the store cannot be read."),
                has("queued_tasks", "integer?", "Null when the store cannot be read."),
                has("in_flight_requests", "integer", "Browser requests under way or waiting."),
                has("bridge", "object", "Who is connected."),
                has("store", "object", "Whether the store does its work."),
                has("instructions", "object", "Off while it is not known what had run; a person enables them."),
                has("policy", "object", "What the policy holds back."),
            ],
            r#"{"mode":"running","version":"0.1.0","uptime_ms":4200,"active_runs":0,"queued_tasks":0,"in_flight_requests":0,"bridge":{"status":"connected","client_count":1,"active_client_id":"firefox-1"},"store":{"status":"ok","faults":[]},"instructions":{"status":"on"},"policy":{}}"#,
        ),
    ),
    plain("events", Answer::Media(&["text/event-stream"])),
    plain("extension.xpi", Answer::Media(&["application/x-xpinstall"])),
    plain("browser.socket", Answer::Empty(101, "The connection is the peers' WebSocket from here on.")),
    plain("page.ui", Answer::Media(&["text/html"])),
    plain("page.root", Answer::Empty(307, "Leads to the status page.")),
    Operation {
        parameters: &[has("asset", "string", "Which part.")],
        codes: &[Code::NotFound],
        ..plain("page.asset", Answer::Media(&["text/css", "text/javascript", "image/svg+xml", "text/plain"]))
    },
];
