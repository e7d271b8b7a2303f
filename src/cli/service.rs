//! `baa-conductor service`: installs the daemon as a login service of this user.
//!
//! The files and commands are pure values (`systemd`, `launchd`); only `manager` writes and runs them.

mod launchd;
mod manager;
mod systemd;

use super::{CommandContext, CommonOptions, terminal};
use crate::{
    config::{ValueOrigin, explain},
    state_folder,
};
use anyhow::Context as _;
use clap::ValueEnum;
use manager::ServiceManager;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Marks files written by this program.
const FILE_MARK: &str = "Written by `baa-conductor service install`";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor service install
  baa-conductor service install --config ~/conductor.toml --print
  baa-conductor service status
  baa-conductor service uninstall

The service runs this program with the options --config, --state-dir, --listen, --log and --log-format given here. It
does not see the environment variables of this shell. On Linux it is a systemd user unit; `journalctl --user -u
baa-conductor` shows its log, and `loginctl enable-linger` keeps it running without a login. On macOS it is a launchd
agent, which logs to files in the folder logs of the state folder.

Exit codes: 0 success, and for status: running; 1 failed, or not running; 2 bad usage or configuration.")]
pub(super) struct ServiceArguments {
    #[command(subcommand)]
    pub(super) command: ServiceCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ServiceCommand {
    /// Install the service, enable it at login, and start it.
    Install {
        /// Print the service's file without installing it.
        #[arg(long)]
        print: bool,
    },
    /// Stop and remove the service; configuration and state folder stay.
    Uninstall,
    /// Show whether the service is installed and running.
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// The service to install.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServiceDefinition {
    /// The program and its arguments.
    command_line: Vec<String>,
    stop_timeout: Duration,
}

impl ServiceDefinition {
    fn new(context: &CommandContext, common: &CommonOptions) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let stop_timeout = Duration::from_millis(context.config.server.shutdown_timeout_ms) + Duration::from_secs(10);
        Ok(ServiceDefinition { command_line: command_line(&program, &context.state_dir, common)?, stop_timeout })
    }
}

/// The command line of the service, with absolute paths.
fn command_line(program: &Path, state_dir: &Path, common: &CommonOptions) -> anyhow::Result<Vec<String>> {
    let mut line = vec![path_text(program)?, "serve".to_owned()];
    let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
    if let Some(config) = &common.config {
        option("--config", path_text(&std::path::absolute(config)?)?);
    }
    // The default folder depends on variables that the service may not have.
    option("--state-dir", path_text(state_dir)?);
    if let Some(listen) = &common.listen {
        option("--listen", listen.clone());
    }
    if let Some(log) = &common.log {
        option("--log", log.clone());
    }
    if let Some(format) = &common.log_format {
        option("--log-format", format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default());
    }
    for part in &line {
        anyhow::ensure!(
            !part.contains(char::is_control),
            "{part:?} contains control characters, which are not allowed in a service file"
        );
    }
    Ok(line)
}

fn path_text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

pub(super) fn install(context: &CommandContext, common: &CommonOptions, print: bool) -> anyhow::Result<ExitCode> {
    let manager = ServiceManager::of_system()?;
    let text = manager.file_text(&ServiceDefinition::new(context, common)?);
    if print {
        return super::print(&text);
    }
    state_folder::prepare(&context.state_dir)?;
    let path = manager.install(&text)?;
    for variable in unavailable_variables(context) {
        terminal::print_error(&format!(
            "baa-conductor: the service does not see {variable}; put its setting into the configuration file"
        ));
    }
    super::print(&format!("installed and started {}, enabled at login\n{}\n", path.display(), manager.hint()))
}

pub(super) fn uninstall() -> anyhow::Result<ExitCode> {
    let manager = ServiceManager::of_system()?;
    let path = manager.uninstall()?.display();
    super::print(&format!("stopped and removed {path}; configuration and state folder are unchanged\n"))
}

pub(super) fn print_status(json: bool) -> anyhow::Result<ExitCode> {
    let status = ServiceManager::of_system()?.status()?;
    super::print(&if json { super::pretty_json(&status) } else { status.describe() + "\n" })?;
    Ok(if status.running { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The environment variables of this shell that set configuration values.
fn unavailable_variables(context: &CommandContext) -> Vec<String> {
    let origins = explain::leaves(&context.config).into_iter().map(|(key, _)| context.origins.of(&key).clone());
    let mut names: Vec<_> = origins
        .filter_map(|origin| if let ValueOrigin::Variable(name) = origin { Some(name.to_string()) } else { None })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct ServiceStatus {
    path: PathBuf,
    installed: bool,
    /// Whether it starts at login.
    enabled: bool,
    running: bool,
    /// The state as named by the service manager.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl ServiceStatus {
    fn describe(&self) -> String {
        if !self.installed {
            return format!(
                "not installed: {} does not exist; install it with `baa-conductor service install`",
                self.path.display()
            );
        }
        let at_login = if self.enabled { "enabled at login" } else { "not enabled at login" };
        let pid = self.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        format!("{}: {at_login}, {}{pid}", self.path.display(), self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn common(line: &str) -> CommonOptions {
        Cli::try_parse_from(line.split(' ')).unwrap().common
    }

    #[test]
    fn the_service_gets_the_given_options_with_absolute_paths() {
        let program = Path::new("/opt/baa-conductor");
        let plain = command_line(program, Path::new("/s"), &common("baa-conductor service status")).unwrap();
        assert_eq!(plain, ["/opt/baa-conductor", "serve", "--state-dir", "/s"]);
        let given =
            common("baa-conductor --config c.toml --listen 127.0.0.1:5 --log debug --log-format json service install");
        let here = std::env::current_dir().unwrap().join("c.toml");
        let wanted = [
            "--config",
            here.to_str().unwrap(),
            "--state-dir",
            "/s",
            "--listen",
            "127.0.0.1:5",
            "--log",
            "debug",
            "--log-format",
            "json",
        ];
        assert_eq!(command_line(program, Path::new("/s"), &given).unwrap()[2..], wanted);
    }

    #[test]
    fn a_newline_in_a_path_is_refused() {
        let error = command_line(Path::new("/a\nb"), Path::new("/s"), &common("baa-conductor serve")).unwrap_err();
        assert!(error.to_string().contains("not allowed in a service file"), "{error}");
    }

    #[test]
    fn the_status_is_one_line() {
        let mut status = ServiceStatus { path: "/u".into(), ..ServiceStatus::default() };
        assert!(status.describe().starts_with("not installed: /u does not exist"));
        status = ServiceStatus {
            installed: true,
            enabled: true,
            running: true,
            state: "active (running)".into(),
            pid: Some(7),
            ..status
        };
        assert_eq!(status.describe(), "/u: enabled at login, active (running), pid 7");
        status = ServiceStatus { enabled: false, running: false, state: "inactive (dead)".into(), pid: None, ..status };
        assert_eq!(status.describe(), "/u: not enabled at login, inactive (dead)");
    }
}
