//! Request policy: who may send what to a platform, and when.
//!
//! Ask [`PolicyHub::acquire`] before a request; what is decided comes as a [`LeaseVerdict`]. Hold the [`Lease`] while the request
//! runs, touch it at each sign of life, settle it with the [`LeaseOutcome`]. A lease that is dropped settles itself.

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
mod simulation;
#[cfg(test)]
mod tests;
