//! Parses the command line and runs the command.

use baa_conductor::cli::Cli;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().perform()
}
