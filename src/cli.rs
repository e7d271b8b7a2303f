//! The command line: the arguments, the context that commands share, and the dispatch to one file per command.
//!
//! Exit codes: 0 success, 1 failure, 2 bad usage or configuration, 3 address in use. Errors go to stderr, one per line.
//! stdout carries the ready line of `serve` and the output of the other commands.

mod action;
mod audit;
mod cancel;
mod client;
mod completions;
mod config;
mod demo;
mod doctor;
mod extension;
mod instructions;
mod journal;
mod line_wrap;
mod man;
mod open;
mod pairing;
mod request;
mod serve;
mod service;
mod status;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod token;

/// Escapes and lays out untrusted text before it is printed.
pub(crate) use crate::terminal_text as text;
use crate::{
    config::{Config, ConfigError, ConfigOptions, ConfigSources, ValueOrigin, ValueOrigins, load},
    host, state_folder,
    telemetry::{self, LogFormat, Telemetry},
};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

/// Exit code for bad usage or configuration, the same as clap's.
const BAD_USAGE: u8 = 2;
/// Exit code when the listening address is in use.
const ADDRESS_IN_USE: u8 = 3;

/// Local service between the web apps open in a Firefox and the programs on the same machine.
#[derive(Debug, Parser)]
#[command(
    name = "baa-conductor",
    version,
    after_help = "\
Examples:
  baa-conductor demo                                             try the whole path with a simulated Firefox
  baa-conductor                                                  run the daemon; `baa-conductor service install` starts it at login
  baa-conductor extension ~/baa-extension                        write the matching Firefox extension
  baa-conductor request --platform claude --prompt 'Hello!'      send a prompt and stream the answer
  baa-conductor doctor                                           find problems and how to fix them

Without a command, the daemon runs. Exit codes: 0 success, 1 failure, 2 bad usage or configuration, 3 address in use."
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
    /// Also read this configuration file; it overrides the one in ~/.config/baa-conductor.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder for the database, the token and the lock.
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<String>,
    /// Log filter: a level, or comma-separated target=level pairs.
    #[arg(long, value_name = "FILTER", global = true)]
    log: Option<String>,
    /// Format of the log lines.
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the daemon (the default).
    Serve(serve::ServeArguments),
    /// Run the daemon with a simulated Firefox and send one streamed request through it.
    Demo(demo::DemoArguments),
    /// Show the clients, logins, targets and requests of the running daemon.
    Status(status::StatusArguments),
    /// Send a request through the running daemon and print the response; Ctrl-C cancels it.
    Request(request::RequestArguments),
    /// Cancel a request.
    Cancel(cancel::CancelArguments),
    /// Make a Firefox open, focus, reload or restore shell tabs, or reconnect.
    Action(action::ActionArguments),
    /// Pair the Firefox whose extension shows this code.
    Pair(pairing::PairArguments),
    /// List paired and waiting Firefox clients, or forget one.
    Pairings(pairing::PairingsArguments),
    /// List, show, approve, reject or run the instructions in models' messages.
    Instructions(instructions::InstructionsArguments),
    /// Read the audit trail of tasks and verify its hash chain.
    Audit(audit::AuditArguments),
    /// Open the status page in a browser, already logged in.
    Open(open::OpenArguments),
    /// Write the Firefox extension of this version, unpacked and as an .xpi.
    Extension(extension::ExtensionArguments),
    /// Print the location of the token, or rotate it.
    Token(token::TokenArguments),
    /// Install the daemon as a login service: a systemd user unit or a launchd agent.
    Service(service::ServiceArguments),
    /// Check every step from the configuration to the web app, and suggest a fix for each problem.
    Doctor(doctor::DoctorArguments),
    /// Print shell completions.
    Completions(completions::CompletionsArguments),
    /// Write the manual pages.
    Man(man::ManArguments),
    /// Print the effective configuration and the origin of each value; secrets are masked.
    Config(config::ConfigArguments),
    /// Supervise a command that the daemon runs; internal.
    #[command(name = "supervise-command", hide = true)]
    Supervise,
    /// Start a command in a sandbox; internal.
    #[command(name = "launch-command", hide = true)]
    Launch {
        /// The stage of the launch that this process performs.
        stage: host::LauncherStage,
        /// The command to execute.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// The environment of a command: configuration, state folder and logging.
#[derive(Debug)]
pub struct CommandContext {
    /// The validated configuration.
    pub config: Arc<Config>,
    /// The origin of each configuration value.
    pub origins: Arc<ValueOrigins>,
    /// The state folder. Only a daemon creates and locks it.
    pub state_dir: PathBuf,
    /// Warnings about the configuration files.
    pub warnings: Vec<ConfigError>,
    /// Flushes and closes the log files when dropped.
    _telemetry: Telemetry,
}

impl CommandContext {
    /// Loads the configuration and sets up logging.
    fn prepare(common: &CommonOptions, log_use: LogUse) -> Result<Self, CommandError> {
        let CommonOptions { config, state_dir, listen, log, log_format } = common;
        let options =
            ConfigOptions { config: config.clone(), listen: listen.clone(), log: log.clone(), log_format: *log_format };
        let loaded =
            ConfigSources::read(options).and_then(|sources| load(&sources)).map_err(CommandError::Configuration)?;
        let state_dir = state_folder::locate(state_dir.as_deref()).map_err(anyhow::Error::new)?;
        let mut log = loaded.config.log.clone();
        if log_use == LogUse::Warnings && *loaded.origins.of("log.filter") == ValueOrigin::Default {
            log.filter = "warn".to_owned();
        }
        log.file &= log_use == LogUse::Files;
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
    /// Parses the arguments of this process. Prints usage errors to stderr, help and version to stdout.
    ///
    /// # Errors
    ///
    /// The exit code when no command is to be run.
    pub fn parse_arguments() -> Result<Self, ExitCode> {
        Cli::try_parse().map_err(|error| {
            let text = error.render().to_string();
            if error.use_stderr() {
                text.trim_end().lines().for_each(terminal::print_error);
            } else {
                // A write error means that stdout has no reader left.
                let _ = terminal::print(&text);
            }
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }

    /// Runs the command and returns the exit code.
    pub fn run(self) -> ExitCode {
        self.execute().unwrap_or_else(|error| error.report())
    }

    /// Runs the command, with the configuration if it needs one.
    fn execute(self) -> Result<ExitCode, CommandError> {
        let kind = self.log_use();
        let Cli { common, command } = self;
        let context = || CommandContext::prepare(&common, kind);
        let done = match command.unwrap_or_else(|| CliCommand::Serve(serve::ServeArguments::default())) {
            CliCommand::Serve(arguments) => serve::run(context()?, &arguments),
            CliCommand::Demo(arguments) => demo::run(context()?, arguments),
            CliCommand::Status(arguments) => status::run(context()?, arguments),
            CliCommand::Request(arguments) => request::run(context()?, arguments),
            CliCommand::Cancel(arguments) => cancel::run(context()?, arguments),
            CliCommand::Action(arguments) => action::run(context()?, arguments),
            CliCommand::Pair(arguments) => pairing::pair(context()?, arguments),
            CliCommand::Pairings(arguments) => pairing::run(context()?, arguments),
            CliCommand::Instructions(arguments) => instructions::run(context()?, arguments),
            CliCommand::Audit(arguments) => audit::run(context()?, arguments),
            CliCommand::Open(arguments) => open::run(context()?, arguments),
            CliCommand::Extension(arguments) => extension::run(context()?, arguments),
            CliCommand::Token(arguments) => token::run(context()?, arguments),
            CliCommand::Service(arguments) => match arguments.command {
                service::ServiceCommand::Install { print } => service::install(&context()?, &common, print),
                service::ServiceCommand::Uninstall => service::uninstall(),
                service::ServiceCommand::Status { json } => service::print_status(json),
            },
            CliCommand::Doctor(arguments) => doctor::run(context(), &common, &arguments),
            CliCommand::Completions(arguments) => completions::run(&arguments),
            CliCommand::Man(arguments) => man::run(&arguments),
            CliCommand::Config(arguments) => config::run(context()?, arguments),
            CliCommand::Supervise => Ok(host::supervise()),
            CliCommand::Launch { stage, words } => Ok(host::launch_command(stage, &words)),
        };
        Ok(done?)
    }

    fn log_use(&self) -> LogUse {
        match self.command {
            None | Some(CliCommand::Serve(_)) => LogUse::Files,
            Some(CliCommand::Demo(_)) => LogUse::Warnings,
            _ => LogUse::Stderr,
        }
    }
}

/// Where a command logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogUse {
    /// As configured: the daemon on the user's own state folder.
    Files,
    /// Not to files, since the command creates no folders in the user's state folder.
    Stderr,
    /// Not to files, and only warnings unless a filter is given, so that the demo's own output is visible.
    Warnings,
}

/// The reason why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// The configuration is invalid; one fault per problem.
    Configuration(Vec<ConfigError>),
    /// Any other failure.
    Failure(anyhow::Error),
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        CommandError::Failure(error)
    }
}

impl CommandError {
    /// Prints the error to stderr, one line per fault, and returns the exit code.
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

/// The listening address is used by another program; the exit code is 3.
#[derive(Debug)]
pub(crate) struct AddressInUse(pub(crate) String);

impl fmt::Display for AddressInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} is in use", self.0)
    }
}

impl std::error::Error for AddressInUse {}

/// The command was called with unsuitable arguments; the exit code is 2.
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

/// Prints text as it is and returns the exit code.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    print_result(terminal::print(text))
}

/// Prints lines that contain untrusted text, wrapped to the terminal, and returns the exit code.
fn print_lines(lines: &str) -> anyhow::Result<ExitCode> {
    print_result(terminal::print_lines(lines))
}

/// Prints JSON as it is, other text by lines.
fn print_text(text: &str, is_json: bool) -> anyhow::Result<ExitCode> {
    if is_json { print(text) } else { print_lines(text) }
}

/// Returns indented JSON without control characters, ending with a newline.
fn pretty_json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("the value has string keys");
    text::json(&text, text::JsonLayout::Pretty) + "\n"
}

/// Returns the layout of JSON on the current stdout.
fn stdout_layout() -> text::JsonLayout {
    text::JsonLayout::of_terminal(io::stdout().is_terminal())
}

/// Returns the name of an enum's value in the API.
fn api_name(value: &impl Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

fn print_result(printed: io::Result<()>) -> anyhow::Result<ExitCode> {
    match printed {
        // A pager that was closed early is no error.
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
        let is = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().log_use() == LogUse::Files;
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
