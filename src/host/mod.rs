//! The machine under the daemon.

pub mod limits;
pub mod owner;
pub mod uptime;
