//! `pair` and `pairings`: pairs a Firefox by the code on its page, lists paired and waiting clients, and forgets one.

use super::{
    CommandContext,
    client::{CallError, DaemonClient, REPLY_TIMEOUT},
    text,
};
use crate::{
    api::pairings::{Pairing, PairingDecisionRequest, PairingList, PairingStatus},
    ids::ClientId,
};
use anyhow::bail;
use chrono::{DateTime, Local};
use serde_json::{json, value::RawValue};
use std::process::ExitCode;

const PAIRINGS: &str = "/v1/browser/pairings";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor pair 123456
  baa-conductor pair '123 456'

The code is on the extension's page. Exit codes: 0 paired; 1 no waiting Firefox shows this code.")]
pub(super) struct PairArguments {
    /// The six digits on the extension's page.
    #[arg(value_parser = parse_code)]
    code: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor pairings
  baa-conductor pairings list --json
  baa-conductor pairings forget firefox-1a2b3c4d")]
pub(super) struct PairingsArguments {
    #[command(subcommand)]
    command: Option<PairingsCommand>,
    /// Print the daemon's response as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum PairingsCommand {
    /// List paired and waiting clients (the default).
    List,
    /// Forget a Firefox and close its connection; it must be paired again.
    Forget {
        /// Client id.
        #[arg(value_parser = ClientId::parse)]
        client_id: ClientId,
    },
}

/// Parses a code of six digits; whitespace is ignored.
fn parse_code(given: &str) -> Result<String, String> {
    let code: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let fits = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(code) } else { Err("a pairing code has six digits".to_owned()) }
}

/// Runs `pair`.
pub(super) fn pair(context: CommandContext, arguments: PairArguments) -> anyhow::Result<ExitCode> {
    let line =
        actix::System::new().block_on(async { pair_by_code(&DaemonClient::find(&context)?, &arguments.code).await })?;
    super::print_lines(&line)
}

/// Runs `pairings`.
pub(super) fn run(context: CommandContext, arguments: PairingsArguments) -> anyhow::Result<ExitCode> {
    let text = actix::System::new().block_on(async { execute(&DaemonClient::find(&context)?, &arguments).await })?;
    if arguments.json { super::print(&text) } else { super::print_lines(&text) }
}

/// Tries the code on each waiting client, since the daemon does not disclose which client shows which code.
async fn pair_by_code(client: &DaemonClient, code: &str) -> anyhow::Result<String> {
    let data = client.get(PAIRINGS).await?;
    let list: PairingList = client.parse(&data)?;
    let waiting: Vec<_> = list.pairings.iter().filter(|entry| entry.status == PairingStatus::Waiting).collect();
    if waiting.is_empty() {
        bail!("no Firefox is waiting for pairing; check the extension's page for the reason");
    }
    let mut tried = Vec::new();
    for entry in waiting {
        // Several connections may wait under one client id; one attempt covers all of them.
        if tried.contains(&&entry.client_id) {
            continue;
        }
        tried.push(&entry.client_id);
        let decision = PairingDecisionRequest { decision: "approve".to_owned(), code: Some(code.to_owned()) };
        match client.post(&format!("{PAIRINGS}/{}", entry.client_id), &decision, Some(REPLY_TIMEOUT)).await {
            Ok(data) => {
                let paired: Pairing = client.parse(&data)?;
                let line = format!("paired {} from {}", paired.client_id, paired.origin);
                return Ok(text::line(&line).into_owned());
            }
            // The code of another client, or the client has disconnected meanwhile.
            Err(CallError::Refused(refused)) if matches!(refused.status, 403 | 404) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("no waiting Firefox shows this code; check the digits on the extension's page")
}

async fn execute(client: &DaemonClient, arguments: &PairingsArguments) -> anyhow::Result<String> {
    let data = match &arguments.command {
        None | Some(PairingsCommand::List) => {
            let data = client.get(PAIRINGS).await?;
            if !arguments.json {
                let list: PairingList = client.parse(&data)?;
                return Ok(render_pairings(&list.pairings));
            }
            data
        }
        Some(PairingsCommand::Forget { client_id }) => {
            let data = client.delete(&format!("{PAIRINGS}/{client_id}")).await?;
            if !arguments.json {
                return Ok(format!("forgot {client_id}\n"));
            }
            data
        }
    };
    Ok(pretty(&data))
}

fn pretty(data: &RawValue) -> String {
    format!("{}\n", text::json(data.get(), text::JsonLayout::Pretty))
}

fn render_pairings(pairings: &[Pairing]) -> String {
    if pairings.is_empty() {
        return "no Firefox is paired or waiting for pairing\n".to_owned();
    }
    let mut rows = vec![["CLIENT", "STATUS", "SINCE", "ORIGIN"].map(str::to_owned)];
    rows.extend(pairings.iter().map(|entry| {
        let since = DateTime::from_timestamp_millis(entry.approved_at.unwrap_or(entry.requested_at));
        let since = since.map(|at| at.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string());
        let (status, since) = (json!(entry.status), since.unwrap_or_default());
        let status = status.as_str().unwrap_or_default();
        [entry.client_id.as_str(), status, &since, &entry.origin].map(|cell| text::line(cell).into())
    }));
    let widths = [0, 1, 2].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 4]| {
        let [client, status, since, origin] = row;
        format!("{client:0$}  {status:1$}  {since:2$}  {origin}\n", widths[0], widths[1], widths[2])
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::stub_daemon::{StubDaemon, json};

    const WAITING: &str = r#"{"ok":true,"data":{"pairings":[
        {"client_id":"a","status":"waiting","origin":"none"},{"client_id":"a","status":"waiting","origin":"none"},
        {"client_id":"p","status":"paired","origin":"none","approved_at":0},
        {"client_id":"b","status":"waiting","origin":"moz-extension://x"}]}}"#;
    const WRONG: &str = r#"{"ok":false,"error":"invalid_request","message":"Wrong.","details":{"field":"code"}}"#;

    fn stub(right: &'static str) -> StubDaemon {
        StubDaemon::new(move |seen| match &*seen.line {
            "GET /v1/browser/pairings" => json(200, WAITING),
            line if line == format!("POST /v1/browser/pairings/{right}") => {
                json(200, r#"{"ok":true,"data":{"client_id":"b","status":"paired","origin":"moz-extension://x"}}"#)
            }
            "DELETE /v1/browser/pairings/p" => {
                json(200, r#"{"ok":true,"data":{"client_id":"p","status":"forgotten"}}"#)
            }
            _ => json(403, WRONG),
        })
    }

    #[actix_rt::test]
    async fn the_client_with_the_code_is_found_and_none_is_tried_twice() {
        let stub = stub("b");
        let client = DaemonClient::new(&stub.base, None).unwrap();
        assert_eq!(pair_by_code(&client, "012345").await.unwrap(), "paired b from moz-extension://x");
        let seen = stub.received();
        let lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
        assert_eq!(
            lines,
            ["GET /v1/browser/pairings", "POST /v1/browser/pairings/a", "POST /v1/browser/pairings/b"],
            "paired clients are not tried"
        );
        assert_eq!(seen[2].json(), serde_json::json!({"decision": "approve", "code": "012345"}));
    }

    #[actix_rt::test]
    async fn an_unknown_code_is_an_error() {
        let stub = stub("none");
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let error = pair_by_code(&client, "012345").await.unwrap_err();
        assert_eq!(error.to_string(), "no waiting Firefox shows this code; check the digits on the extension's page");
        let empty = StubDaemon::new(|_| json(200, r#"{"ok":true,"data":{"pairings":[],"count":0}}"#));
        let client = DaemonClient::new(&empty.base, None).unwrap();
        assert!(pair_by_code(&client, "012345").await.unwrap_err().to_string().starts_with("no Firefox is waiting"));
        let list = PairingsArguments { command: None, json: false };
        assert!(execute(&client, &list).await.unwrap().starts_with("no Firefox is paired"));
    }

    #[actix_rt::test]
    async fn pairings_are_a_table_or_json_and_one_can_be_forgotten() {
        let stub = stub("b");
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let shown = execute(&client, &PairingsArguments { command: None, json: false }).await.unwrap();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["CLIENT", "STATUS", "SINCE", "ORIGIN"]);
        assert!(lines[4].starts_with("b       waiting") && lines[4].ends_with("moz-extension://x"), "{shown}");
        let json =
            execute(&client, &PairingsArguments { command: Some(PairingsCommand::List), json: true }).await.unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["pairings"][3]["client_id"], "b");
        let forget = PairingsArguments {
            command: Some(PairingsCommand::Forget { client_id: ClientId::trusted("p") }),
            json: false,
        };
        assert_eq!(execute(&client, &forget).await.unwrap(), "forgot p\n");
    }

    #[test]
    fn a_code_has_six_digits() {
        assert_eq!(parse_code(" 012 345 "), Ok("012345".to_owned()));
        for wrong in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert!(parse_code(wrong).is_err(), "{wrong}");
        }
    }
}
