//! The map of `baa-conductor`: every module in one line. `docs/architecture.md` has the whole picture.

pub mod clock;
pub mod ids;
pub mod simulator;

#[cfg(test)]
mod testing;
