//! What outlives a target, a gate and the process: the last row of each, in memory and, written behind, in the store.

use super::{
    deadline::ClockReadings,
    dispatch_window::DispatchWindow,
    settings::{PolicyLimits, RateLimit},
    target_health::TargetHealth,
};
use crate::{
    clock::Clock,
    host::uptime::{Uptime, uptime},
    ids::{ClientId, PlatformName},
    store::{
        Store, StoreError, WriteBehind,
        policy::{self, TargetRow, WindowRow},
    },
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where it is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicyMemory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Nothing in tests that need no store.
    write_behind: Option<WriteBehind>,
    clock: Clock,
    uptime: fn() -> Option<Uptime>,
    max_targets: usize,
    kept: Mutex<PersistedRows>,
}

#[derive(Debug, Default)]
struct PersistedRows {
    targets: foldhash::HashMap<(ClientId, PlatformName), TargetRow>,
    windows: foldhash::HashMap<PlatformName, WindowRow>,
}

/// How many targets are remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct RememberedCounts {
    pub(super) targets: usize,
    pub(super) open_circuits: usize,
}

impl PersistedRows {
    /// Gives one target up: the one that was heard of least recently, of those that decide nothing if there are any.
    fn make_room(&mut self) {
        let decides = |row: &TargetRow| row.consecutive_failures > 0 || row.circuit.is_some();
        let least = self.targets.iter().min_by_key(|(_, row)| (decides(row), row.updated_at));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.targets.remove(&key);
        }
    }
}

impl PolicyMemory {
    /// Reads what is kept.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn open(
        store: &Store,
        write_behind: WriteBehind,
        clock: Clock,
        max_targets: usize,
    ) -> Result<Self, StoreError> {
        let read = move |conn: &mut _| {
            policy::prune(conn, max_targets)?;
            Ok((policy::targets(conn, max_targets)?, policy::windows(conn)?))
        };
        let (targets, windows) = store.run(read).await?;
        let memory = PolicyMemory::new(Some(write_behind), clock, uptime, max_targets);
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
        PolicyMemory::new(None, clock, || None, max_targets)
    }

    fn new(
        write_behind: Option<WriteBehind>,
        clock: Clock,
        uptime: fn() -> Option<Uptime>,
        max_targets: usize,
    ) -> Self {
        PolicyMemory { shared: Arc::new(Shared { write_behind, clock, uptime, max_targets, kept: Mutex::default() }) }
    }

    /// Now, by all clocks.
    pub(super) fn readings(&self) -> ClockReadings {
        ClockReadings { now: self.shared.clock.moment(), uptime: (self.shared.uptime)() }
    }

    /// The health of a target, as it was kept.
    pub(super) fn health(&self, client: &ClientId, platform: &PlatformName, limits: &PolicyLimits) -> TargetHealth {
        let limits = (limits.backoff, limits.circuit_breaker);
        let row = self.kept().targets.get(&(client.clone(), platform.clone())).cloned();
        match row {
            Some(row) => TargetHealth::restored(limits, row, &self.readings()),
            None => TargetHealth::new(limits.0, limits.1),
        }
    }

    /// The targets of which something is kept.
    pub(super) fn targets(&self) -> Vec<(ClientId, PlatformName)> {
        self.kept().targets.keys().cloned().collect()
    }

    /// Counts the targets of which something is kept and that `are_meant`.
    pub(super) fn count(&self, are_meant: impl Fn(&(ClientId, PlatformName)) -> bool) -> RememberedCounts {
        let kept = self.kept();
        let rows = || kept.targets.iter().filter(|(key, _)| are_meant(key));
        let open = |(_, row): &(&(ClientId, PlatformName), &TargetRow)| row.circuit.is_some();
        RememberedCounts { targets: rows().count(), open_circuits: rows().filter(open).count() }
    }

    /// The window of a platform, as it was kept.
    pub(super) fn window(&self, platform: &PlatformName, limits: &RateLimit) -> DispatchWindow {
        let row = self.kept().windows.get(platform).cloned();
        row.map_or_else(|| DispatchWindow::new(limits), |row| DispatchWindow::restored(limits, &row, &self.readings()))
    }

    /// Keeps how a target stands.
    pub(super) fn persist_target(&self, client: &ClientId, platform: &PlatformName, health: &TargetHealth) {
        let row = health.row(client, platform, &self.readings());
        let key = (client.clone(), platform.clone());
        let mut kept = self.kept();
        if kept.targets.len() >= self.shared.max_targets && !kept.targets.contains_key(&key) {
            kept.make_room();
        }
        kept.targets.insert(key, row.clone());
        drop(kept);
        if let Some(write_behind) = &self.shared.write_behind {
            write_behind.policy_target(row);
        }
    }

    /// Keeps how a platform's window stands.
    pub(super) fn persist_window(&self, platform: &PlatformName, window: &mut DispatchWindow) {
        let Some((keep_from, dispatches)) = window.changes(&self.readings()) else { return };
        let (platform_text, last_dispatched_at) = (platform.shared(), window.last_at());
        let row = WindowRow { platform: platform_text, last_dispatched_at, keep_from, dispatches };
        let mut kept = self.kept();
        let mut whole = row.clone();
        if let Some(older) = kept.windows.remove(platform) {
            whole.absorb(older);
        }
        kept.windows.insert(platform.clone(), whole);
        drop(kept);
        if let Some(write_behind) = &self.shared.write_behind {
            write_behind.policy_window(row);
        }
    }

    fn kept(&self) -> MutexGuard<'_, PersistedRows> {
        // Nothing panics between two changes, so what a panicking thread left is whole.
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
