//! What a start does before and beside the wiring: the listeners, a database that may be damaged or left in the middle of
//! something, the watch over threads, what of the machine is the daemon's own.

use super::StartError;
use crate::{
    bridge::settings::PairingMode,
    clock::Clock,
    config::Config,
    host, http,
    state_folder::{disable_instructions, instructions_enabled},
    store::{self, Store, WriteBehind, batches, tasks::InterruptedWork},
    watchdog::{ThreadDeath, Watchdog},
};
use std::{io, net::SocketAddr, path::Path, process, time::Duration};

/// Listens at an address.
pub(super) fn listen(config: &Config, address: SocketAddr) -> Result<http::BoundListener, StartError> {
    let unread = Duration::from_millis(config.server.sse_stall_timeout_ms);
    http::bind(address, unread).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen { address, source },
    })
}

/// Moves a damaged database aside. A whole one stays, whatever was asked for.
pub(super) fn quarantine_if_damaged(database: &Path, state_dir: &Path, clock: Clock) -> Result<(), StartError> {
    if !store::quarantine::is_damaged(database)? {
        tracing::info!(path = %database.display(), "the database is not damaged and stays");
        return Ok(());
    }
    let failed = |source| StartError::Quarantine { path: database.to_owned(), source };
    // First of all: what had run already is forgotten from then on.
    disable_instructions(state_dir).map_err(failed)?;
    let aside = store::quarantine::quarantine_database(database, clock.now_ms()).map_err(failed)?;
    tracing::warn!(path = %database.display(), aside = %aside.display(), "the damaged database was moved aside");
    Ok(())
}

/// Says what keeps instructions from running, and what lets more of them run than one might think.
pub(super) fn warn_about_instructions(config: &Config, state_dir: &Path) {
    if !instructions_enabled(state_dir) {
        tracing::warn!("instructions are off until `baa-conductor instructions enable`");
    }
    if config.instructions.live && config.bridge.pairing == PairingMode::Off {
        tracing::warn!(
            "bridge.pairing is off and instructions.live is on: any program of this user can speak as a model; pair your \
             Firefox and remove bridge.pairing"
        );
    }
}

/// Watches this thread, and what runs on it and beside it for as long as the daemon does.
pub(super) fn watch_threads(watchdog: &Watchdog, store: &Store, write_behind: &WriteBehind) {
    watchdog.watch("main");
    let (store, write_behind) = (store.clone(), write_behind.clone());
    watchdog.watch_with_probe("write behind", move || std::future::ready(write_behind.is_there()));
    watchdog.watch_with_probe("store", move || {
        let store = store.clone();
        async move { store.is_there().await }
    });
}

/// Ends the process: what a dead thread held nobody else can give back.
pub(super) fn exit_on_thread_death(death: ThreadDeath) {
    tracing::error!(thread = death.thread, "a thread {}, so the daemon ends; it is to be started anew", death.cause);
    process::exit(1);
}

/// Notes what the last process left running. A database that cannot be written keeps nobody from relaying; the center
/// does this again before it runs anything.
pub(super) async fn mark_interrupted_work(store: &Store, clock: Clock) {
    let now = clock.now_ms();
    match store.transact(move |conn| batches::interrupt(conn, now)).await {
        Ok(found) if found == InterruptedWork::default() => {}
        Ok(InterruptedWork { task_ids, run_ids, .. }) => {
            let (tasks, runs) = (task_ids.len(), run_ids.len());
            tracing::warn!(tasks, runs, "the last process ended while these ran: they are not run again");
        }
        Err(error) => tracing::error!(%error, "what the last process left running cannot be noted"),
    }
}

/// Where what is the daemon's own lies, so that nobody reaches it through a host operation.
pub(crate) fn host_setup(config: &Config, state_dir: &Path) -> host::HostSetup {
    let mut protected = vec![state_dir.to_owned()];
    protected.extend(config.auth.token_file.as_ref().map(Into::into));
    // They may hold the token, and say what a model may do.
    protected.extend(config.files.iter().cloned());
    // With its log, one that was moved aside, one that is being made: all that begins with its name.
    let protected_prefixes = vec![config.store.file(state_dir)];
    let settings = config.host_ops.clone();
    host::HostSetup { settings, model_sandbox: config.instructions.sandbox, protected, protected_prefixes }
}
