//! The instruction center: what a model writes in a finished message becomes something that is done on this machine.
//!
//! ```text
//! extract → parse → normalize → dedupe → screen → route → execute
//! ```
//!
//! Everything before `execute` is a pure function from one typed value to the next, decided for all blocks of a message
//! before anything runs. All of it assumes that the text was written by an attacker. Then:
//!
//! ```text
//! Hub (intake: keys and batch in one transaction) ──► store ──► Center ──► Runner ──► Execute (the edge)
//!  ▲ a client's final message, a caller's message                 order      │
//!  └ a person's word                                                         └──► deliver ──► relay
//! ```
//!
//! Ask [`Hub`]. What is queued, what waits for a person and what was done stands in the store alone.

mod batch;
mod beginning;
mod center;
mod confinement;
mod deciding;
mod dedupe;
mod deliver;
mod events;
mod execution;
mod extract;
mod hub;
mod intake;
mod normalize;
mod pace;
mod parse;
mod record;
mod rejection;
mod route;
mod runner;
mod screen;
pub mod settings;
mod show;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use center::{Outside, Told};
pub use confinement::OtherSandbox;
pub use deciding::{Undecided, Word};
pub use dedupe::{DedupeKey, ENVELOPE_VERSION, Instruction, InstructionId, dedupe};
pub use execution::{Done, Execute, Execution, Mandate, RouteName};
pub use extract::{BLOCK_BYTES_MAX, BLOCKS_MAX, Block, MESSAGE_BYTES_MAX, extract, is_result_only};
pub use hub::{Hub, Setup, Submitted};
pub use intake::{Refused, Submission, Taken};
pub use normalize::{Message, NAME_BYTES_MAX, Normalized, Source, normalize};
pub use parse::{DEPTH_MAX, Params, Parsed, parse};
pub use rejection::{Code, Rejection, Stage};
pub use route::{Plan, Route, Routed, Surface, route};
pub use screen::{Authority, Observed, Screened, Tool, Verdict, is_allowed, screen};
pub use show::{Details, Duplicate, Part, Parts, RunOf};
