//! What all peers share: the bodies they answer with, and what they noticed, to be awaited.

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

/// What all peers share: the bodies they answer with and what they noticed.
pub(crate) struct Book {
    pub(super) bodies: Vec<Body>,
    noticed: RefCell<HashMap<(&'static str, String), Instant>>,
    changed: Notify,
    epoch: Instant,
    /// Requests received.
    pub(crate) requests: Cell<u64>,
}

impl Book {
    pub(crate) fn new(bodies: Vec<Body>) -> Rc<Self> {
        Rc::new(Book {
            bodies,
            noticed: RefCell::default(),
            changed: Notify::new(),
            epoch: Instant::now(),
            requests: Cell::new(0),
        })
    }

    /// When events' timestamps begin.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    pub(super) fn note(&self, what: &'static str, id: &str) {
        self.noticed.borrow_mut().entry((what, id.to_owned())).or_insert_with(Instant::now);
        self.changed.notify_waiters();
    }

    /// When a peer received `held` or `cancelled` for a request.
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
