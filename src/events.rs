//! Live events: one bus that every part of the daemon publishes to and any number of readers follow.
//!
//! Publishing happens on the path of requests and costs one allocation and one short lock; events are serialized by
//! each reader. The bus retains the latest events. It keeps no state per reader beyond a number; a reader that lags
//! gets the number of missed events.
//!
//! Event types belong to the modules that publish them; the bus sees a name and a serializable value.

mod bus;
mod reader;
mod ring;

pub use bus::EventBus;
pub use reader::{EventReader, ResumePoint};

#[cfg(test)]
mod tests;
