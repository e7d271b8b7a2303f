//! What a simulated Firefox received, so that others can wait for it without polling.
//!
//! A message is expected once: `expect` takes the first of its type that nobody took. The log keeps the newest
//! messages and forgets the rest, so that a long-lived peer stays small.

use serde_json::Value;
use std::{cell::RefCell, collections::VecDeque, fmt, pin::pin, rc::Rc, time::Duration};
use tokio::{sync::Notify, time::timeout};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close frame's code; `None` when the connection ended without one.
    pub code: Option<u16>,
    /// The close frame's reason.
    pub reason: String,
}

/// Why something awaited did not come.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Missing {
    /// Not within the time.
    #[error("no {wanted} within {within:?}; received {received}")]
    Timeout {
        /// What was waited for.
        wanted: String,
        /// How long.
        within: Duration,
        /// The types of what came instead.
        received: Types,
    },
    /// The connection ended first, and no other will follow.
    #[error("the connection ended ({closed:?}) before {wanted}; received {received}")]
    Ended {
        /// What was waited for.
        wanted: String,
        /// How it ended.
        closed: Option<Closed>,
        /// The types of what came instead.
        received: Types,
    },
}

/// The types of received messages, oldest first.
#[derive(Clone, Debug)]
pub struct Types(Vec<String>);

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[derive(Debug)]
struct Entry {
    message: Rc<Value>,
    taken: bool,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Entry>,
    closings: VecDeque<Closed>,
    last: Option<Closed>,
    over: bool,
}

/// The log of one simulated Firefox over all its connections.
#[derive(Debug)]
pub(super) struct Log {
    keep: usize,
    state: RefCell<State>,
    changed: Notify,
}

impl Log {
    pub(super) fn new(keep: usize) -> Self {
        assert!(keep > 0, "a log keeps something");
        Log { keep, state: RefCell::default(), changed: Notify::new() }
    }

    pub(super) fn received(&self, message: Rc<Value>) {
        let mut state = self.state.borrow_mut();
        if state.messages.len() == self.keep {
            state.messages.pop_front();
        }
        state.messages.push_back(Entry { message, taken: false });
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn closed(&self, closed: Closed) {
        let mut state = self.state.borrow_mut();
        if state.closings.len() == self.keep {
            state.closings.pop_front();
        }
        state.last = Some(closed.clone());
        state.closings.push_back(closed);
        drop(state);
        self.changed.notify_waiters();
    }

    /// No further connection will be made.
    pub(super) fn over(&self) {
        self.state.borrow_mut().over = true;
        self.changed.notify_waiters();
    }

    pub(super) fn all(&self) -> Vec<Rc<Value>> {
        self.state.borrow().messages.iter().map(|entry| Rc::clone(&entry.message)).collect()
    }

    pub(super) async fn message(
        &self,
        wanted: &str,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Rc<Value>, Missing> {
        let take = |state: &mut State| {
            let entry = state.messages.iter_mut().find(|entry| !entry.taken && fits(&entry.message))?;
            entry.taken = true;
            Some(Rc::clone(&entry.message))
        };
        self.wait(wanted, within, take).await
    }

    pub(super) async fn closing(&self, within: Duration) -> Result<Closed, Missing> {
        self.wait("end of the connection", within, |state| state.closings.pop_front()).await
    }

    async fn wait<T>(
        &self,
        wanted: &str,
        within: Duration,
        mut take: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, Missing> {
        let found = timeout(within, async {
            loop {
                let mut changed = pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = take(&mut self.state.borrow_mut()) {
                    return Ok(found);
                }
                if self.state.borrow().over {
                    let closed = self.state.borrow().last.clone();
                    return Err(Missing::Ended { wanted: wanted.to_owned(), closed, received: self.types() });
                }
                changed.await;
            }
        });
        found
            .await
            .unwrap_or_else(|_| Err(Missing::Timeout { wanted: wanted.to_owned(), within, received: self.types() }))
    }

    fn types(&self) -> Types {
        let name = |entry: &Entry| entry.message["type"].as_str().unwrap_or("?").to_owned();
        let state = self.state.borrow();
        Types(state.messages.iter().skip(state.messages.len().saturating_sub(30)).map(name).collect())
    }
}
