//! `baa-conductor config`: the effective configuration with the origin of each value.

use super::Context;
use crate::config::explain;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print one JSON object: key to value, origin and source.
    #[arg(long)]
    json: bool,
}

/// Prints it to stdout.
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let text = if arguments.json {
        format!("{:#}\n", explain::json(&context.config, &context.origins))
    } else {
        explain::text(&context.config, &context.origins)
    };
    super::say(&text)
}
