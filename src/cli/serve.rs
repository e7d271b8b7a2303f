//! `baa-conductor serve`: runs the daemon until a signal ends it.

use super::{AddressInUse, Context};
use crate::app::{Daemon, Damaged, StartError};
use std::{
    io::{self, Write},
    process::ExitCode,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Move a damaged database aside and begin with a new one; instructions are then off until they are enabled.
    #[arg(long)]
    pub(super) new_store: bool,
}

/// Runs until SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn run(context: Context, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let damaged = if arguments.new_store { Damaged::MovedAside } else { Damaged::Refused };
    actix_rt::System::new().block_on(async move {
        // Before the ready line: a signal that comes right after it must not be lost.
        let mut signals = Signals::new()?;
        let daemon = start(&context, damaged).await?;
        let identity = daemon.identity();
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "ready {} {}", identity.local_api_base, identity.ws_url)?;
        stdout.flush()?;
        drop(stdout);
        signals.next().await;
        tokio::select! {
            () = daemon.stop() => Ok(ExitCode::SUCCESS),
            () = signals.next() => Ok(ExitCode::FAILURE),
        }
    })
}

/// Starts the daemon of this configuration.
pub(super) async fn start(context: &Context, damaged: Damaged) -> anyhow::Result<Daemon> {
    Daemon::start(&context.config, &context.state_dir, damaged).await.map_err(|error| match error {
        StartError::AddressInUse(address) => anyhow::Error::new(AddressInUse(address.to_string())),
        other => anyhow::Error::new(other),
    })
}

/// The signals that end a daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
