//! `baa-conductor cancel`: cancels a request of the running daemon.

use super::{
    CommandContext,
    client::{CallError, DaemonClient, REPLY_TIMEOUT},
    text::{self, JsonLayout},
};
use crate::ids::RequestId;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor request --platform claude --prompt 'A long story.' --request-id mine-1
  baa-conductor cancel mine-1                                       in another terminal
  baa-conductor cancel mine-1 --reason 'too long' --json

Exit codes: 0 removed from the queue, or the browser was asked to cancel; 1 no such request, or no daemon is running.")]
pub(super) struct CancelArguments {
    /// Request id.
    #[arg(value_parser = RequestId::parse)]
    pub(super) id: RequestId,
    /// Web app of the request; looked up by default.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: Option<String>,
    /// Firefox client that performs the request.
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Reason, for the log and the extension.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Print the daemon's response as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// The body of `POST /v1/browser/request/cancel`.
#[derive(Debug, Serialize)]
pub(super) struct CancelBody<'a> {
    /// The request's id.
    pub(super) request_id: &'a str,
    /// The web app of the request.
    pub(super) platform: &'a str,
    /// The client that performs the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<&'a str>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
}

/// The fields of the daemon's response that are shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CancelOutcome {
    status: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    client_id: Option<String>,
}

impl CancelBody<'_> {
    /// Sends the cancellation and returns the daemon's data.
    async fn send(&self, client: &DaemonClient) -> Result<Box<RawValue>, CallError> {
        client.post("/v1/browser/request/cancel", self, Some(REPLY_TIMEOUT)).await
    }

    /// Sends the cancellation and returns a line that describes the outcome.
    pub(super) async fn send_and_describe(&self, client: &DaemonClient) -> anyhow::Result<String> {
        let data = self.send(client).await?;
        let done: CancelOutcome = client.parse(&data)?;
        let known = |part: Option<String>| part.unwrap_or_else(|| "unknown".to_owned());
        let by = done.client_id.map(|id| format!(" sent to {id}")).unwrap_or_default();
        let line = format!("{}: {} ({}){by}", self.request_id, known(done.status), known(done.kind));
        Ok(text::line(&line).into_owned())
    }
}

/// Runs the command.
pub(super) fn run(context: CommandContext, arguments: CancelArguments) -> anyhow::Result<ExitCode> {
    let line = actix::System::new().block_on(async { cancel(&DaemonClient::find(&context)?, &arguments).await })?;
    if arguments.json { super::print(&format!("{line}\n")) } else { super::print_lines(&line) }
}

async fn cancel(client: &DaemonClient, arguments: &CancelArguments) -> anyhow::Result<String> {
    let id = arguments.id.as_str();
    let platform = match &arguments.platform {
        Some(platform) => platform.clone(),
        None => platform_of(client, id).await?,
    };
    let (client_id, reason) = (arguments.client.as_deref(), arguments.reason.as_deref());
    let body = CancelBody { request_id: id, platform: &platform, client_id, reason };
    if arguments.json {
        let layout = if io::stdout().is_terminal() { JsonLayout::Pretty } else { JsonLayout::Compact };
        return Ok(text::json(body.send(client).await?.get(), layout));
    }
    body.send_and_describe(client).await
}

async fn platform_of(client: &DaemonClient, id: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct JournalEntry {
        #[serde(default)]
        platform: Option<String>,
    }
    let data = client.get(&format!("/v1/browser/requests/{id}")).await?;
    let entry: JournalEntry = client.parse(&data)?;
    entry.platform.with_context(|| format!("the daemon does not report the platform of {id}; name it with --platform"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::stub_daemon::{StubDaemon, json};

    fn arguments(platform: Option<&str>) -> CancelArguments {
        let platform = platform.map(str::to_owned);
        CancelArguments {
            id: RequestId::trusted("r-1"),
            platform,
            client: None,
            reason: Some("why not".into()),
            json: false,
        }
    }

    #[actix_rt::test]
    async fn the_platform_is_looked_up_unless_it_is_named() {
        let stub = StubDaemon::new(|seen| match &*seen.line {
            "GET /v1/browser/requests/r-1" => json(200, r#"{"ok":true,"data":{"platform":"claude"}}"#),
            _ => json(
                200,
                r#"{"ok":true,"data":{"status":"cancel_requested","type":"request_cancel","client_id":"firefox-1"}}"#,
            ),
        });
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let line = cancel(&client, &arguments(None)).await.unwrap();
        assert_eq!(line, "r-1: cancel_requested (request_cancel) sent to firefox-1");
        let wanted = serde_json::json!({"request_id": "r-1", "platform": "claude", "reason": "why not"});
        assert_eq!(stub.received()[1].json(), wanted);
        cancel(&client, &arguments(Some("chatgpt"))).await.unwrap();
        let json = cancel(&client, &CancelArguments { json: true, ..arguments(Some("chatgpt")) }).await.unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["client_id"], "firefox-1");
        assert_eq!(stub.received().len(), 4, "a named platform is not looked up");
    }

    #[actix_rt::test]
    async fn an_unknown_request_is_an_error() {
        let refusal = r#"{"ok":false,"error":"not_found","message":"There is no request \"r-1\"."}"#;
        let stub = StubDaemon::new(move |_| json(404, refusal));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let error = cancel(&client, &arguments(None)).await.unwrap_err();
        assert_eq!(error.to_string(), "not_found: There is no request \"r-1\".");
    }

    #[actix_rt::test]
    async fn missing_fields_are_shown_as_unknown() {
        let stub = StubDaemon::new(|_| json(200, r#"{"ok":true,"data":{}}"#));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        assert!(cancel(&client, &arguments(None)).await.unwrap_err().to_string().contains("--platform"));
        assert_eq!(cancel(&client, &arguments(Some("claude"))).await.unwrap(), "r-1: unknown (unknown)");
    }
}
