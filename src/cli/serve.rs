//! `baa-conductor serve`: runs the daemon.

use super::Context;
use std::process::ExitCode;

/// Runs until a signal ends it.
pub(super) fn run(context: Context) -> anyhow::Result<ExitCode> {
    anyhow::bail!("the daemon on {} is not part of this build", context.state_dir.display())
}
