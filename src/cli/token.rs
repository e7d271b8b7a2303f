//! `baa-conductor token`: says where the token is, and rotates it. What the token is stands in its file alone.

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

/// A question that takes the token and costs the daemon next to nothing.
const PROBE_PATH: &str = "/v1/browser/messages?limit=1";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor token
  printf 'authorization: Bearer %s\\n' \"$(cat \"$(baa-conductor token --path)\")\" |
    curl -H @- http://127.0.0.1:4317/v1/browser/messages
  baa-conductor token --rotate

A running daemon takes a new token at once, and forgets the sessions of its status page. Only the token of the state
folder is rotated here; one of the configuration is changed where it stands.

Exit codes: 0 said or rotated; 1 it cannot be rotated, or the running daemon goes by another one.")]
pub(super) struct TokenArguments {
    /// Put a new token in the place of the old one.
    #[arg(long)]
    rotate: bool,
    /// Print the path of its file alone.
    #[arg(long, conflicts_with_all = ["rotate", "json"])]
    path: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where the token is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
enum TokenLocation {
    /// In the configuration itself.
    Configuration {
        /// What of the configuration names it.
        origin: String,
    },
    /// In a file that the configuration names.
    TokenFile { path: PathBuf, origin: String },
    /// In the state folder.
    StateFolder {
        path: PathBuf,
        /// Not before the first start.
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
                format!("there is no token yet; the daemon makes one in {} at its first start", path.display())
            }
        }
    }
}

/// What a running daemon makes of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum RotationResult {
    /// It goes by it.
    Taken,
    /// None runs; the next one reads it.
    NotRunning,
    /// It goes by another one: it was started with a configuration that this command does not see.
    Refused,
}

#[derive(Serialize)]
struct TokenReport {
    #[serde(flatten)]
    place: TokenLocation,
    rotated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<RotationResult>,
}

/// Prints where it is, and what became of it, to stdout.
pub(super) fn run(context: CommandContext, arguments: TokenArguments) -> anyhow::Result<ExitCode> {
    let place = TokenLocation::of(&context);
    if arguments.path {
        let Some(path) = place.path() else { bail!("{}; no file holds it", place.describe()) };
        return super::print(&format!("{}\n", path.display()));
    }
    let daemon = if arguments.rotate { Some(rotate(&context, &place)?) } else { None };
    let place = TokenLocation::of(&context);
    let text = if arguments.json {
        let shown = TokenReport { place, rotated: daemon.is_some(), daemon };
        serde_json::to_string_pretty(&shown).expect("texts serialize")
    } else {
        daemon.map_or_else(|| place.describe(), |taken| describe_rotation(&place, taken))
    };
    let said = super::print(&format!("{text}\n"))?;
    Ok(if daemon == Some(RotationResult::Refused) { ExitCode::FAILURE } else { said })
}

fn describe_rotation(place: &TokenLocation, taken: RotationResult) -> String {
    let daemon = match taken {
        RotationResult::Taken => "the running daemon goes by it already, and forgot the sessions of its status page",
        RotationResult::NotRunning => "no daemon is running; the next one takes it",
        RotationResult::Refused => {
            "the running daemon goes by another one, of a configuration that is not in force here: restart it, or \
             change its token there"
        }
    };
    format!("{}, and it is a new one\n{daemon}", place.describe())
}

fn rotate(context: &CommandContext, place: &TokenLocation) -> anyhow::Result<RotationResult> {
    match place {
        TokenLocation::Configuration { origin }
            if *origin == ValueOrigin::Variable("BAA_SHARED_TOKEN".into()).to_string() =>
        {
            bail!("the token comes from {origin}, which is not changed here: set another one where it is set")
        }
        TokenLocation::Configuration { origin } => {
            bail!(
                "the token is auth.token, from {origin}, which is not changed here: write another one there, and restart"
            )
        }
        TokenLocation::TokenFile { path, origin } => bail!(
            "the token is in {}, which {origin} names and which is not changed here: write another one into it; a \
             running daemon takes it at once",
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

/// Shows the daemon the new token, upon which it forgets the old one and what came of it.
async fn show_new_token(client: &DaemonClient) -> Result<RotationResult, CallError> {
    match client.get(PROBE_PATH).await {
        Ok(_) => Ok(RotationResult::Taken),
        Err(CallError::Refused(refused)) if matches!(refused.status, 401 | 429) => Ok(RotationResult::Refused),
        // Whatever else is wrong with the daemon, the token was right.
        Err(CallError::Refused(_)) => Ok(RotationResult::Taken),
        Err(error) => Err(error),
    }
}
