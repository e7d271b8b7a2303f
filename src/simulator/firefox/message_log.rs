//! The messages that a simulated Firefox received; callers can wait for them without polling.
//!
//! Each message is expected once: `expect` takes the first one of its type that was not taken. The log keeps only the newest
//! messages.

use serde_json::Value;
use std::{cell::RefCell, collections::VecDeque, fmt, pin::pin, rc::Rc, time::Duration};
use tokio::{sync::Notify, time::timeout};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionClosed {
    /// Code of the close frame; `None` if the connection ended without one.
    pub code: Option<u16>,
    /// Reason of the close frame.
    pub reason: String,
}

/// Why an expected message or close did not arrive.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExpectError {
    /// Timeout.
    #[error("no {wanted} within {within:?}; received {received}")]
    Timeout {
        /// Description of what was expected.
        wanted: String,
        /// Timeout.
        within: Duration,
        /// Types of the received messages.
        received: MessageTypes,
    },
    /// The connection ended, and there will be no other.
    #[error("the connection ended ({closed:?}) before {wanted}; received {received}")]
    Ended {
        /// Description of what was expected.
        wanted: String,
        /// How the connection ended.
        closed: Option<ConnectionClosed>,
        /// Types of the received messages.
        received: MessageTypes,
    },
}

/// The types of received messages, oldest first.
#[derive(Clone, Debug)]
pub struct MessageTypes(Vec<String>);

impl fmt::Display for MessageTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[derive(Debug)]
struct LoggedMessage {
    message: Rc<Value>,
    is_taken: bool,
}

#[derive(Debug, Default)]
struct LogState {
    messages: VecDeque<LoggedMessage>,
    closings: VecDeque<ConnectionClosed>,
    last: Option<ConnectionClosed>,
    is_finished: bool,
}

/// The log of one simulated Firefox over all its connections.
#[derive(Debug)]
pub(super) struct MessageLog {
    keep: usize,
    state: RefCell<LogState>,
    changed: Notify,
}

impl MessageLog {
    pub(super) fn new(keep: usize) -> Self {
        assert!(keep > 0, "a log keeps something");
        MessageLog { keep, state: RefCell::default(), changed: Notify::new() }
    }

    pub(super) fn received(&self, message: Rc<Value>) {
        let mut state = self.state.borrow_mut();
        if state.messages.len() == self.keep {
            state.messages.pop_front();
        }
        state.messages.push_back(LoggedMessage { message, is_taken: false });
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn closed(&self, closed: ConnectionClosed) {
        let mut state = self.state.borrow_mut();
        if state.closings.len() == self.keep {
            state.closings.pop_front();
        }
        state.last = Some(closed.clone());
        state.closings.push_back(closed);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Marks the log as finished: there will be no further connection.
    pub(super) fn finish(&self) {
        self.state.borrow_mut().is_finished = true;
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
    ) -> Result<Rc<Value>, ExpectError> {
        let take = |state: &mut LogState| {
            let entry = state.messages.iter_mut().find(|entry| !entry.is_taken && fits(&entry.message))?;
            entry.is_taken = true;
            Some(Rc::clone(&entry.message))
        };
        self.wait(wanted, within, take).await
    }

    pub(super) async fn closing(&self, within: Duration) -> Result<ConnectionClosed, ExpectError> {
        self.wait("end of the connection", within, |state| state.closings.pop_front()).await
    }

    async fn wait<T>(
        &self,
        wanted: &str,
        within: Duration,
        mut take: impl FnMut(&mut LogState) -> Option<T>,
    ) -> Result<T, ExpectError> {
        let found = timeout(within, async {
            loop {
                let mut changed = pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = take(&mut self.state.borrow_mut()) {
                    return Ok(found);
                }
                if self.state.borrow().is_finished {
                    let closed = self.state.borrow().last.clone();
                    return Err(ExpectError::Ended { wanted: wanted.to_owned(), closed, received: self.types() });
                }
                changed.await;
            }
        });
        found
            .await
            .unwrap_or_else(|_| Err(ExpectError::Timeout { wanted: wanted.to_owned(), within, received: self.types() }))
    }

    fn types(&self) -> MessageTypes {
        let name = |entry: &LoggedMessage| entry.message["type"].as_str().unwrap_or("?").to_owned();
        let state = self.state.borrow();
        MessageTypes(state.messages.iter().skip(state.messages.len().saturating_sub(30)).map(name).collect())
    }
}
