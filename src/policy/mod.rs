//! Request policy: who may send what to a platform, and when.

pub mod settings;
