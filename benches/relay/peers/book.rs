//! State shared by all peers: their bodies, and a log of noticed requests that can be awaited.

use super::in_step::Steps;
use crate::body::Body;
use anyhow::Context;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// The bodies of the peers, and the log of noticed requests.
pub(crate) struct PeerLog {
    pub(super) bodies: Vec<Body>,
    noticed: RefCell<HashMap<(&'static str, String), Instant>>,
    changed: Notify,
    epoch: Instant,
    /// Number of received requests.
    pub(crate) requests: Cell<u64>,
    /// How far the reader of a stream in step is.
    pub(crate) steps: Steps,
}

impl PeerLog {
    pub(crate) fn new(bodies: Vec<Body>) -> Rc<Self> {
        Rc::new(PeerLog {
            bodies,
            noticed: RefCell::default(),
            changed: Notify::new(),
            epoch: Instant::now(),
            requests: Cell::new(0),
            steps: Steps::default(),
        })
    }

    /// The epoch of the events' timestamps.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    pub(super) fn note(&self, what: &'static str, id: &str) {
        self.noticed.borrow_mut().entry((what, id.to_owned())).or_insert_with(Instant::now);
        self.changed.notify_waiters();
    }

    /// Waits until a peer has received `held` or `cancelled` for a request, and returns when.
    pub(crate) async fn when(&self, what: &'static str, id: &str) -> anyhow::Result<Instant> {
        let key = (what, id.to_owned());
        let noticed = tokio::time::timeout(NOTICED_WITHIN, async {
            loop {
                let changed = self.changed.notified();
                if let Some(at) = self.noticed.borrow_mut().remove(&key) {
                    return at;
                }
                changed.await;
            }
        });
        noticed.await.with_context(|| format!("no peer saw {what} of {id}"))
    }
}
