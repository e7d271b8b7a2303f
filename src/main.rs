//! Parses the command line and runs the command.

use baa_conductor::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse_arguments().map_or_else(|code| code, Cli::run)
}
