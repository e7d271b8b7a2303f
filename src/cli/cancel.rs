//! `baa-conductor cancel`: cancels a request of the running daemon.

use super::Context;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The request's id.
    pub(super) id: String,
    /// Its web app; looked up when left out.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: Option<String>,
    /// The Firefox that executes it.
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Why, for the log and the extension.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Prints what became of it to stdout.
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let daemon = crate::state_folder::Daemon::find(&context.state_dir)?;
    anyhow::bail!("cancelling {} by the daemon at {} is not part of this build", arguments.id, daemon.http)
}
