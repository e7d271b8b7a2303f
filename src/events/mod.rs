//! What happens, told as it happens: one bus that every part of the daemon publishes to and any number of readers follow.
//!
//! Publishing is on the way of requests and costs one allocation and one short lock; text is made when a reader takes an
//! event, by that reader. The bus keeps the last so many events and nothing for anyone in particular: a reader is a
//! number, and one that lags is told how much it missed.
//!
//! Events belong to those who publish them; here they are a name and something that can be written as JSON.

mod bus;
mod reader;

pub use bus::EventBus;
pub use reader::{EventReader, ResumePoint};

#[cfg(test)]
mod tests;
