//! Planning of a message: everything that is decided before any of it runs.

use super::{
    dedupe::dedupe,
    extract::extract,
    normalize::{AssistantMessage, normalize},
    parse::parse,
    rejection::Rejection,
    route::{RoutedInstruction, route},
    screen::{InstructionAuthority, ScreenVerdict, screen},
    settings::InstructionSettings,
};

/// The routed instructions of a message, in order. Exists only if every stage accepted all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannedBatch(Vec<RoutedInstruction>);

impl PlannedBatch {
    /// Runs a message through every stage, all blocks through one stage before the next.
    ///
    /// ```text
    /// extract → parse → normalize → dedupe → screen → route
    /// ```
    pub fn plan(
        message: &AssistantMessage,
        settings: &InstructionSettings,
        authority: InstructionAuthority,
    ) -> Result<PlannedBatch, Rejection> {
        let blocks = extract(&message.text)?;
        if blocks.is_empty() {
            return Ok(PlannedBatch(Vec::new()));
        }
        let parsed = blocks.into_iter().map(parse).collect::<Result<_, _>>()?;
        let instructions = normalize(message, parsed)?.into_iter().map(dedupe);
        let screened = instructions.map(|one| screen(one, settings, authority)).collect::<Result<Vec<_>, _>>()?;
        screened.into_iter().map(route).collect::<Result<_, _>>().map(PlannedBatch)
    }

    /// Returns the instructions; empty if the message contains none.
    pub fn instructions(&self) -> &[RoutedInstruction] {
        &self.0
    }

    /// Returns the verdict on the batch: if one instruction needs approval, all wait for it.
    pub fn verdict(&self) -> ScreenVerdict {
        self.0.iter().map(|routed| routed.screened.verdict).max().unwrap_or(ScreenVerdict::Runs)
    }
}
