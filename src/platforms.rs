//! Registered web apps: which requests they accept, and how their answers are read.

pub mod credential_paths;
pub mod full_text;
mod joined_text;
mod json;
pub mod plan;
pub mod registry;
pub mod request_path;
