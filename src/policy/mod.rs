//! Request policy: who may send what to a platform, and when.
//!
//! Ask [`Hub::acquire`] before a request; what is decided comes as a [`Verdict`]. Hold the [`Lease`] while the request
//! runs, touch it at each sign of life, settle it with the [`Outcome`]. A lease that is dropped settles itself.

mod admission;
mod backoff;
mod circuit;
mod deadline;
mod events;
mod explain;
mod gate;
mod health;
mod hub;
mod jitter;
mod lease;
mod line;
mod memory;
mod observer;
mod outcome;
mod pacing;
pub mod settings;
mod target;
mod window;

pub use admission::{Admission, CircuitState, Failures, Reason, Refusal, Rule, Stage};
pub use explain::{Explanation, Would};
pub use hub::{Applicant, Hub, Parts, PlatformView, Summary};
pub use lease::{Lease, Touch, Waiting};
pub use memory::Memory;
pub use observer::{Observation, Observer};
pub use outcome::{Failed, Outcome, is_failure};
pub use settings::{Limits, Policy};
pub use target::{TargetView, Verdict};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
