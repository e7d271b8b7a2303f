//! `baa-conductor token`: says where the token is, and rotates it. What the token is stands in its file alone.

#[cfg(test)]
mod tests;

use super::{
    Context,
    client::{CallError, Client},
};
use crate::{
    config::Origin,
    state_folder::{self, Daemon, FindError},
};
use anyhow::bail;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};

/// A question that takes the token and costs the daemon next to nothing.
const PROBE: &str = "/v1/browser/messages?limit=1";

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
pub(super) struct Arguments {
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
enum Place {
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

impl Place {
    fn of(context: &Context) -> Self {
        let auth = &context.config.auth;
        let origin = |key: &str| context.origins.of(key).to_string();
        match (&auth.token, &auth.token_file) {
            (Some(_), _) => Place::Configuration { origin: origin("auth.token") },
            (None, Some(path)) => Place::TokenFile { path: path.clone(), origin: origin("auth.token_file") },
            (None, None) => {
                let path = state_folder::token_file(&context.state_dir);
                let exists = path.exists();
                Place::StateFolder { path, exists }
            }
        }
    }

    fn path(&self) -> Option<&PathBuf> {
        match self {
            Place::Configuration { .. } => None,
            Place::TokenFile { path, .. } | Place::StateFolder { path, .. } => Some(path),
        }
    }

    fn said(&self) -> String {
        match self {
            Place::Configuration { origin } => format!("the token is auth.token, from {origin}"),
            Place::TokenFile { path, origin } => {
                format!("the token is in {} (auth.token_file, from {origin})", path.display())
            }
            Place::StateFolder { path, exists: true } => format!("the token is in {}", path.display()),
            Place::StateFolder { path, exists: false } => {
                format!("there is no token yet; the daemon makes one in {} at its first start", path.display())
            }
        }
    }
}

/// What a running daemon makes of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reception {
    /// It goes by it.
    Taken,
    /// None runs; the next one reads it.
    NotRunning,
    /// It goes by another one: it was started with a configuration that this command does not see.
    Refused,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    place: Place,
    rotated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<Reception>,
}

/// Prints where it is, and what became of it, to stdout.
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let place = Place::of(&context);
    if arguments.path {
        let Some(path) = place.path() else { bail!("{}; no file holds it", place.said()) };
        return super::say(&format!("{}\n", path.display()));
    }
    let daemon = if arguments.rotate { Some(rotate(&context, &place)?) } else { None };
    let place = Place::of(&context);
    let text = if arguments.json {
        let shown = Shown { place, rotated: daemon.is_some(), daemon };
        serde_json::to_string_pretty(&shown).expect("texts serialize")
    } else {
        daemon.map_or_else(|| place.said(), |taken| rotated(&place, taken))
    };
    let said = super::say(&format!("{text}\n"))?;
    Ok(if daemon == Some(Reception::Refused) { ExitCode::FAILURE } else { said })
}

fn rotated(place: &Place, taken: Reception) -> String {
    let daemon = match taken {
        Reception::Taken => "the running daemon goes by it already, and forgot the sessions of its status page",
        Reception::NotRunning => "no daemon is running; the next one takes it",
        Reception::Refused => {
            "the running daemon goes by another one, of a configuration that is not in force here: restart it, or \
             change its token there"
        }
    };
    format!("{}, and it is a new one\n{daemon}", place.said())
}

fn rotate(context: &Context, place: &Place) -> anyhow::Result<Reception> {
    match place {
        Place::Configuration { origin } if *origin == Origin::Variable("BAA_SHARED_TOKEN".into()).to_string() => {
            bail!("the token comes from {origin}, which is not changed here: set another one where it is set")
        }
        Place::Configuration { origin } => {
            bail!(
                "the token is auth.token, from {origin}, which is not changed here: write another one there, and restart"
            )
        }
        Place::TokenFile { path, origin } => bail!(
            "the token is in {}, which {origin} names and which is not changed here: write another one into it; a \
             running daemon takes it at once",
            path.display()
        ),
        Place::StateFolder { .. } => {}
    }
    state_folder::prepare(&context.state_dir)?;
    state_folder::rotate_token(&context.state_dir)?;
    match Daemon::find(&context.state_dir) {
        Err(FindError::NotRunning(_)) => Ok(Reception::NotRunning),
        Err(error) => Err(error.into()),
        Ok(_) => actix::System::new().block_on(async { Ok(taken(&Client::find(context)?).await?) }),
    }
}

/// Shows the daemon the new token, upon which it forgets the old one and what came of it.
async fn taken(client: &Client) -> Result<Reception, CallError> {
    match client.get(PROBE).await {
        Ok(_) => Ok(Reception::Taken),
        Err(CallError::Refused(refused)) if matches!(refused.status, 401 | 429) => Ok(Reception::Refused),
        // Whatever else is wrong with the daemon, the token was right.
        Err(CallError::Refused(_)) => Ok(Reception::Taken),
        Err(error) => Err(error),
    }
}
