//! The cases: what runs for one side in one round, and its figures.

mod endings;
mod footprint;
mod load;
mod policy;
mod sse;
mod state;

use crate::body::Body;
use crate::{
    daemon::{Folder, Service, Side},
    peers::{PeerLog, Peers},
    report::Sample,
};
use anyhow::Context;
use std::{pin::Pin, rc::Rc};

/// Sizes of the peers' bodies.
pub(crate) const SMALL_BYTES: usize = 1_024;
const LARGE_BYTES: usize = 256 << 10;

type Samples<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Sample>>> + 'a>>;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether the floor supports it.
    pub(crate) has_floor: bool,
    pub(crate) run: fn(&Env, Side) -> Samples<'_>,
}

/// All cases in execution order.
pub(crate) const CASES: &[Case] = &[
    Case { name: "buffered", has_floor: true, run: |env, side| Box::pin(load::buffered(env, side, true)) },
    Case { name: "buffered-nolog", has_floor: true, run: |env, side| Box::pin(load::buffered(env, side, false)) },
    Case { name: "paced", has_floor: true, run: |env, side| Box::pin(load::paced(env, side)) },
    Case { name: "large", has_floor: true, run: |env, side| Box::pin(load::large(env, side)) },
    Case { name: "sse", has_floor: true, run: |env, side| Box::pin(sse::unpaced(env, side)) },
    Case { name: "sse-paced", has_floor: true, run: |env, side| Box::pin(sse::paced(env, side)) },
    Case { name: "cancel", has_floor: true, run: |env, side| Box::pin(endings::cancel(env, side)) },
    Case { name: "memory", has_floor: true, run: |env, side| Box::pin(footprint::memory(env, side)) },
    Case { name: "start", has_floor: false, run: |env, side| Box::pin(footprint::start(env, side)) },
    Case { name: "state", has_floor: false, run: |env, side| Box::pin(state::state(env, side)) },
    Case { name: "policy", has_floor: false, run: |env, _| Box::pin(policy::policy(env)) },
    Case { name: "clients", has_floor: true, run: |env, side| Box::pin(footprint::clients(env, side)) },
];

/// The environment of all cases.
pub(crate) struct Env {
    quick: bool,
    small: Body,
    large: Body,
}

impl Env {
    pub(crate) fn new(quick: bool) -> anyhow::Result<Self> {
        Ok(Env { quick, small: Body::new(SMALL_BYTES), large: Body::new(LARGE_BYTES) })
    }

    /// Returns a count, or a tiny one for a smoke run.
    fn count(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

/// A new service with its peers. The field order ensures that peers disconnect before their service ends.
struct Stage {
    peers: Peers,
    book: Rc<PeerLog>,
    service: Service,
    /// Removed last.
    _folder: Folder,
}

impl Stage {
    async fn set(env: &Env, side: Side, peers: usize, journal: bool) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let service = Service::start(side, &folder, journal)?;
        let book = PeerLog::new(vec![env.small.clone(), env.large.clone()]);
        let peers = Peers::connect(service.address, peers, &book).await?;
        Ok(Stage { peers, book, service, _folder: folder })
    }

    fn strike(self) -> anyhow::Result<()> {
        let Stage { peers, service, _folder, .. } = self;
        drop(peers);
        service.stop()
    }
}

/// Waits for tasks of this thread and returns their results.
async fn all<T>(tasks: Vec<tokio::task::JoinHandle<anyhow::Result<T>>>) -> anyhow::Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.context("a caller panicked")??);
    }
    Ok(results)
}
