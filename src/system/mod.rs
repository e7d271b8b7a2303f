//! The system: the mode that the daemon is in, who changed it and why, and what this node is called.
//!
//! ```text
//! change ─► one at a time ─► store ─► state, watchers, event `system`, log
//! ```
//!
//! A change is written before anybody is told: what was announced outlives a crash, and one that could not be written
//! never happened. Changes are told in the order in which they were written.

pub mod settings;

#[cfg(test)]
mod tests;

use crate::{
    clock::{Clock, WallMs},
    events::EventBus,
    mode::{Mode, SystemView},
    store::{self, Store, StoreError, Unavailable},
};
use settings::NodeSettings;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, watch};

/// Changes that may be under way; a store that does not answer must not gather them.
const CHANGES_MAX: usize = 64;

/// The handle that the rest of the daemon holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SystemControl {
    shared: Arc<SystemShared>,
}

#[derive(Debug)]
struct SystemShared {
    store: Store,
    events: EventBus,
    clock: Clock,
    node: NodeSettings,
    state: watch::Sender<SystemView>,
    /// Held from before a change is written until it is told.
    change_lock: Mutex<()>,
    /// For the changes that are under way or wait.
    change_slots: Arc<Semaphore>,
}

impl SystemControl {
    /// The system as the last process left it; one that never was before runs.
    ///
    /// # Errors
    ///
    /// The mode cannot be read, or not be written the first time.
    pub async fn open(store: Store, events: EventBus, clock: Clock, node: NodeSettings) -> Result<Self, StoreError> {
        let now = clock.now_ms();
        let begin = move |conn: &mut _| match store::system::read(conn)? {
            Some(state) => Ok(state),
            None => {
                let state = SystemView { mode: Mode::Running, changed_at: now, reason: None };
                store::system::write(conn, &state)?;
                Ok(state)
            }
        };
        let state = store.transact(begin).await?;
        if state.mode != Mode::Running {
            let (mode, since) = (state.mode.name(), state.changed_at);
            tracing::warn!(mode, since, reason = ?state.reason, "the system starts in the mode that it was left in");
        }
        let (state, change_lock, change_slots) =
            (watch::Sender::new(state), Mutex::new(()), Arc::new(Semaphore::new(CHANGES_MAX)));
        Ok(SystemControl {
            shared: Arc::new(SystemShared { store, events, clock, node, state, change_lock, change_slots }),
        })
    }

    /// The mode in force.
    pub fn mode(&self) -> Mode {
        self.shared.state.borrow().mode
    }

    /// The mode in force, since when and why.
    pub fn state(&self) -> SystemView {
        self.shared.state.borrow().clone()
    }

    /// The same, for a decision: no change is told while it is held, so that whoever hears of one knows that everything
    /// decided before it is done. Hold it for a moment, never over an `await`, and ask for nothing else here meanwhile.
    pub fn lock_mode(&self) -> watch::Ref<'_, SystemView> {
        self.shared.state.borrow()
    }

    /// Tells every change from now on; several at once may be told as the last of them.
    pub fn watch(&self) -> watch::Receiver<SystemView> {
        self.shared.state.subscribe()
    }

    /// Now, in Unix milliseconds.
    pub fn now_ms(&self) -> WallMs {
        self.shared.clock.now_ms()
    }

    /// What this node is called.
    pub fn node(&self) -> &NodeSettings {
        &self.shared.node
    }

    /// Enters a mode, or gives a new reason for the one in force. Whoever stops waiting leaves it to happen all the same.
    ///
    /// # Errors
    ///
    /// The change cannot be written, or too many wait for the store already; the mode stays.
    pub fn change(
        &self,
        mode: Mode,
        reason: Option<String>,
    ) -> impl Future<Output = Result<SystemView, StoreError>> + use<> {
        // On its own: a caller who leaves between the store and the telling would part the one from the other.
        let change = actix_rt::spawn(Arc::clone(&self.shared).change(mode, reason));
        async { change.await.unwrap_or(Err(StoreError::Panicked)) }
    }
}

impl SystemShared {
    async fn change(self: Arc<Self>, mode: Mode, reason: Option<String>) -> Result<SystemView, StoreError> {
        let _slot = self.change_slots.try_acquire().map_err(|_| StoreError::from(Unavailable::Busy))?;
        let _lock = self.change_lock.lock().await;
        let next = SystemView { mode, changed_at: self.clock.now_ms(), reason: reason.map(Into::into) };
        let row = next.clone();
        if let Err(error) = self.store.run(move |conn| store::system::write(conn, &row)).await {
            tracing::error!(mode = mode.name(), %error, "the mode of the system stays: a change cannot be written");
            return Err(error);
        }
        let before = self.state.send_replace(next.clone()).mode;
        tracing::info!(mode = mode.name(), before = before.name(), reason = ?next.reason, "the mode of the system");
        self.events.publish("system", next.clone());
        Ok(next)
    }
}
