//! `baa-conductor status`: clients, targets and requests of the running daemon.

use super::Context;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Show it again whenever something changes, until Ctrl-C.
    #[arg(long)]
    pub(super) watch: bool,
}

/// Prints a table to stdout.
pub(super) fn run(context: Context, _: Arguments) -> anyhow::Result<ExitCode> {
    let daemon = crate::state_folder::Daemon::find(&context.state_dir)?;
    anyhow::bail!("asking the daemon at {} is not part of this build", daemon.http)
}
