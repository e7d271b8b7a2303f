//! `baa-conductor instructions`: lists, shows, approves, rejects and runs the instructions in models' messages.

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
use crate::{
    api::instructions::{BatchSummary, InstructionBatch, InstructionDecisionRequest, InstructionMessageRequest},
    state_folder,
};
use anyhow::Context as _;
use serde_json::value::RawValue;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Maximum size of a message file; the daemon accepts messages of one mebibyte.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Default number of listed batches.
const LIST_LIMIT_DEFAULT: u16 = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor instructions list --status pending_approval
  baa-conductor instructions show batch_01J…
  baa-conductor instructions approve batch_01J… --reason 'as discussed'
  baa-conductor instructions approve batch_01J… --yes --digest sha256:…     without a prompt, with the digest from `show`
  baa-conductor instructions run message.md --dry-run
  baa-conductor instructions run - < message.md

approve shows what would run and asks for confirmation. Without a terminal it needs --yes.

Exit codes: 0 success; 1 the command or an instruction failed, or the approval was not confirmed; 2 bad usage, including
an approval without a terminal and without --yes.")]
pub(super) struct InstructionsArguments {
    #[command(subcommand)]
    command: InstructionsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum InstructionsCommand {
    #[command(flatten)]
    Batch(BatchCommand),
    /// Enable instructions again after a damaged database was replaced; also works without a daemon.
    Enable,
}

/// The commands that call the daemon.
#[derive(Debug, clap::Subcommand)]
enum BatchCommand {
    /// List batches of instructions, newest first.
    List {
        /// Only batches with this status, such as pending_approval.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only batches of this web app.
        #[arg(long, value_name = "NAME")]
        platform: Option<String>,
        /// Maximum number of batches.
        #[arg(long, value_name = "N", default_value_t = LIST_LIMIT_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=100))]
        limit: u16,
        /// Print the daemon's response as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a batch: what it runs exactly, and the results.
    Show {
        /// Batch id.
        #[arg(value_name = "BATCH")]
        id: String,
        /// Print the daemon's response as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Approve a waiting batch, after showing it and asking for confirmation. The approval is bound to what was shown.
    Approve(ApproveArguments),
    /// Reject a waiting batch; it never runs.
    Reject {
        /// Batch id.
        #[arg(value_name = "BATCH")]
        id: String,
        /// Reason, for the audit trail.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Run the instructions of a message in a file; exits 1 if one of them fails.
    Run(RunArguments),
}

#[derive(Debug, clap::Args)]
struct ApproveArguments {
    /// Batch id.
    #[arg(value_name = "BATCH")]
    id: String,
    /// Reason, for the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Skip the confirmation; required without a terminal.
    #[arg(long, short)]
    yes: bool,
    /// Approve only a batch with this digest, as printed by `show`.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// File with the message; - reads it from stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Message id: instructions that ran under it before do not run again. By default a new id.
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Web app recorded as the source.
    #[arg(long, value_name = "NAME", default_value = "cli")]
    platform: String,
    /// Conversation recorded as the source.
    #[arg(long, value_name = "ID", default_value = "cli")]
    conversation_id: String,
    /// Show what would run without running it.
    #[arg(long)]
    dry_run: bool,
    /// Queue instructions that need approval until they are approved.
    #[arg(long, conflicts_with = "dry_run")]
    require_approval: bool,
    /// Print the daemon's response as JSON.
    #[arg(long)]
    json: bool,
}

/// The text to print, and whether the command succeeded.
struct CommandOutput {
    text: String,
    ok: bool,
}

/// Runs the command.
pub(super) fn run(context: CommandContext, arguments: InstructionsArguments) -> anyhow::Result<ExitCode> {
    let command = match arguments.command {
        InstructionsCommand::Batch(command) => command,
        InstructionsCommand::Enable => {
            let was_off = state_folder::enable_instructions(&context.state_dir)?;
            return super::print(if was_off {
                "instructions are enabled again\n"
            } else {
                "instructions were already enabled\n"
            });
        }
    };
    let width = OutputStyle::of_stdout().width;
    let work = async { execute(&DaemonClient::find(&context)?, command, width, &mut TerminalPrompt).await };
    let output = actix::System::new().block_on(work)?;
    let code = super::print(&output.text)?;
    Ok(if output.ok { code } else { ExitCode::FAILURE })
}

/// Executes a command. `width`: the terminal's columns. `prompt`: asks for the confirmation of an approval.
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
            Ok(succeeded(if json { pretty(&data) } else { view::render_list(&client.parse(&data)?, width) }))
        }
        BatchCommand::Show { id, json } => {
            let data = client.get(&batch_path(&id)).await?;
            Ok(succeeded(if json { pretty(&data) } else { view::render_batch(&client.parse(&data)?, width) }))
        }
        BatchCommand::Approve(approval) => approve(client, &approval, width, prompt).await,
        BatchCommand::Reject { id, reason } => {
            let decision = InstructionDecisionRequest { digest: None, reason };
            let data = client.post(&format!("{}/reject", batch_path(&id)), &decision, Some(REPLY_TIMEOUT)).await?;
            let decided: BatchSummary = client.parse(&data)?;
            Ok(succeeded(format!("batch status: {}\n", text::line(view::status(&decided)))))
        }
        BatchCommand::Run(run) => {
            let message = InstructionMessageRequest {
                platform: run.platform,
                conversation_id: run.conversation_id,
                assistant_message_id: run.message_id.unwrap_or_else(|| format!("cli_{}", ulid::Ulid::generate())),
                text: read_message(&run.file)?,
                dry_run: Some(run.dry_run),
                require_approval: Some(run.require_approval),
            };
            // No limit of its own: the daemon limits how long instructions run.
            let data = client.post("/v1/instructions/messages", &message, None).await?;
            let done = view::submitted_batch(client.parse(&data)?);
            let text = if run.json { pretty(&data) } else { view::render_batch(&done, width) };
            Ok(CommandOutput { text, ok: view::has_succeeded(&done) })
        }
    }
}

/// Shows a batch, asks for confirmation, and approves exactly what was shown.
async fn approve(
    client: &DaemonClient,
    approval: &ApproveArguments,
    width: Option<usize>,
    prompt: &mut impl ConfirmationPrompt,
) -> anyhow::Result<CommandOutput> {
    if !approval.yes && !prompt.is_interactive() {
        let why = "an approval needs a confirmation, but there is no terminal; check the batch with \
                   `baa-conductor instructions show`, then approve it with --yes";
        return Err(BadUsage(why).into());
    }
    let shown: InstructionBatch = client.parse(&client.get(&batch_path(&approval.id)).await?)?;
    let digest = approval.digest.as_ref().or(shown.summary.digest.as_ref());
    let digest = digest.context("the daemon reports no digest of the batch; nothing was approved")?.clone();
    let text = view::render_batch(&shown, width);
    if approval.yes || !view::is_pending(&shown.summary) {
        // The daemon refuses a batch that is not waiting, and gives the reason.
        prompt.show(&format!("{text}\n"))?;
    } else {
        let question = format!("Run this ({})?", view::approval_extent(&shown));
        if !prompt.confirm(&text, &question)? {
            print_error(
                "baa-conductor: not approved; the batch is still waiting, to reject it run `baa-conductor instructions reject`",
            );
            return Ok(CommandOutput { text: String::new(), ok: false });
        }
    }
    let decision = InstructionDecisionRequest { digest: Some(digest), reason: approval.reason.clone() };
    let data = client.post(&format!("{}/approve", batch_path(&approval.id)), &decision, Some(REPLY_TIMEOUT)).await?;
    let decided: BatchSummary = client.parse(&data)?;
    Ok(succeeded(format!("approved; batch status: {}\n", text::line(view::status(&decided)))))
}

fn succeeded(text: String) -> CommandOutput {
    CommandOutput { text, ok: true }
}

fn pretty(data: &RawValue) -> String {
    text::json(data.get(), JsonLayout::Pretty) + "\n"
}

/// The route of a batch, with its id percent-encoded.
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
    anyhow::ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{name} is larger than {FILE_BYTES_MAX} bytes");
    Ok(text)
}
