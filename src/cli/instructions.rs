//! `baa-conductor instructions`: what models asked for, decided by a person at a terminal.

#[cfg(test)]
mod tests;
mod view;

use super::{
    BadUsage, CommandContext,
    client::{DaemonClient, REPLY_TIMEOUT},
    table::OutputStyle,
    terminal::{ConfirmationPrompt, TerminalPrompt, print_error},
    text::{self, JsonLayout},
};
use crate::state_folder;
use anyhow::Context as _;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};
use view::{BatchList, BatchView};

/// Most bytes of a file; the daemon takes a message of one mebibyte.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Batches that are listed unless told otherwise.
const LIST_LIMIT_DEFAULT: u16 = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor instructions list --status pending_approval
  baa-conductor instructions show batch_01J…
  baa-conductor instructions approve batch_01J… --reason 'as discussed'
  baa-conductor instructions approve batch_01J… --yes --digest sha256:…     (what `show` named, without a question)
  baa-conductor instructions run message.md --dry-run
  baa-conductor instructions run - < message.md

approve shows what would run and asks. Without a terminal it refuses, unless --yes is given.

Exit codes: 0 done; 1 it failed, an instruction that was run did, or the answer to the question was no; 2 bad usage,
an approval without a terminal too.")]
pub(super) struct InstructionsArguments {
    #[command(subcommand)]
    command: InstructionsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum InstructionsCommand {
    #[command(flatten)]
    Batch(BatchCommand),
    /// Let instructions run again after a damaged database was moved aside; works without a daemon too.
    Enable,
}

/// What the daemon is asked for.
#[derive(Debug, clap::Subcommand)]
enum BatchCommand {
    /// List batches of instructions, newest first.
    List {
        /// Only those of this status, such as pending_approval.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only those of this web app.
        #[arg(long, value_name = "NAME")]
        platform: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = LIST_LIMIT_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=100))]
        limit: u16,
        /// Print the daemon's answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a batch: exactly what it runs, and what came of it.
    Show {
        /// The batch.
        #[arg(value_name = "BATCH")]
        id: String,
        /// Print the daemon's answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a batch run that waits for approval. It is shown and asked about first; the approval holds for what was shown.
    Approve(ApproveArguments),
    /// Let a batch that waits for approval never run.
    Reject {
        /// The batch.
        #[arg(value_name = "BATCH")]
        id: String,
        /// Why, for the audit trail.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Run the instructions of a message in a file, each once; exits 1 when one of them failed.
    Run(RunArguments),
}

#[derive(Debug, clap::Args)]
struct ApproveArguments {
    /// The batch.
    #[arg(value_name = "BATCH")]
    id: String,
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Ask no question; needed where there is no terminal.
    #[arg(long, short)]
    yes: bool,
    /// Approve only what has this digest, as `show` names it.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The message; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The id of the message: what was run under it before does not run again. A new one when left out.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The web app that it is said to come from.
    #[arg(long, value_name = "NAME", default_value = "cli")]
    platform: String,
    /// The conversation that it is said to come from.
    #[arg(long, value_name = "ID", default_value = "cli")]
    conversation_id: String,
    /// Show what would run, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Let what does not run by itself wait for an approval.
    #[arg(long, conflicts_with = "dry_run")]
    require_approval: bool,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    platform: &'a str,
    conversation_id: &'a str,
    assistant_message_id: &'a str,
    text: &'a str,
    dry_run: bool,
    require_approval: bool,
}

#[derive(Serialize)]
struct DecisionBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What is printed, and whether all is well.
struct CommandOutput {
    text: String,
    ok: bool,
}

/// Prints it to stdout.
pub(super) fn run(context: CommandContext, arguments: InstructionsArguments) -> anyhow::Result<ExitCode> {
    let command = match arguments.command {
        InstructionsCommand::Batch(command) => command,
        InstructionsCommand::Enable => {
            let was_off = state_folder::enable_instructions(&context.state_dir)?;
            return super::print(if was_off { "instructions may run again\n" } else { "instructions were not off\n" });
        }
    };
    let width = OutputStyle::of_stdout().width;
    let work = async { execute(&DaemonClient::find(&context)?, command, width, &mut TerminalPrompt).await };
    let output = actix::System::new().block_on(work)?;
    let code = super::print(&output.text)?;
    Ok(if output.ok { code } else { ExitCode::FAILURE })
}

/// `width`: the terminal's columns. `prompt`: who is asked before anything is approved.
async fn execute(
    client: &DaemonClient,
    command: BatchCommand,
    width: Option<usize>,
    prompt: &mut impl ConfirmationPrompt,
) -> anyhow::Result<CommandOutput> {
    match command {
        BatchCommand::List { status, platform, limit, json } => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string());
            for (name, value) in [("status", &status), ("platform", &platform)] {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            let data = client.get(&format!("/v1/instructions?{}", query.finish())).await?;
            Ok(succeeded(if json {
                pretty(&data)
            } else {
                view::render_list(&client.parse::<BatchList>(&data)?, width)
            }))
        }
        BatchCommand::Show { id, json } => {
            let data = client.get(&batch_path(&id)).await?;
            Ok(succeeded(if json { pretty(&data) } else { view::render_batch(&client.parse(&data)?, width) }))
        }
        BatchCommand::Approve(approval) => approve(client, &approval, width, prompt).await,
        BatchCommand::Reject { id, reason } => {
            let decision = DecisionBody { digest: None, reason: reason.as_deref() };
            let data = client.post(&format!("{}/reject", batch_path(&id)), &decision, Some(REPLY_TIMEOUT)).await?;
            let decided: BatchView = client.parse(&data)?;
            Ok(succeeded(format!("it is {}\n", text::line(view::status(&decided)))))
        }
        BatchCommand::Run(run) => {
            let text = read_message(&run.file)?;
            let new = format!("cli_{}", ulid::Ulid::generate());
            let message = MessageBody {
                platform: &run.platform,
                conversation_id: &run.conversation_id,
                assistant_message_id: run.message_id.as_deref().unwrap_or(&new),
                text: &text,
                dry_run: run.dry_run,
                require_approval: run.require_approval,
            };
            // As long as what it asks for takes; the daemon bounds that.
            let data = client.post("/v1/instructions/messages", &message, None).await?;
            let done: BatchView = client.parse(&data)?;
            let text = if run.json { pretty(&data) } else { view::render_batch(&done, width) };
            Ok(CommandOutput { text, ok: done.has_succeeded() })
        }
    }
}

/// Shows a batch, asks whether it may run, and approves exactly what was shown.
async fn approve(
    client: &DaemonClient,
    approval: &ApproveArguments,
    width: Option<usize>,
    prompt: &mut impl ConfirmationPrompt,
) -> anyhow::Result<CommandOutput> {
    if !approval.yes && !prompt.is_interactive() {
        let why = "an approval wants to be confirmed, and there is no terminal to ask at: look at the batch with \
                   `baa-conductor instructions show`, then approve it with --yes";
        return Err(BadUsage(why).into());
    }
    let shown: BatchView = client.parse(&client.get(&batch_path(&approval.id)).await?)?;
    let digest = approval.digest.as_ref().or(shown.digest.as_ref());
    let digest = digest.context("the daemon does not say what the approval would hold for; nothing was approved")?;
    let text = view::render_batch(&shown, width);
    if approval.yes || !view::is_pending(&shown) {
        // What waits no more is refused by the daemon, which knows why.
        prompt.show(&format!("{text}\n"))?;
    } else {
        let question = format!("Run this ({})?", view::approval_extent(&shown));
        if !prompt.confirm(&text, &question)? {
            print_error("baa-conductor: not approved; the batch goes on waiting, `instructions reject` ends that");
            return Ok(CommandOutput { text: String::new(), ok: false });
        }
    }
    let decision = DecisionBody { digest: Some(digest), reason: approval.reason.as_deref() };
    let data = client.post(&format!("{}/approve", batch_path(&approval.id)), &decision, Some(REPLY_TIMEOUT)).await?;
    let decided: BatchView = client.parse(&data)?;
    Ok(succeeded(format!("approved: it is {}\n", text::line(view::status(&decided)))))
}

fn succeeded(text: String) -> CommandOutput {
    CommandOutput { text, ok: true }
}

fn pretty(data: &RawValue) -> String {
    text::json(data.get(), JsonLayout::Pretty) + "\n"
}

/// The path of a batch, whatever its name holds.
fn batch_path(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/v1/instructions/{encoded}")
}

fn read_message(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let from: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).with_context(|| format!("cannot open {name}"))?),
    };
    let mut text = String::new();
    from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    anyhow::ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{name} is longer than {FILE_BYTES_MAX} bytes");
    Ok(text)
}
