//! `baa-conductor token`: prints the location of the token, and rotates it. The token itself is never printed.

#[cfg(test)]
mod tests;

use super::{
    CommandContext,
    client::{CallError, DaemonClient},
};
use crate::{
    config::ValueOrigin,
    state_folder::{self, DaemonInfo, FindDaemonError},
};
use anyhow::bail;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// A cheap route that requires the token.
const PROBE_PATH: &str = "/v1/browser/messages?limit=1";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor token
  printf 'authorization: Bearer %s\\n' \"$(cat \"$(baa-conductor token --path)\")\" |
    curl -H @- http://127.0.0.1:4317/v1/browser/messages
  baa-conductor token --rotate

A running daemon uses a new token at once and ends the sessions of its status page. Only the token in the state folder
can be rotated; a token from the configuration is changed there.

Exit codes: 0 printed or rotated; 1 the token cannot be rotated, or the running daemon uses another one.")]
pub(super) struct TokenArguments {
    /// Replace the token by a new one.
    #[arg(long)]
    rotate: bool,
    /// Print only the path of the token's file.
    #[arg(long, conflicts_with_all = ["rotate", "json"])]
    path: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The location of the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
enum TokenLocation {
    /// The configuration contains it.
    Configuration {
        /// The source of the setting.
        origin: String,
    },
    /// A file named by the configuration.
    TokenFile { path: PathBuf, origin: String },
    /// The state folder.
    StateFolder {
        path: PathBuf,
        /// False before the first start.
        exists: bool,
    },
}

impl TokenLocation {
    fn of(context: &CommandContext) -> Self {
        let auth = &context.config.auth;
        let origin = |key: &str| context.origins.of(key).to_string();
        match (&auth.token, &auth.token_file) {
            (Some(_), _) => TokenLocation::Configuration { origin: origin("auth.token") },
            (None, Some(path)) => TokenLocation::TokenFile { path: path.clone(), origin: origin("auth.token_file") },
            (None, None) => {
                let path = state_folder::token_file(&context.state_dir);
                let exists = path.exists();
                TokenLocation::StateFolder { path, exists }
            }
        }
    }

    fn path(&self) -> Option<&PathBuf> {
        match self {
            TokenLocation::Configuration { .. } => None,
            TokenLocation::TokenFile { path, .. } | TokenLocation::StateFolder { path, .. } => Some(path),
        }
    }

    fn describe(&self) -> String {
        match self {
            TokenLocation::Configuration { origin } => format!("the token is auth.token, from {origin}"),
            TokenLocation::TokenFile { path, origin } => {
                format!("the token is in {} (auth.token_file, from {origin})", path.display())
            }
            TokenLocation::StateFolder { path, exists: true } => format!("the token is in {}", path.display()),
            TokenLocation::StateFolder { path, exists: false } => {
                format!("there is no token yet; the daemon creates it in {} at its first start", path.display())
            }
        }
    }
}

/// Whether a running daemon uses the new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum RotationResult {
    /// It does.
    Taken,
    /// No daemon is running; the next one reads the token.
    NotRunning,
    /// It uses another token: it was started with a configuration that this command does not see.
    Refused,
}

#[derive(Serialize)]
struct TokenReport {
    #[serde(flatten)]
    location: TokenLocation,
    rotated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<RotationResult>,
}

pub(super) fn run(context: CommandContext, arguments: TokenArguments) -> anyhow::Result<ExitCode> {
    let location = TokenLocation::of(&context);
    if arguments.path {
        let Some(path) = location.path() else { bail!("{}, not in a file", location.describe()) };
        return super::print(&format!("{}\n", path.display()));
    }
    let daemon = if arguments.rotate { Some(rotate(&context, &location)?) } else { None };
    let location = TokenLocation::of(&context);
    let text = if arguments.json {
        super::pretty_json(&TokenReport { location, rotated: daemon.is_some(), daemon })
    } else {
        daemon.map_or_else(|| location.describe(), |result| describe_rotation(&location, result)) + "\n"
    };
    let printed = super::print(&text)?;
    Ok(if daemon == Some(RotationResult::Refused) { ExitCode::FAILURE } else { printed })
}

fn describe_rotation(location: &TokenLocation, result: RotationResult) -> String {
    let daemon = match result {
        RotationResult::Taken => "the running daemon already uses it and has ended the sessions of its status page",
        RotationResult::NotRunning => "no daemon is running; the next one will use it",
        RotationResult::Refused => {
            "the running daemon uses another token, from a configuration that this command does not see; restart the \
             daemon, or change the token in that configuration"
        }
    };
    format!("{} and was replaced by a new one\n{daemon}", location.describe())
}

fn rotate(context: &CommandContext, location: &TokenLocation) -> anyhow::Result<RotationResult> {
    match location {
        TokenLocation::Configuration { origin }
            if *origin == ValueOrigin::Variable("BAA_SHARED_TOKEN".into()).to_string() =>
        {
            bail!("the token comes from {origin} and cannot be rotated; change it there")
        }
        TokenLocation::Configuration { origin } => {
            bail!(
                "the token is auth.token, from {origin}, and cannot be rotated; change it there and restart the daemon"
            )
        }
        TokenLocation::TokenFile { path, origin } => bail!(
            "the token is in {}, named by {origin}, and cannot be rotated; write a new one into that file, a running \
             daemon uses it at once",
            path.display()
        ),
        TokenLocation::StateFolder { .. } => {}
    }
    state_folder::prepare(&context.state_dir)?;
    state_folder::rotate_token(&context.state_dir)?;
    match DaemonInfo::find(&context.state_dir) {
        Err(FindDaemonError::NotRunning(_)) => Ok(RotationResult::NotRunning),
        Err(error) => Err(error.into()),
        Ok(_) => actix::System::new().block_on(async { Ok(show_new_token(&DaemonClient::find(context)?).await?) }),
    }
}

/// Sends the new token to the daemon, which then drops the old one and the sessions based on it.
async fn show_new_token(client: &DaemonClient) -> Result<RotationResult, CallError> {
    match client.get(PROBE_PATH).await {
        Ok(_) => Ok(RotationResult::Taken),
        Err(CallError::Refused(refused)) if matches!(refused.status, 401 | 429) => Ok(RotationResult::Refused),
        // Any other refusal comes after the token was accepted.
        Err(CallError::Refused(_)) => Ok(RotationResult::Taken),
        Err(error) => Err(error),
    }
}
