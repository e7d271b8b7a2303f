//! What outlives a target, a gate and the process: the last row of each, in memory and, written behind, in the store.

use super::{
    deadline::Bearings,
    health::Health,
    settings::{Limits, RateLimit},
    window::Window,
};
use crate::{
    clock::Clock,
    host::uptime::{Uptime, uptime},
    ids::{ClientId, PlatformName},
    store::{
        Later, Store, StoreError,
        policy::{self, TargetRow, WindowRow},
    },
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where it is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Nothing in tests that need no store.
    later: Option<Later>,
    clock: Clock,
    uptime: fn() -> Option<Uptime>,
    max_targets: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    targets: foldhash::HashMap<(ClientId, PlatformName), TargetRow>,
    windows: foldhash::HashMap<PlatformName, WindowRow>,
}

/// How many targets are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    pub(super) targets: usize,
    pub(super) open_circuits: usize,
}

impl Kept {
    /// Gives one target up: the one that was heard of least recently, of those that decide nothing if there are any.
    fn make_room(&mut self) {
        let decides = |row: &TargetRow| row.consecutive_failures > 0 || row.circuit.is_some();
        let least = self.targets.iter().min_by_key(|(_, row)| (decides(row), row.updated_at));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.targets.remove(&key);
        }
    }
}

impl Memory {
    /// Reads what is kept.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn open(store: &Store, later: Later, clock: Clock, max_targets: usize) -> Result<Self, StoreError> {
        let read = move |conn: &mut _| {
            policy::prune(conn, max_targets)?;
            Ok((policy::targets(conn, max_targets)?, policy::windows(conn)?))
        };
        let (targets, windows) = store.run(read).await?;
        let memory = Memory::new(Some(later), clock, uptime, max_targets);
        let mut kept = memory.kept();
        let key = |row: &TargetRow| {
            (ClientId::trusted(Arc::clone(&row.client_id)), PlatformName::trusted(Arc::clone(&row.platform)))
        };
        kept.targets = targets.into_iter().map(|row| (key(&row), row)).collect();
        kept.windows = windows.into_iter().map(|row| (PlatformName::trusted(Arc::clone(&row.platform)), row)).collect();
        drop(kept);
        Ok(memory)
    }

    /// A memory that lasts as long as the process.
    pub fn of_this_process(clock: Clock, max_targets: usize) -> Self {
        // A clock of tests moves on its own.
        Memory::new(None, clock, || None, max_targets)
    }

    fn new(later: Option<Later>, clock: Clock, uptime: fn() -> Option<Uptime>, max_targets: usize) -> Self {
        Memory { shared: Arc::new(Shared { later, clock, uptime, max_targets, kept: Mutex::default() }) }
    }

    /// Now, by all clocks.
    pub(super) fn bearings(&self) -> Bearings {
        Bearings { now: self.shared.clock.moment(), uptime: (self.shared.uptime)() }
    }

    /// The health of a target, as it was kept.
    pub(super) fn health(&self, client: &ClientId, platform: &PlatformName, limits: &Limits) -> Health {
        let limits = (limits.backoff, limits.circuit_breaker);
        let row = self.kept().targets.get(&(client.clone(), platform.clone())).cloned();
        match row {
            Some(row) => Health::restored(limits, row, &self.bearings()),
            None => Health::new(limits.0, limits.1),
        }
    }

    /// The targets of which something is kept.
    pub(super) fn targets(&self) -> Vec<(ClientId, PlatformName)> {
        self.kept().targets.keys().cloned().collect()
    }

    /// Counts the targets of which something is kept and that `are_meant`.
    pub(super) fn count(&self, are_meant: impl Fn(&(ClientId, PlatformName)) -> bool) -> Remembered {
        let kept = self.kept();
        let rows = || kept.targets.iter().filter(|(key, _)| are_meant(key));
        let open = |(_, row): &(&(ClientId, PlatformName), &TargetRow)| row.circuit.is_some();
        Remembered { targets: rows().count(), open_circuits: rows().filter(open).count() }
    }

    /// The window of a platform, as it was kept.
    pub(super) fn window(&self, platform: &PlatformName, limits: &RateLimit) -> Window {
        let row = self.kept().windows.get(platform).cloned();
        row.map_or_else(|| Window::new(limits), |row| Window::restored(limits, &row, &self.bearings()))
    }

    /// Keeps how a target stands.
    pub(super) fn keep_target(&self, client: &ClientId, platform: &PlatformName, health: &Health) {
        let row = health.row(client, platform, &self.bearings());
        let key = (client.clone(), platform.clone());
        let mut kept = self.kept();
        if kept.targets.len() >= self.shared.max_targets && !kept.targets.contains_key(&key) {
            kept.make_room();
        }
        kept.targets.insert(key, row.clone());
        drop(kept);
        if let Some(later) = &self.shared.later {
            later.policy_target(row);
        }
    }

    /// Keeps how a platform's window stands.
    pub(super) fn keep_window(&self, platform: &PlatformName, window: &mut Window) {
        let Some((keep_from, dispatches)) = window.changes(&self.bearings()) else { return };
        let (platform_text, last_dispatched_at) = (platform.shared(), window.last_at());
        let row = WindowRow { platform: platform_text, last_dispatched_at, keep_from, dispatches };
        let mut kept = self.kept();
        let mut whole = row.clone();
        if let Some(older) = kept.windows.remove(platform) {
            whole.absorb(older);
        }
        kept.windows.insert(platform.clone(), whole);
        drop(kept);
        if let Some(later) = &self.shared.later {
            later.policy_window(row);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics between two changes, so what a panicking thread left is whole.
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
