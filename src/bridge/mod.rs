//! The bridge to the Firefox extensions.

pub mod settings;
