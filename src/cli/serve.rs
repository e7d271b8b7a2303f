//! `baa-conductor serve`: runs the daemon until a signal ends it.

use super::{AddressInUse, CommandContext, terminal};
use crate::app::{Daemon, DamagedDatabase, StartError};
use std::{io, process::ExitCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

mod service_notifier;

use service_notifier::ServiceNotifier;

#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor serve
  baa-conductor serve --listen 127.0.0.1:0 --state-dir /tmp/trial --log debug
  BAA_LOG__FILE=true baa-conductor serve

When the daemon is ready it prints one line: `ready http://127.0.0.1:4317 ws://127.0.0.1:4317/ws/firefox`. Logs go to
stderr. SIGTERM or Ctrl-C stops it gracefully, a second one immediately. A service manager is notified by sd_notify.

Exit codes: 0 stopped by a signal; 1 failed, including another daemon on the state folder; 2 bad usage or
configuration; 3 the address is in use.")]
pub(super) struct ServeArguments {
    /// Quarantine a damaged database and start with a new one; instructions are then off until enabled again.
    #[arg(long)]
    pub(super) new_store: bool,
}

/// Runs until SIGTERM or SIGINT; a second signal ends the process at once.
pub(super) fn run(context: CommandContext, arguments: &ServeArguments) -> anyhow::Result<ExitCode> {
    let damaged = if arguments.new_store { DamagedDatabase::Quarantine } else { DamagedDatabase::Refuse };
    actix_rt::System::new().block_on(async move {
        // Before the ready line, so that a signal right after it is not lost.
        let mut signals = ShutdownSignals::new()?;
        let daemon = start(&context, damaged).await?;
        let identity = daemon.identity();
        terminal::print(&format!("ready {} {}\n", identity.local_api_base, identity.ws_url))?;
        let notifier = ServiceNotifier::of_environment();
        notifier.notify(&format!("READY=1\nSTATUS=serving {}", identity.local_api_base));
        let work = async {
            signals.next().await;
            notifier.notify("STOPPING=1\nSTATUS=finishing requests in progress");
            tokio::select! {
                () = daemon.stop() => ExitCode::SUCCESS,
                () = signals.next() => ExitCode::FAILURE,
            }
        };
        tokio::select! {
            code = work => Ok(code),
            never = notifier.feed_watchdog() => match never {},
        }
    })
}

/// Starts the daemon with this configuration, and logs its warnings.
pub(super) async fn start(context: &CommandContext, damaged: DamagedDatabase) -> anyhow::Result<Daemon> {
    for warning in &context.warnings {
        tracing::warn!("{warning}");
    }
    Daemon::start(&context.config, &context.state_dir, damaged).await.map_err(|error| match error {
        StartError::AddressInUse(address) => anyhow::Error::new(AddressInUse(address.to_string())),
        other => anyhow::Error::new(other),
    })
}

pub(super) struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(ShutdownSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
