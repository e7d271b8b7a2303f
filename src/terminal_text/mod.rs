//! Text from elsewhere as it may be shown on a terminal.
//!
//! Whatever a model, a web app, a client or another program wrote is *foreign*: it may hold escape sequences, characters
//! that turn the text round or show nothing, blanks that push the rest out of sight, lines that pass for ours. It reaches
//! a terminal through these functions alone:
//!
//! | | for | line ends | runs of blanks |
//! | --- | --- | --- | --- |
//! | [`line()`] | a name, a message, a cell | spelled out | counted |
//! | [`lines`] | what is decided on: commands, files | kept, runs of empty lines counted | counted |
//! | [`StreamedText`] | an answer that is read as it grows | kept | kept |
//! | [`json()`] | JSON | laid out anew | kept |
//! | [`guarded`] | all that a command prints, last of all | kept | kept |
//!
//! Invariant: what they give back moves no cursor, changes no colour and shows every character that was there. The table
//! of characters is `src/http/page/assets/characters.js`, which the status page goes by too; what both make of a text is
//! held by `tests/fixtures/text/shown.json`.

mod characters;
mod escaping;
mod json;
mod streamed_text;

pub use escaping::{guarded, line, lines, runs_right_to_left};
pub use json::{JsonLayout, escaped_json, json};
pub use streamed_text::StreamedText;
