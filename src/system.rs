//! Control of the system: the daemon's mode, its history of changes, and the name of this node.
//!
//! ```text
//! change ─► one at a time ─► store ─► state, watchers, event `system`, log
//! ```
//!
//! A change is stored before it is announced: an announced change survives a crash, and a change that cannot be stored
//! does not take effect. Changes are announced in the order in which they were stored.

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

/// Most changes in progress, so that an unresponsive store cannot accumulate them.
const CHANGES_MAX: usize = 64;

/// Handle to the system's mode. Cheap to clone.
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
    /// Held from storing a change until it is announced.
    change_lock: Mutex<()>,
    /// Bounds the changes in progress.
    change_slots: Arc<Semaphore>,
}

impl SystemControl {
    /// Restores the mode of the last process; a new system is running.
    ///
    /// # Errors
    ///
    /// The mode cannot be read, or the initial one cannot be written.
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

    /// Returns the current mode.
    pub fn mode(&self) -> Mode {
        self.shared.state.borrow().mode
    }

    /// Returns the current mode with time and reason of its last change.
    pub fn state(&self) -> SystemView {
        self.shared.state.borrow().clone()
    }

    /// Returns the current mode and blocks its announcement of a change while the value is held, so that decisions made
    /// under it are complete before a change is announced. Hold it briefly, never across an `await`, and call nothing
    /// else here meanwhile.
    pub fn lock_mode(&self) -> watch::Ref<'_, SystemView> {
        self.shared.state.borrow()
    }

    /// Subscribes to changes; several changes may be delivered as the last of them.
    pub fn watch(&self) -> watch::Receiver<SystemView> {
        self.shared.state.subscribe()
    }

    /// Returns the current time in Unix milliseconds.
    pub fn now_ms(&self) -> WallMs {
        self.shared.clock.now_ms()
    }

    /// Returns the settings of this node.
    pub fn node(&self) -> &NodeSettings {
        &self.shared.node
    }

    /// Enters a mode, or replaces the reason of the current one. The change completes even if the returned future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// The change cannot be stored, or too many changes are in progress; the mode stays.
    pub fn change(
        &self,
        mode: Mode,
        reason: Option<String>,
    ) -> impl Future<Output = Result<SystemView, StoreError>> + use<> {
        // Runs as a task of its own, so that a dropped future cannot separate storing from announcing.
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
