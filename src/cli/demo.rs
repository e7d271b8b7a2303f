//! `baa-conductor demo`: the daemon with a simulated Firefox.

use super::Context;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Exit after the request instead of keeping the status page open.
    #[arg(long)]
    pub(super) once: bool,
}

/// Runs the daemon and sends one request through it.
pub(super) fn run(_: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the demo (once: {}) is not part of this build", arguments.once)
}
