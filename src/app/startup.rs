//! Steps of the start: listeners, a damaged database, interrupted work, the watchdog, the daemon's own files.

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

/// Listens on an address.
pub(super) fn listen(config: &Config, address: SocketAddr) -> Result<http::BoundListener, StartError> {
    let unread = Duration::from_millis(config.server.sse_stall_timeout_ms);
    http::bind(address, unread).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen { address, source },
    })
}

/// Moves a damaged database aside. An intact one stays in place.
pub(super) fn quarantine_if_damaged(database: &Path, state_dir: &Path, clock: Clock) -> Result<(), StartError> {
    if !store::quarantine::is_damaged(database)? {
        tracing::info!(path = %database.display(), "the database is not damaged and stays");
        return Ok(());
    }
    let failed = |source| StartError::Quarantine { path: database.to_owned(), source };
    // Before the move: the new database does not know which instructions were executed.
    disable_instructions(state_dir).map_err(failed)?;
    let aside = store::quarantine::quarantine_database(database, clock.now_ms()).map_err(failed)?;
    tracing::warn!(path = %database.display(), aside = %aside.display(), "the damaged database was moved aside");
    Ok(())
}

/// Logs warnings if instructions are off, or if any local program could send them.
pub(super) fn warn_about_instructions(config: &Config, state_dir: &Path) {
    if !instructions_enabled(state_dir) {
        tracing::warn!("instructions are off until `baa-conductor instructions enable`");
    }
    if config.instructions.live && config.bridge.pairing == PairingMode::Off {
        tracing::warn!(
            "bridge.pairing is off and instructions.live is on: any program of this user can send instructions; pair your \
             Firefox and remove bridge.pairing"
        );
    }
}

/// Watches this thread, the write-behind's actor on it, and the thread of the store.
pub(super) fn watch_threads(watchdog: &Watchdog, store: &Store, write_behind: &WriteBehind) {
    watchdog.watch("main");
    let (store, write_behind) = (store.clone(), write_behind.clone());
    watchdog.watch_with_probe("write behind", move || std::future::ready(write_behind.is_there()));
    watchdog.watch_with_probe("store", move || {
        let store = store.clone();
        async move { store.is_there().await }
    });
}

/// Ends the process: the state of a dead thread cannot be recovered.
pub(super) fn exit_on_thread_death(death: ThreadDeath) {
    tracing::error!(thread = death.thread, "a thread {}: the daemon exits and must be restarted", death.cause);
    process::exit(1);
}

/// Marks the work of the last process as interrupted. If the database cannot be written, relaying is still possible; the
/// instruction center tries again before it executes anything.
pub(super) async fn mark_interrupted_work(store: &Store, clock: Clock) {
    let now = clock.now_ms();
    match store.transact(move |conn| batches::interrupt(conn, now)).await {
        Ok(found) if found == InterruptedWork::default() => {}
        Ok(InterruptedWork { task_ids, run_ids, .. }) => {
            let (tasks, runs) = (task_ids.len(), run_ids.len());
            tracing::warn!(
                tasks,
                runs,
                "marked the last process's unfinished work as interrupted; it is not run again"
            );
        }
        Err(error) => tracing::error!(%error, "cannot mark the last process's unfinished work as interrupted"),
    }
}

/// Returns the host's settings with the daemon's own paths, which no host operation may access.
pub(crate) fn host_setup(config: &Config, state_dir: &Path) -> host::HostSetup {
    let mut protected = vec![state_dir.to_owned()];
    protected.extend(config.auth.token_file.as_ref().map(Into::into));
    // They may contain the token, and decide what a model may do.
    protected.extend(config.files.iter().cloned());
    // All files that begin with its name: its log, quarantined databases, a database that is being created.
    let protected_prefixes = vec![config.store.file(state_dir)];
    let settings = config.host_ops.clone();
    host::HostSetup { settings, model_sandbox: config.instructions.sandbox, protected, protected_prefixes }
}
