//! The command line: arguments, what every command needs, and which file runs which command.
//!
//! Exit codes: 0 clean, 1 failed, 2 bad usage or configuration, 3 address in use. Faults go to stderr, one a line;
//! stdout belongs to the ready line of `serve` and to the answers of the other commands.

mod action;
mod audit;
mod cancel;
mod client;
mod completions;
mod config;
mod demo;
mod doctor;
mod event_stream;
mod extension;
mod instructions;
mod line_wrap;
mod man;
mod open;
mod pairing;
mod request;
mod serve;
mod service;
mod status;
#[cfg(test)]
mod stub_daemon;
mod table;
mod terminal;
mod token;

/// What text from elsewhere becomes before it is printed.
pub(crate) use crate::terminal_text as text;
use crate::{
    config::{Config, ConfigError, ConfigOptions, ConfigSources, ValueOrigin, ValueOrigins, load},
    host, state_folder,
    telemetry::{self, LogFormat, Telemetry},
};
use clap::{Args, Parser, Subcommand};
use std::{fmt, io, path::PathBuf, process::ExitCode, sync::Arc};

/// Exit code for bad usage or configuration; clap uses the same.
const BAD_USAGE: u8 = 2;
/// Exit code for an address that is in use.
const ADDRESS_IN_USE: u8 = 3;

/// Local service between the web apps open in a Firefox and the programs on the same machine.
#[derive(Debug, Parser)]
#[command(
    name = "baa-conductor",
    version,
    after_help = "\
Examples:
  baa-conductor demo                                             see the whole path, with a simulated Firefox
  baa-conductor                                                  serve; `baa-conductor service install` does it at login
  baa-conductor extension ~/baa-extension                        the Firefox extension that belongs to it
  baa-conductor request --platform claude --prompt 'Hello!'      ask, and see the answer grow
  baa-conductor doctor                                           tell what is wrong, and what to do

Without a command it serves. Exit codes: 0 clean, 1 failed, 2 bad usage or configuration, 3 address in use."
)]
pub struct Cli {
    #[command(flatten)]
    common: CommonOptions,
    #[command(subcommand)]
    command: Option<CliCommand>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
struct CommonOptions {
    /// Read this configuration too; it wins over the one in ~/.config/baa-conductor.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Keep database, token and lock in this folder.
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// Listen here; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<String>,
    /// Log these lines: a level, or target=level pairs with commas between.
    #[arg(long, value_name = "FILTER", global = true)]
    log: Option<String>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the daemon (the default).
    Serve(serve::ServeArguments),
    /// Run the daemon with a simulated Firefox and send one streamed request through it.
    Demo(demo::DemoArguments),
    /// Show clients, logins, targets and requests of the running daemon.
    Status(status::StatusArguments),
    /// Send a request through the running daemon and print the answer; Ctrl-C cancels it.
    Request(request::RequestArguments),
    /// Cancel a request.
    Cancel(cancel::CancelArguments),
    /// Have a Firefox open, focus, reload or restore shell tabs, or reconnect.
    Action(action::ActionArguments),
    /// Let in the Firefox whose extension shows this code.
    Pair(pairing::PairArguments),
    /// Show which Firefoxes are paired or wait for it, or forget one.
    Pairings(pairing::PairingsArguments),
    /// List, show, approve, reject or run what models asked this machine for.
    Instructions(instructions::InstructionsArguments),
    /// Read the trail of what the daemon was given to do, and check that nobody changed it.
    Audit(audit::AuditArguments),
    /// Open the status page in the browser, logged in.
    Open(open::OpenArguments),
    /// Write the Firefox extension that belongs to this version, unpacked and as an .xpi.
    Extension(extension::ExtensionArguments),
    /// Print where the token is, or rotate it.
    Token(token::TokenArguments),
    /// Run the daemon at login: systemd user unit, launchd agent.
    Service(service::ServiceArguments),
    /// Check every hop from the configuration to the web app, and say which broke and what to do.
    Doctor(doctor::DoctorArguments),
    /// Print the completions for a shell.
    Completions(completions::CompletionsArguments),
    /// Write the manual pages.
    Man(man::ManArguments),
    /// Print the effective configuration with the origin of each value, secrets masked.
    Config(config::ConfigArguments),
    /// Stand beside a command that the daemon runs; not for people.
    #[command(name = "supervise-command", hide = true)]
    Supervise,
    /// Stand around a command in a sandbox; not for people.
    #[command(name = "launch-command", hide = true)]
    Launch {
        /// Which of the processes around it this is.
        #[arg(value_parser = parse_stage)]
        stage: host::LauncherStage,
        /// What it becomes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

fn parse_stage(name: &str) -> Result<host::LauncherStage, String> {
    let known = host::LauncherStage::ALL.iter().find(|(known, _)| *known == name);
    known.map(|(_, stage)| *stage).ok_or_else(|| "there is no such stage".to_owned())
}

/// What every command is given.
#[derive(Debug)]
pub struct CommandContext {
    /// The configuration, without fault.
    pub config: Arc<Config>,
    /// Where its values came from.
    pub origins: Arc<ValueOrigins>,
    /// The state folder; only a daemon creates and locks it.
    pub state_dir: PathBuf,
    /// What a person should know of the files that the configuration stands in.
    pub warnings: Vec<ConfigError>,
    /// Ends the log files properly when dropped.
    _telemetry: Telemetry,
}

impl CommandContext {
    /// Loads the configuration and sets up logging.
    pub fn prepare(cli: &Cli) -> Result<Self, CommandError> {
        let CommonOptions { config, state_dir, listen, log, log_format } = &cli.common;
        let options =
            ConfigOptions { config: config.clone(), listen: listen.clone(), log: log.clone(), log_format: *log_format };
        let loaded =
            ConfigSources::read(options).and_then(|sources| load(&sources)).map_err(CommandError::Configuration)?;
        let state_dir = state_folder::locate(state_dir.as_deref()).map_err(anyhow::Error::new)?;
        let mut log = loaded.config.log.clone();
        // The demo's own words are what is to be seen, unless somebody asked for more.
        if matches!(cli.command, Some(CliCommand::Demo(_))) && *loaded.origins.of("log.filter") == ValueOrigin::Default
        {
            log.filter = "warn".to_owned();
        }
        // Client commands neither write log files nor make folders, and the demo leaves the user's folder alone.
        log.file &= cli.runs_users_daemon();
        if log.file {
            state_folder::prepare(&state_dir).map_err(anyhow::Error::new)?;
        }
        let telemetry = telemetry::init(&log, &state_folder::logs_folder(&state_dir)).map_err(anyhow::Error::new)?;
        let (config, origins) = (Arc::new(loaded.config), Arc::new(loaded.origins));
        let warnings = loaded.warnings;
        Ok(CommandContext { config, origins, state_dir, warnings, _telemetry: telemetry })
    }
}

impl Cli {
    /// Reads the arguments of this process; what is wrong with them, or was asked for in place of a command, is printed.
    ///
    /// # Errors
    ///
    /// The exit code, where there is nothing to run.
    pub fn parse_arguments() -> Result<Self, ExitCode> {
        Cli::try_parse().map_err(|error| {
            let text = error.render().to_string();
            if error.use_stderr() {
                text.trim_end().lines().for_each(terminal::print_error);
            } else {
                // Output that cannot be written has no reader left.
                let _ = terminal::print(&text);
            }
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }

    /// Runs the command to its end, whatever it needs first.
    pub fn run(self) -> ExitCode {
        match self.command {
            Some(CliCommand::Supervise) => host::supervise(),
            Some(CliCommand::Launch { stage, words }) => host::launch_command(stage, &words),
            Some(CliCommand::Completions(arguments)) => report_result(completions::run(&arguments)),
            Some(CliCommand::Man(arguments)) => report_result(man::run(&arguments)),
            Some(CliCommand::Service(arguments)) if !arguments.needs_configuration() => {
                report_result(service::run(None, &self.common, &arguments))
            }
            Some(CliCommand::Doctor(ref arguments)) => {
                let arguments = arguments.clone();
                report_result(doctor::run(CommandContext::prepare(&self), &self.common, &arguments))
            }
            _ => match CommandContext::prepare(&self) {
                Ok(context) => run_command(self, context),
                Err(refusal) => refusal.report(),
            },
        }
    }

    /// Whether this runs the daemon on the user's own state folder.
    fn runs_users_daemon(&self) -> bool {
        matches!(self.command, None | Some(CliCommand::Serve(_)))
    }
}

/// Why nothing was run.
#[derive(Debug)]
pub enum CommandError {
    /// The configuration is wrong.
    Configuration(Vec<ConfigError>),
    /// Something else.
    Failure(anyhow::Error),
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        CommandError::Failure(error)
    }
}

impl CommandError {
    /// Says it on stderr, one line for each fault, and answers the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            CommandError::Configuration(faults) => {
                for fault in faults {
                    terminal::print_error(&format!("baa-conductor: {fault}"));
                }
                ExitCode::from(BAD_USAGE)
            }
            CommandError::Failure(error) => {
                terminal::print_error(&format!("baa-conductor: {error:#}"));
                exit_code(error)
            }
        }
    }
}

/// The listening address belongs to another program; a command that fails with it exits 3.
#[derive(Debug)]
pub(crate) struct AddressInUse(pub(crate) String);

impl fmt::Display for AddressInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} is in use", self.0)
    }
}

impl std::error::Error for AddressInUse {}

/// The command was called in a way that it refuses; one that fails with it exits 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadUsage(pub(crate) &'static str);

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<AddressInUse>().is_some() {
        ExitCode::from(ADDRESS_IN_USE)
    } else if error.downcast_ref::<BadUsage>().is_some() {
        ExitCode::from(BAD_USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// The exit code of a command that has ended.
fn report_result(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| CommandError::Failure(error).report())
}

/// Runs a command that has what it needs and answers the exit code of the process.
fn run_command(cli: Cli, context: CommandContext) -> ExitCode {
    let done = match cli.command.unwrap_or_else(|| CliCommand::Serve(serve::ServeArguments::default())) {
        CliCommand::Serve(arguments) => serve::run(context, &arguments),
        CliCommand::Demo(arguments) => demo::run(context, arguments),
        CliCommand::Status(arguments) => status::run(context, arguments),
        CliCommand::Request(arguments) => request::run(context, arguments),
        CliCommand::Cancel(arguments) => cancel::run(context, arguments),
        CliCommand::Action(arguments) => action::run(context, arguments),
        CliCommand::Pair(arguments) => pairing::pair(context, arguments),
        CliCommand::Pairings(arguments) => pairing::run(context, arguments),
        CliCommand::Instructions(arguments) => instructions::run(context, arguments),
        CliCommand::Audit(arguments) => audit::run(context, arguments),
        CliCommand::Open(arguments) => open::run(context, arguments),
        CliCommand::Extension(arguments) => extension::run(context, arguments),
        CliCommand::Token(arguments) => token::run(context, arguments),
        CliCommand::Service(arguments) => service::run(Some(&context), &cli.common, &arguments),
        CliCommand::Doctor(arguments) => doctor::run(Ok(context), &cli.common, &arguments),
        CliCommand::Completions(arguments) => completions::run(&arguments),
        CliCommand::Man(arguments) => man::run(&arguments),
        CliCommand::Config(arguments) => config::run(context, arguments),
        CliCommand::Supervise => Ok(host::supervise()),
        CliCommand::Launch { stage, words } => Ok(host::launch_command(stage, &words)),
    };
    report_result(done)
}

/// Prints the answer of a command that has only one.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    print_result(terminal::print(text))
}

/// Prints the lines of a command in which others have words.
fn print_lines(lines: &str) -> anyhow::Result<ExitCode> {
    print_result(terminal::print_lines(lines))
}

fn print_result(printed: io::Result<()>) -> anyhow::Result<ExitCode> {
    match printed {
        // A pager that was closed early has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        done => Ok(done.map(|()| ExitCode::SUCCESS)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap();
        for line in
            ["baa-conductor --listen 127.0.0.1:0 config --json", "baa-conductor config --json --listen 127.0.0.1:0"]
        {
            let cli = parse(line);
            assert_eq!(cli.common.listen.as_deref(), Some("127.0.0.1:0"), "{line}");
            assert!(matches!(cli.command, Some(CliCommand::Config(_))));
        }
    }

    #[test]
    fn only_the_users_daemon_writes_log_files() {
        let is = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().runs_users_daemon();
        assert!(is("baa-conductor --log-format json") && is("baa-conductor serve"));
        for other in ["baa-conductor demo --once", "baa-conductor status", "baa-conductor config --json"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn bad_usage_exits_2_and_help_and_version_0() {
        for (line, code) in
            [("--no-such-option", 2), ("frobnicate", 2), ("--log-format xml", 2), ("--help", 0), ("--version", 0)]
        {
            let error = Cli::try_parse_from(std::iter::once("baa-conductor").chain(line.split(' '))).unwrap_err();
            assert_eq!(error.exit_code(), code, "{line}");
        }
    }

    #[test]
    fn an_address_in_use_has_an_exit_code_of_its_own() {
        let error = anyhow::Error::new(AddressInUse("127.0.0.1:1".into())).context("cannot listen");
        assert_eq!(exit_code(&error), ExitCode::from(3));
        assert_eq!(format!("{error:#}"), "cannot listen: address 127.0.0.1:1 is in use");
    }
}
