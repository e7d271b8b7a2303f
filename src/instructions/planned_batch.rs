//! All that is decided about a message before anything of it runs.

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

/// The instructions of a message, in its order; each stage took all of them, or there is no batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannedBatch(Vec<RoutedInstruction>);

impl PlannedBatch {
    /// Takes a message through every stage, all blocks through one before any goes on to the next.
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

    /// Its instructions; none when the message holds none.
    pub fn instructions(&self) -> &[RoutedInstruction] {
        &self.0
    }

    /// Its instructions.
    pub fn into_instructions(self) -> Vec<RoutedInstruction> {
        self.0
    }

    /// What becomes of it: one instruction that needs approval makes all of them wait.
    pub fn verdict(&self) -> ScreenVerdict {
        self.0.iter().map(|routed| routed.screened.verdict).max().unwrap_or(ScreenVerdict::Runs)
    }
}
