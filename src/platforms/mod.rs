//! The registered web apps, what may be asked of them, and what their own words mean.

pub mod event_stream;
pub mod full_text;
mod json;
pub mod plan;
mod prose;
pub mod registry;
pub mod target;
