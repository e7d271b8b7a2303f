//! `baa-conductor config`: prints the effective configuration and the origin of each value.

use super::CommandContext;
use crate::config::explain;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor config
  baa-conductor config --config trial.toml | grep -v '# default'
  BAA_BRIDGE__HEARTBEAT_MS=5000 baa-conductor config --json

Nothing is read from the working directory.

Exit codes: 0 success; 2 the configuration is invalid, with one line per fault.")]
pub(super) struct ConfigArguments {
    /// Print one JSON object that maps keys to value, origin and source.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: CommandContext, arguments: ConfigArguments) -> anyhow::Result<ExitCode> {
    let text = if arguments.json {
        super::pretty_json(&explain::json(&context.config, &context.origins))
    } else {
        explain::text(&context.config, &context.origins)
    };
    super::print(&text)
}
