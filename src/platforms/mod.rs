//! The registered web apps and what may be asked of them.

pub mod registry;
pub mod target;
