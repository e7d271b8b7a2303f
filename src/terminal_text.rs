//! Escapes foreign text for a terminal.
//!
//! Text of a model, a web app, a client or another program is *foreign*: it may contain escape sequences, characters that
//! reverse the text or are invisible, spaces that push the rest out of sight, lines that imitate the daemon's own. It is
//! printed only through these functions:
//!
//! | | for | line ends | runs of spaces |
//! | --- | --- | --- | --- |
//! | [`line()`] | a name, a message, a table cell | escaped | counted |
//! | [`lines`] | texts that a person decides on: commands, files | kept, runs of empty lines counted | counted |
//! | [`StreamedText`] | an answer that is printed while it arrives | kept | kept |
//! | [`json()`] | JSON | formatted | kept |
//! | [`guarded`] | all output of a command, as the last step | kept | kept |
//!
//! Invariant: the result moves no cursor, changes no colour and shows every character of the text. The table of characters
//! is `web/status-page/assets/characters.js`, which the status page uses too; `tests/fixtures/text/shown.json` has texts with
//! their form on both.

mod characters;
mod escaping;
mod json;
mod streamed_text;

pub use escaping::{guarded, line, lines, runs_right_to_left};
pub use json::{JsonLayout, escaped_json, json};
pub use streamed_text::StreamedText;
