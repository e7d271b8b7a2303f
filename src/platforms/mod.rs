//! The registered web apps, what may be asked of them, and what their own words mean.

pub mod event_stream;
pub mod full_text;
mod joined_text;
mod json;
pub mod plan;
pub mod registry;
pub mod request_path;
