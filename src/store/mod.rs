//! The store.

pub mod settings;
