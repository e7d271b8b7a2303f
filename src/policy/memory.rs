//! State that outlives targets, pacers and the process: the latest row of each in memory, written behind to the store.

use super::{
    deadline::ClockReadings,
    dispatch_window::DispatchWindow,
    settings::{PolicyLimits, RateLimit},
    target_health::TargetHealth,
};
use crate::{
    clock::Clock,
    clock::uptime::{Uptime, uptime},
    ids::{ClientId, PlatformName},
    store::{
        Store, StoreError, WriteBehind,
        policy::{self, TargetRow, WindowRow},
    },
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Handle to the remembered state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicyMemory {
    shared: Arc<MemoryShared>,
}

#[derive(Debug)]
struct MemoryShared {
    /// Absent in tests that need no store.
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

#[derive(Clone, Copy, Debug)]
pub(super) struct RememberedCounts {
    pub(super) targets: usize,
    pub(super) open_circuits: usize,
}

impl PersistedRows {
    /// Removes the target that was updated least recently, preferring targets without failures and with a closed
    /// circuit.
    fn make_room(&mut self) {
        let decides = |row: &TargetRow| row.consecutive_failures > 0 || row.circuit.is_some();
        let least = self.targets.iter().min_by_key(|(_, row)| (decides(row), row.updated_at));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.targets.remove(&key);
        }
    }
}

impl PolicyMemory {
    /// Loads the stored state.
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
        let mut kept = memory.shared.kept.lock();
        let key = |row: &TargetRow| {
            (ClientId::trusted(Arc::clone(&row.client_id)), PlatformName::trusted(Arc::clone(&row.platform)))
        };
        kept.targets = targets.into_iter().map(|row| (key(&row), row)).collect();
        kept.windows = windows.into_iter().map(|row| (PlatformName::trusted(Arc::clone(&row.platform)), row)).collect();
        drop(kept);
        Ok(memory)
    }

    /// Creates a memory without a store.
    pub fn of_this_process(clock: Clock, max_targets: usize) -> Self {
        // The uptime would contradict a clock that tests control.
        PolicyMemory::new(None, clock, || None, max_targets)
    }

    fn new(
        write_behind: Option<WriteBehind>,
        clock: Clock,
        uptime: fn() -> Option<Uptime>,
        max_targets: usize,
    ) -> Self {
        PolicyMemory {
            shared: Arc::new(MemoryShared { write_behind, clock, uptime, max_targets, kept: Mutex::default() }),
        }
    }

    pub(super) fn readings(&self) -> ClockReadings {
        ClockReadings { now: self.shared.clock.moment(), uptime: (self.shared.uptime)() }
    }

    /// Returns the health of a target, restored if it is remembered.
    pub(super) fn health(&self, client: &ClientId, platform: &PlatformName, limits: &PolicyLimits) -> TargetHealth {
        let limits = (limits.backoff, limits.circuit_breaker);
        let row = self.shared.kept.lock().targets.get(&(client.clone(), platform.clone())).cloned();
        match row {
            Some(row) => TargetHealth::restored(limits, row, &self.readings()),
            None => TargetHealth::new(limits.0, limits.1),
        }
    }

    pub(super) fn targets(&self) -> Vec<(ClientId, PlatformName)> {
        self.shared.kept.lock().targets.keys().cloned().collect()
    }

    /// Counts the remembered targets for which `are_meant` holds.
    pub(super) fn count(&self, are_meant: impl Fn(&(ClientId, PlatformName)) -> bool) -> RememberedCounts {
        let kept = self.shared.kept.lock();
        let rows = || kept.targets.iter().filter(|(key, _)| are_meant(key));
        let open = |(_, row): &(&(ClientId, PlatformName), &TargetRow)| row.circuit.is_some();
        RememberedCounts { targets: rows().count(), open_circuits: rows().filter(open).count() }
    }

    /// Returns the dispatch window of a platform, restored if it is remembered.
    pub(super) fn window(&self, platform: &PlatformName, limits: &RateLimit) -> DispatchWindow {
        let row = self.shared.kept.lock().windows.get(platform).cloned();
        row.map_or_else(|| DispatchWindow::new(limits), |row| DispatchWindow::restored(limits, &row, &self.readings()))
    }

    pub(super) fn persist_target(&self, client: &ClientId, platform: &PlatformName, health: &TargetHealth) {
        let row = health.row(client, platform, &self.readings());
        let key = (client.clone(), platform.clone());
        let mut kept = self.shared.kept.lock();
        if kept.targets.len() >= self.shared.max_targets && !kept.targets.contains_key(&key) {
            kept.make_room();
        }
        kept.targets.insert(key, row.clone());
        drop(kept);
        if let Some(write_behind) = &self.shared.write_behind {
            write_behind.policy_target(row);
        }
    }

    pub(super) fn persist_window(&self, platform: &PlatformName, window: &mut DispatchWindow) {
        let Some((keep_from, dispatches)) = window.changes(&self.readings()) else { return };
        let (platform_text, last_dispatched_at) = (platform.shared(), window.last_at());
        let row = WindowRow { platform: platform_text, last_dispatched_at, keep_from, dispatches };
        let mut kept = self.shared.kept.lock();
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
}
