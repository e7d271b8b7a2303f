//! Request policy: who may send what to a platform, and when.
//!
//! Ask [`Hub::acquire`] before a request; what is decided comes as a [`Verdict`]. Hold the [`Lease`] while the request
//! runs, touch it at each sign of life, settle it with the [`Outcome`]. A lease that is dropped settles itself.

mod admission;
mod events;
mod hub;
mod lease;
mod outcome;
pub mod settings;
mod target;

pub use admission::{Admission, CircuitState, Refusal, Stage};
pub use hub::{Applicant, Hub, PlatformView, Summary};
pub use lease::{Lease, Touch, Waiting};
pub use outcome::{Failed, Outcome, is_failure};
pub use settings::{Limits, Policy};
pub use target::{TargetView, Verdict};
