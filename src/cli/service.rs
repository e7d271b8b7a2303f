//! `baa-conductor service`: has the system's own service manager run the daemon at login, as this user.
//!
//! What is written is pure text (`systemd`, `launchd`); what is run is listed there too, and only `manager` runs it.

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

/// What tells a file of ours from somebody else's of the same name.
const FILE_MARK: &str = "Written by `baa-conductor service install`";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor service install
  baa-conductor service install --config ~/conductor.toml --print
  baa-conductor service status
  baa-conductor service uninstall

The service runs the program that this command is, with the options --config, --state-dir, --listen, --log and
--log-format that are given here; variables of this shell do not reach it. On Linux it is a systemd user unit, whose
log is `journalctl --user -u baa-conductor`; `loginctl enable-linger` keeps it running without a login. On macOS it is
a launchd agent, which logs to the files in logs/ of the state folder.

Exit codes: 0 done, and for status: it runs; 1 failed, or it does not run; 2 bad usage or configuration.")]
pub(super) struct ServiceArguments {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ServiceCommand {
    /// Write the service, have it run at login, and start it now.
    Install {
        /// Print the service's file, change nothing.
        #[arg(long)]
        print: bool,
    },
    /// Stop it and remove it; configuration and state folder stay.
    Uninstall,
    /// Tell whether it is there and runs.
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl ServiceArguments {
    /// Whether the service must be known to start; what is broken can always be looked at and removed.
    pub(super) fn needs_configuration(&self) -> bool {
        matches!(self.command, ServiceCommand::Install { .. })
    }
}

/// What is to be run at login.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServiceDefinition {
    /// The program and its arguments.
    command_line: Vec<String>,
    /// What the daemon takes at most to end in order.
    stop_timeout: Duration,
}

impl ServiceDefinition {
    fn new(context: &CommandContext, common: &CommonOptions) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let stop_timeout = Duration::from_millis(context.config.server.shutdown_timeout_ms) + Duration::from_secs(10);
        Ok(ServiceDefinition { command_line: command_line(&program, &context.state_dir, common)?, stop_timeout })
    }
}

/// The command line of the service: absolute paths, since it starts elsewhere.
fn command_line(program: &Path, state_dir: &Path, common: &CommonOptions) -> anyhow::Result<Vec<String>> {
    let mut line = vec![path_text(program)?, "serve".to_owned()];
    let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
    if let Some(config) = &common.config {
        option("--config", path_text(&std::path::absolute(config)?)?);
    }
    // Where the service would look by itself depends on variables that it need not have.
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
        anyhow::ensure!(!part.contains(char::is_control), "{part:?} cannot stand in the file of a service");
    }
    Ok(line)
}

fn path_text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Prints what was done, or how it is, to stdout. `context` is there when the command needs it.
pub(super) fn run(
    context: Option<&CommandContext>,
    common: &CommonOptions,
    arguments: &ServiceArguments,
) -> anyhow::Result<ExitCode> {
    let manager = ServiceManager::of_system()?;
    match (&arguments.command, context) {
        (ServiceCommand::Install { print }, Some(context)) => {
            let service = ServiceDefinition::new(context, common)?;
            let text = manager.file_text(&service);
            if *print {
                return super::print(&text);
            }
            state_folder::prepare(&context.state_dir)?;
            let path = manager.install(&text)?;
            for variable in unavailable_variables(context) {
                terminal::print_error(&format!(
                    "baa-conductor: the service does not get {variable}; write its setting into the configuration file"
                ));
            }
            super::print(&format!("{} is written, runs at login and was started\n{}\n", path.display(), manager.hint()))
        }
        (ServiceCommand::Install { .. }, None) => anyhow::bail!("a service needs its configuration"),
        (ServiceCommand::Uninstall, _) => {
            let path = manager.uninstall()?;
            super::print(&format!("{} is gone; configuration and state folder are as they were\n", path.display()))
        }
        (ServiceCommand::Status { json }, _) => {
            let status = manager.status()?;
            let text =
                if *json { serde_json::to_string_pretty(&status).expect("texts serialize") } else { status.describe() };
            super::print(&format!("{text}\n"))?;
            Ok(if status.running { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// The variables of this shell that say something about the configuration.
fn unavailable_variables(context: &CommandContext) -> Vec<String> {
    let origins = explain::leaves(&context.config).into_iter().map(|(key, _)| context.origins.of(&key).clone());
    let mut names: Vec<_> = origins
        .filter_map(|origin| if let ValueOrigin::Variable(name) = origin { Some(name.to_string()) } else { None })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// How the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct ServiceStatus {
    /// Its file.
    path: PathBuf,
    /// Whether that is there.
    installed: bool,
    /// Whether it starts at login.
    enabled: bool,
    running: bool,
    /// As the service manager puts it.
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl ServiceStatus {
    fn describe(&self) -> String {
        if !self.installed {
            return format!(
                "not installed: there is no {}; `baa-conductor service install` writes it",
                self.path.display()
            );
        }
        let at_login = if self.enabled { "runs at login" } else { "does not run at login" };
        let pid = self.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        format!("{} {at_login}; now it is {}{pid}", self.path.display(), self.state)
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
    fn the_service_gets_the_options_that_were_given_with_absolute_paths() {
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
    fn a_line_end_in_a_path_is_refused() {
        let error = command_line(Path::new("/a\nb"), Path::new("/s"), &common("baa-conductor serve")).unwrap_err();
        assert!(error.to_string().contains("cannot stand in the file of a service"), "{error}");
    }

    #[test]
    fn how_it_is_is_said_in_one_line() {
        let mut status = ServiceStatus { path: "/u".into(), ..ServiceStatus::default() };
        assert!(status.describe().starts_with("not installed: there is no /u"));
        status = ServiceStatus {
            installed: true,
            enabled: true,
            running: true,
            state: "active (running)".into(),
            pid: Some(7),
            ..status
        };
        assert_eq!(status.describe(), "/u runs at login; now it is active (running), pid 7");
        status = ServiceStatus { enabled: false, running: false, state: "inactive (dead)".into(), pid: None, ..status };
        assert_eq!(status.describe(), "/u does not run at login; now it is inactive (dead)");
    }
}
