//! `baa-conductor extension`: writes the Firefox extension of this version, for this user's daemon.

use super::CommandContext;
use crate::{
    bridge::WS_PATH,
    config::Config,
    extension::{Extension, XPI},
    state_folder::{DaemonInfo, FindDaemonError},
};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor extension ~/baa-extension
  baa-conductor extension ~/baa-extension --listen 127.0.0.1:5000     for a daemon that listens there

Exit codes: 0 written; 1 it cannot be written, or the folder contains other files.")]
pub(super) struct ExtensionArguments {
    /// Target folder; created if missing, replaced if it contains an earlier extension.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: CommandContext, arguments: ExtensionArguments) -> anyhow::Result<ExitCode> {
    let extension = Extension::new(&daemon_address(&context.state_dir, &context.config)?)?;
    let folder = std::path::absolute(&arguments.dir)
        .with_context(|| format!("cannot make {} an absolute path", arguments.dir.display()))?;
    extension.write(&folder)?;
    super::print(&if arguments.json { as_json(&extension, &folder) } else { load_instructions(&extension, &folder) })
}

/// Returns the address of the running daemon, or else the configured one.
fn daemon_address(state_dir: &Path, config: &Config) -> anyhow::Result<String> {
    match DaemonInfo::find(state_dir) {
        Ok(daemon) => return Ok(daemon.ws),
        Err(FindDaemonError::NotRunning(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let address = config.server.address().context("server.listen is not an address")?;
    if address.port() == 0 {
        bail!(
            "server.listen has port 0, which means another port at each start, and no daemon is running; \
             start the daemon first, or configure a fixed port"
        );
    }
    Ok(format!("ws://{address}{WS_PATH}"))
}

fn as_json(extension: &Extension, folder: &Path) -> String {
    let written = json!({
        "version": crate::VERSION,
        "address": extension.address(),
        "folder": folder,
        "xpi": folder.join(XPI),
    });
    format!("{written:#}\n")
}

fn load_instructions(extension: &Extension, folder: &Path) -> String {
    let (version, address, unpacked) = (crate::VERSION, extension.address(), folder.display());
    format!(
        "Wrote the extension, version {version}, for the daemon at {address}:\n\
         \x20 unpacked     {unpacked}\n\
         \x20 in one file  {xpi}\n\
         \n\
         To load it until Firefox is closed, open about:debugging#/runtime/this-firefox, click\n\
         \"Load Temporary Add-on…\" and choose {manifest}.\n\
         To keep it, Firefox wants the .xpi signed: see \"Keep the extension\" in docs/usage.md.\n",
        xpi = folder.join(XPI).display(),
        manifest = folder.join("manifest.json").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::RequestId, state_folder::StateFolder};

    fn config(listen: &str) -> Config {
        let mut config = Config::default();
        config.server.listen = listen.to_owned();
        config
    }

    #[test]
    fn the_address_comes_from_the_running_daemon_or_else_the_configuration() {
        let folder = std::env::temp_dir().join(format!("baa-conductor-address-{}", RequestId::generate()));
        assert_eq!(daemon_address(&folder, &config("localhost:4321")).unwrap(), "ws://127.0.0.1:4321/ws/firefox");
        let error = daemon_address(&folder, &config("127.0.0.1:0")).unwrap_err().to_string();
        assert!(error.starts_with("server.listen has port 0"), "{error}");

        let state = StateFolder::open(&folder).unwrap();
        let announcement = state.announce("http://127.0.0.1:9", "ws://127.0.0.1:9/ws/firefox", 1).unwrap();
        for listen in ["127.0.0.1:4321", "127.0.0.1:0"] {
            assert_eq!(daemon_address(&folder, &config(listen)).unwrap(), "ws://127.0.0.1:9/ws/firefox");
        }
        drop(announcement);
        drop(state);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_output_names_both_forms_and_how_to_load_them() {
        let extension = Extension::new("ws://127.0.0.1:9/ws/firefox").unwrap();
        let report: serde_json::Value = serde_json::from_str(&as_json(&extension, Path::new("/e x"))).unwrap();
        assert_eq!((&report["folder"], &report["xpi"]), (&"/e x".into(), &"/e x/baa-conductor.xpi".into()));
        let text = load_instructions(&extension, Path::new("/e x"));
        for part in [
            crate::VERSION,
            "ws://127.0.0.1:9/ws/firefox:\n",
            " /e x\n",
            " /e x/baa-conductor.xpi\n",
            "about:debugging#/runtime/this-firefox",
            "choose /e x/manifest.json.\n",
            "signed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
