//! Parses the command line, loads the configuration, sets up logging, runs the command.

use baa_conductor::cli::{self, Cli, Context};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.is_supervisor() {
        return baa_conductor::host::supervise();
    }
    let context = match Context::prepare(&cli) {
        Ok(context) => context,
        Err(refusal) => return refusal.report(),
    };
    cli::run(cli, context)
}
