//! `baa-conductor cancel`: cancels a request of the running daemon.

use super::{
    CommandContext,
    client::{CallError, DaemonClient, REPLY_TIMEOUT, with_daemon},
    journal::JournalEntry,
    text,
};
use crate::{
    api::browser_request::{CancelRequest, CancelResponse},
    ids::RequestId,
};
use serde_json::value::RawValue;
use std::process::ExitCode;

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

/// Sends a cancellation and returns the daemon's data.
pub(super) async fn send_cancel(client: &DaemonClient, body: &CancelRequest) -> Result<Box<RawValue>, CallError> {
    client.post("/v1/browser/request/cancel", body, Some(REPLY_TIMEOUT)).await
}

pub(super) fn run(context: CommandContext, arguments: CancelArguments) -> anyhow::Result<ExitCode> {
    let line = with_daemon(&context, async |client| cancel(client, &arguments).await)?;
    super::print_text(&format!("{line}\n"), arguments.json)
}

async fn cancel(client: &DaemonClient, arguments: &CancelArguments) -> anyhow::Result<String> {
    let request_id = arguments.id.to_string();
    let platform = match &arguments.platform {
        Some(platform) => platform.clone(),
        None => client.fetch::<JournalEntry>(&format!("/v1/browser/requests/{request_id}")).await?.platform,
    };
    let (client_id, reason) = (arguments.client.clone(), arguments.reason.clone());
    let body = CancelRequest { request_id, platform, client_id, reason };
    let data = send_cancel(client, &body).await?;
    if arguments.json {
        return Ok(text::json(data.get(), super::stdout_layout()));
    }
    let done: CancelResponse = client.parse(&data)?;
    let by = done.client_id.map(|id| format!(" sent to {id}")).unwrap_or_default();
    Ok(format!("{}: {} ({}){by}", body.request_id, super::api_name(&done.status), super::api_name(&done.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{
        completed,
        stub_daemon::{StubDaemon, json},
    };
    use serde_json::json as value;

    fn data(kind: &str, part: serde_json::Value) -> String {
        value!({"ok": true, "data": completed(kind, part)}).to_string()
    }

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
            "GET /v1/browser/requests/r-1" => json(200, &data("request", value!({"platform": "claude"}))),
            _ => json(200, &data("cancel", value!({"client_id": "firefox-1"}))),
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
}
