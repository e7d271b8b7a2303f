//! The instruction center: what a model writes in a finished message becomes something that is done on this machine.
//!
//! ```text
//! extract → parse → normalize → dedupe → screen → route → execute
//! ```
//!
//! Everything before `execute` is a pure function from one typed value to the next, decided for all blocks of a message
//! before anything runs. All of it assumes that the text was written by an attacker.

mod batch;
mod dedupe;
mod extract;
mod normalize;
mod parse;
mod rejection;
mod route;
mod screen;
pub mod settings;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use dedupe::{DedupeKey, ENVELOPE_VERSION, Instruction, InstructionId, dedupe};
pub use extract::{BLOCK_BYTES_MAX, BLOCKS_MAX, Block, MESSAGE_BYTES_MAX, extract, is_result_only};
pub use normalize::{Message, NAME_BYTES_MAX, Normalized, Source, normalize};
pub use parse::{DEPTH_MAX, Params, Parsed, parse};
pub use rejection::{Code, Rejection, Stage};
pub use route::{Plan, Route, Routed, Surface, route};
pub use screen::{Authority, Observed, Screened, Tool, Verdict, is_allowed, screen};
