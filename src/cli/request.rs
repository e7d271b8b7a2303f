//! `baa-conductor request`: one request through the running daemon, streamed to the terminal.

use super::Context;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The web app, such as claude.
    #[arg(long, value_name = "NAME")]
    pub(super) platform: String,
    /// Send this as a prompt, or with --path as the body {"prompt": …}.
    #[arg(long, value_name = "TEXT", required_unless_present = "path")]
    pub(super) prompt: Option<String>,
    /// Path on the web app, beginning with one slash, or an absolute URL on one of its hosts.
    #[arg(long, value_name = "PATH")]
    pub(super) path: Option<String>,
    /// Method; GET unless there is a body or a prompt.
    #[arg(long, value_name = "METHOD", requires = "path")]
    pub(super) method: Option<String>,
    /// Body: JSON, or any other text as it is.
    #[arg(long, value_name = "BODY")]
    pub(super) body: Option<String>,
    /// A request header, NAME:VALUE; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// Which Firefox; the active one when left out.
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// Milliseconds that the answer may take.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: Option<u64>,
    /// An id of your own, with which `cancel` can name the request.
    #[arg(long, value_name = "ID")]
    pub(super) request_id: Option<String>,
    /// Print the answer event by event as it comes.
    #[arg(long)]
    pub(super) sse: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME:VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() {
        Err("has no name before the colon".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}

/// Prints the answer to stdout.
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let daemon = crate::state_folder::Daemon::find(&context.state_dir)?;
    anyhow::bail!("a request to {} by the daemon at {} is not part of this build", arguments.platform, daemon.http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_split_at_its_first_colon() {
        assert_eq!(header("x-a: b:c"), Ok(("x-a".into(), "b:c".into())));
        assert!(header("x-a").is_err() && header(": b").is_err());
    }
}
