//! Request policy: decides when a request may be sent to a platform.
//!
//! Call [`PolicyHub::acquire`] before a request; the decision arrives as a [`LeaseVerdict`]. Hold the [`Lease`] while
//! the request runs, touch it at each activity and settle it with the [`LeaseOutcome`]. A dropped lease settles itself
//! as cancelled.

mod admission;
mod backoff;
mod circuit;
mod deadline;
mod dispatch_window;
mod events;
mod explain;
mod hub;
mod jitter;
mod lease;
mod memory;
mod observer;
mod outcome;
mod pacing_queue;
mod platform_pacer;
pub mod settings;
mod target;
mod target_health;
mod target_queue;

pub use admission::{Admission, CircuitState, FailureStreak, PolicyRefusal, PolicyRule, WaitReason, WaitStage};
pub use explain::{PolicyExplanation, PredictedOutcome};
pub use hub::{LeaseRequest, PlatformPacingView, PolicyHub, PolicyParts, PolicySummary};
pub use lease::{ActivityKind, Lease, PendingLease};
pub use memory::PolicyMemory;
pub use observer::{PolicyObservation, PolicyObserver};
pub use outcome::{LeaseFailure, LeaseOutcome, is_failure};
pub use settings::{PolicyLimits, PolicySettings};
pub use target::{LeaseVerdict, TargetView};

#[cfg(test)]
mod tests;
